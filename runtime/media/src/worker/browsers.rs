//! Whose a datagram is that came to a socket of all browsers: the first of each way are checks with
//! the name of a session in them, and what follows comes from where they came from.

use std::collections::BTreeMap;

use vocab::{Now, SessionId};

use crate::session::{News, Session, Step};
use crate::webrtc::{self, Kind, Path};
use crate::worker::Worker;
use crate::{Channel, StreamParams};

/// Who browsers are.
#[derive(Debug, Default)]
pub(super) struct Browsers {
    names: BTreeMap<String, SessionId>,
    /// Up to 16 for each session.
    ways: BTreeMap<Path, SessionId>,
}

impl Worker {
    /// Something was settled for a session.
    pub(super) fn configure(&mut self, now: Now, id: SessionId, params: StreamParams) {
        let browser = params.webrtc.is_some();
        if !browser && self.browsers.names.is_empty() {
            self.step(now, id, |it, step| it.configure(step, params, None));
            return;
        }
        let Some(place) = self.sessions.place(id) else {
            self.counts.refused += 1;
            return;
        };
        let session = self.sessions.at(place);
        let name = session.name().map(str::to_owned);
        let known: Vec<Path> = session.known().collect();
        let ways = self.config.webrtc.clone();
        let changed = self.step(now, id, |it, step| {
            it.configure(step, params, ways.as_ref());
            let same = it.known().eq(known.iter().copied());
            (it.name().map(str::to_owned), same)
        });
        let Some((after, same)) = changed else {
            return;
        };
        if !same {
            // It is to be found anew.
            known.iter().for_each(|path| self.leave(*path, id));
        }
        if name != after {
            name.map(|name| self.browsers.names.remove(&name));
            after.map(|name| self.browsers.names.insert(name, id));
        }
        self.attend(now, id);
    }

    /// A datagram has come to a door.
    pub(super) fn door(&mut self, now: Now, from: Path, bytes: &[u8]) {
        let kind = webrtc::kind(bytes);
        let id = match kind {
            Kind::Stun => webrtc::name(bytes).and_then(|name| self.browsers.names.get(&name)),
            Kind::Dtls | Kind::Media | Kind::Other => self.browsers.ways.get(&from),
        };
        let Some(&id) = id else {
            self.counts.strangers += 1;
            return;
        };
        match kind {
            Kind::Stun | Kind::Dtls => {
                let useful = self.step(now, id, |it, step| it.meet(step, from, bytes));
                self.counts.strangers += u64::from(useful == Some(false));
                self.attend(now, id);
            }
            // Where its packets come from says nothing: they are encrypted.
            Kind::Media => self.packet(now, id, Channel::Rtp, None, bytes),
            Kind::Other => self.counts.strangers += 1,
        }
    }

    /// Does what is due for the ways of all browsers.
    pub(super) fn wind_browsers(&mut self, now: Now) {
        if self.browsers.names.is_empty() {
            return;
        }
        for place in 0..self.sessions.len() {
            if self.sessions.at_mut(place).is_due(now.mono) {
                let id = self.sessions.id(place);
                self.step(now, id, Session::wind);
                self.attend(now, id);
                if self.sessions.place(id).is_none() {
                    // It has panicked; the others' turn comes with the next tick.
                    return;
                }
            }
        }
    }

    /// Does what the way of a session asks for.
    fn attend(&mut self, now: Now, id: SessionId) {
        let attend = |it: &mut Session, step: &mut Step<'_>| it.attend(step);
        while let Some(Some(news)) = self.step(now, id, attend) {
            match news {
                // Whoever had it before has left it: this one has shown that it is its.
                News::Known(path) => drop(self.browsers.ways.insert(path, id)),
                News::Forgotten(path) => self.leave(path, id),
            }
        }
    }

    fn leave(&mut self, path: Path, id: SessionId) {
        if self.browsers.ways.get(&path) == Some(&id) {
            self.browsers.ways.remove(&path);
        }
    }

    /// A session is about to close.
    pub(super) fn forget_browser(&mut self, id: SessionId) {
        let Some(place) = self.sessions.place(id) else {
            return;
        };
        let session = self.sessions.at(place);
        let Some(name) = session.name().map(str::to_owned) else {
            return;
        };
        for path in session.known().collect::<Vec<Path>>() {
            self.leave(path, id);
        }
        self.browsers.names.remove(&name);
    }
}
