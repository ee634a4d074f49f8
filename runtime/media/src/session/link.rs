//! A session that talks with others of its worker.

use std::time::Duration;

use vocab::call::Beep;
use vocab::{ConferenceId, Mono, SessionId};

use crate::part::{Part, Voice};
use crate::session::inbound::{Kind, Received};
use crate::session::{Session, Step};
use crate::tone::Tone;
use crate::{Codec, StreamParams};

/// A relayed stream that pauses for this long is filled up with silence until it goes on.
const RELAY_PAUSE: Duration = Duration::from_millis(200);

/// The same for Opus, which in a pause says only every 400 ms that there is one (RFC 6716 §2.1.9).
const RELAY_PAUSE_OPUS: Duration = Duration::from_millis(900);

/// Whom a session talks with. The worker keeps both ends of it alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Link {
    /// Nobody.
    #[default]
    Nobody,
    /// The other side of a bridge.
    Bridge(SessionId),
    /// All other members of a conference.
    Conference(ConferenceId),
}

impl Session {
    /// Whom it talks with.
    pub(crate) fn link(&self) -> Link {
        self.link
    }

    /// It talks with others from now on; what plays stops.
    pub(crate) fn link_to(&mut self, step: &mut Step<'_>, link: Link) {
        assert!(
            link != Link::Bridge(step.id),
            "the worker bridges two sessions"
        );
        self.link = link;
        let stopped = self.player.stop_all();
        self.stopped(step, stopped);
    }

    /// It talks with nobody any more.
    pub(crate) fn part(&mut self) {
        self.link = Link::Nobody;
        self.set_through(false);
    }

    /// Takes a packet that the other side of the bridge received. Audio goes by the ticks unless
    /// it goes through; keys are sent anew then.
    pub(crate) fn relay(&mut self, step: &mut Step<'_>, received: Received<'_>) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let payload_type = match received.kind {
            Kind::Audio => Some(stream.params.payload_type),
            Kind::Event(_) => stream.params.dtmf.map(|dtmf| dtmf.payload_type),
            // The other side need not know it; silence is sent while nothing else comes.
            Kind::Silence => return,
        };
        match (self.through, payload_type, received.kind) {
            (true, Some(payload_type), _) => {
                let to = stream.to();
                stream.outbound.relay(step, to, received, payload_type);
            }
            (_, _, Kind::Event(Some(key))) => self.dial(step, key),
            (_, _, Kind::Audio | Kind::Event(None) | Kind::Silence) => {}
        }
    }

    /// Whether packets can go through between two sessions: the same formats on both sides, and
    /// nothing here that listens or speaks. Where decoders remember what they have heard, it begins
    /// in a pause, or the first words would be noise.
    pub(crate) fn can_go_through(a: &Self, b: &Self) -> bool {
        let (Some(left), Some(right)) = (&a.stream, &b.stream) else {
            return false;
        };
        let hushed = [left, right].iter().all(|it| it.inbound.is_hushed());
        let smooth = a.through || hushed || !left.params.codec.remembers();
        let (left, right) = (&left.params, &right.params);
        let clock = |params: &StreamParams| params.dtmf.map(|dtmf| dtmf.clock_hz);
        // Noise has to be made here: who does not know its packets would hear a hole.
        let noisy = [&a.stream, &b.stream].into_iter().flatten();
        let noisy = noisy.into_iter().any(|it| it.inbound.is_noisy());
        smooth
            && !noisy
            && left.codec == right.codec
            && clock(left) == clock(right)
            && left.send
            && right.send
            && [a, b].iter().all(|session| session.is_quiet())
    }

    /// It takes part in another way from now on.
    pub(crate) fn take_part(&mut self, part: Part) {
        self.voice.set(part);
        // Keys before are nobody's secret.
        self.take_hidden_key();
    }

    /// Whether it has pressed a key since this was last asked that the others must not hear.
    pub(crate) fn take_hidden_key(&mut self) -> bool {
        let pressed = self
            .stream
            .as_mut()
            .is_some_and(|it| it.inbound.take_pressed());
        pressed && self.voice.is_screened()
    }

    /// Its far end hears a beep from the next tick on.
    pub(crate) fn beep(&mut self, beep: Beep) {
        self.beep = Some(Tone::signal(beep));
    }

    /// How loud it is to those it talks with, and they to it.
    pub(crate) fn voice_mut(&mut self) -> &mut Voice {
        &mut self.voice
    }

    /// The same, to look at.
    pub(crate) fn voice(&self) -> &Voice {
        &self.voice
    }

    fn is_quiet(&self) -> bool {
        self.voice.is_plain()
            && !self.player.is_playing()
            && self.dialing.is_idle()
            && self.beep.is_none()
            && !self.recorders.any()
            && (self.ear.is_idle() || self.overhears())
    }

    /// Sets whether packets go through. What is buffered here is not played then.
    pub(crate) fn set_through(&mut self, through: bool) {
        if self.through == through {
            return;
        }
        self.through = through;
        if let Some(stream) = &mut self.stream {
            stream.inbound.forget_audio();
            stream.outbound.end_relay();
        }
    }

    /// Whether audio or a key came lately.
    pub(crate) fn speaks(&self, now: Mono) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            let pause = match stream.params.codec {
                Codec::Opus => RELAY_PAUSE_OPUS,
                Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16(_) => RELAY_PAUSE,
            };
            stream.inbound.spoke_within(now, pause)
        })
    }
}
