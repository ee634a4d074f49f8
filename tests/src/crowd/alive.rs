//! How much is alive while calls come and go.

use std::fmt;

use super::Crowd;

/// How much of everything there is at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Alive {
    /// Legs and dialogs of the engine, its timers and its media sessions.
    pub engine: usize,
    /// Dialogs and transactions of the engine's signalling.
    pub signalling: usize,
    /// The same at the far ends.
    pub far_ends: usize,
    /// What the rules, the workers and the checks remember.
    pub bookkeeping: usize,
}

impl Alive {
    /// All of it.
    pub fn total(&self) -> usize {
        self.engine + self.signalling + self.far_ends + self.bookkeeping
    }
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in the engine, {} in its signalling, {} at the far ends, {} beside them",
            self.engine, self.signalling, self.far_ends, self.bookkeeping
        )
    }
}

impl Crowd {
    /// How much of everything there is now.
    pub(super) fn alive(&self) -> Alive {
        let engine = self.engine.counts();
        let far_ends = self.fars.iter();
        Alive {
            engine: engine.legs + engine.dialogs + engine.sessions + engine.timers,
            signalling: signalling(&self.engine.sip_counts()),
            far_ends: far_ends.map(|far| signalling(&far.endpoint.counts())).sum(),
            bookkeeping: self.control.legs()
                + self.fars.iter().map(super::Far::calls).sum::<usize>()
                + self.workers.len()
                + self.invites.len(),
        }
    }
}

fn signalling(counts: &sip::Counts) -> usize {
    counts.dialogs
        + counts.client_invites
        + counts.clients
        + counts.server_invites
        + counts.servers
        + counts.requests
        + counts.streams
}
