//! A session whose far end is a browser: what was settled waits until there is a way to it, and keys.

use vocab::Mono;

use crate::session::{Session, Step};
use crate::webrtc::{Agreed, Event as Seen, Path, Transport, Ways};
use crate::worker::{Output, Packet};
use crate::{Event, SrtpKeys, StreamParams};

/// The way to a browser.
#[derive(Debug)]
pub(super) struct Browser {
    transport: Transport,
    agreed: Agreed,
    /// The last way that was found; it is used until there is another.
    path: Option<Path>,
    /// What came of the handshake.
    keys: Option<SrtpKeys>,
    /// What was settled since, until there are keys.
    waiting: Option<StreamParams>,
}

impl Browser {
    pub(super) fn path(&self) -> Option<Path> {
        self.path
    }
}

/// What the worker is to know of a way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// What comes from here is the session's.
    Known(Path),
    /// It is no longer.
    Forgotten(Path),
}

impl Session {
    /// What checks of its far end call it.
    pub(crate) fn name(&self) -> Option<&str> {
        let browser = self.browser.as_ref()?;
        Some(&browser.agreed.own.ufrag)
    }

    /// Where from its far end has come.
    pub(crate) fn known(&self) -> impl Iterator<Item = Path> {
        let browsers = self.browser.iter();
        browsers.flat_map(|browser| browser.transport.known())
    }

    /// What was settled, if it can be used now.
    pub(super) fn find(
        &mut self,
        now: Mono,
        mut params: StreamParams,
        ways: Option<&Ways>,
    ) -> Option<StreamParams> {
        let Some(agreed) = params.webrtc.as_deref() else {
            self.browser = None;
            return Some(params);
        };
        let ways = ways?;
        let (own, far) = (&agreed.own, &agreed.far);
        match &mut self.browser {
            // Another certificate is another far end (RFC 8842 §4).
            Some(known) if known.agreed.far.fingerprint == far.fingerprint => {
                let other = known.agreed.far.credentials != far.credentials;
                if other || known.agreed.own != *own {
                    known.transport.restart(own, far);
                }
                known.agreed = agreed.clone();
            }
            Some(_) | None => {
                let path = self.browser.take().and_then(|it| it.path);
                self.browser = Some(Box::new(Browser {
                    transport: Transport::new(ways, now, (own, far), agreed.role),
                    agreed: agreed.clone(),
                    path,
                    keys: None,
                    waiting: None,
                }));
            }
        }
        let browser = self.browser.as_mut()?;
        if browser.keys.is_none() {
            browser.waiting = Some(params);
            return None;
        }
        params.srtp.clone_from(&browser.keys);
        Some(params)
    }

    /// Takes a check or a record. Says whether it was of any use.
    pub(crate) fn meet(&mut self, step: &mut Step<'_>, from: Path, bytes: &[u8]) -> bool {
        let browser = self.browser.as_mut();
        browser.is_some_and(|it| it.transport.receive(step.now.mono, from, bytes))
    }

    /// Whether something of its way is due.
    pub(crate) fn is_due(&mut self, now: Mono) -> bool {
        let due = self.browser.as_mut().and_then(|it| it.transport.deadline());
        due.is_some_and(|due| due <= now)
    }

    /// Does what is due.
    pub(crate) fn wind(&mut self, step: &mut Step<'_>) {
        if let Some(browser) = &mut self.browser {
            browser.transport.tick(step.now.mono);
        }
    }

    /// Does what its way asks for; gives what the worker is to know.
    pub(crate) fn attend(&mut self, step: &mut Step<'_>) -> Option<News> {
        loop {
            let browser = self.browser.as_mut()?;
            match browser.transport.poll()? {
                Seen::Send { to, bytes } => {
                    let packet = Packet::build(bytes.len(), |into| into.copy_from_slice(&bytes));
                    step.out.push_back(Output::SendThrough { to, packet });
                }
                Seen::Known(path) => return Some(News::Known(path)),
                Seen::Forgotten(path) => return Some(News::Forgotten(path)),
                Seen::Path(path) => {
                    browser.path = Some(path);
                    if let Some(stream) = &mut self.stream {
                        stream.path = Some(path);
                    }
                }
                Seen::Keys(keys) => {
                    let keys = browser.keys.insert(*keys).clone();
                    if let Some(params) = browser.waiting.take() {
                        let srtp = Some(keys);
                        self.settle(step.now.mono, StreamParams { srtp, ..params });
                    }
                }
                // It may come back: what it sends is waited for as long as of any other.
                Seen::Away => {}
                Seen::Failed(why) => {
                    let session = step.id;
                    step.event(Event::Cut { session, why });
                }
            }
        }
    }
}
