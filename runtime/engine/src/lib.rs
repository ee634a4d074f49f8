//! Call control: legs, bridges, playback and digit collection, over `sip` and `media`.
//!
//! An [`Engine`] is one machine.
//! It owns signalling and negotiation, and knows media sessions by their ids; the sessions
//! themselves run in `media::Worker`s, which the shell drives on threads of their own and the
//! simulator inline.
//! What it is told comes as [`vocab::call::Command`], what it reports leaves as
//! [`vocab::call::Event`].
//!
//! **Invariant:** the engine knows no tenant, route or plugin. Who may call what is the node's
//! matter: an incoming call rests after 100 Trying until a command says what becomes of it.
//!
//! **Invariant:** each leg that was reported by `Incoming` or made by `Dial` is reported by
//! `Ended` exactly once, and nothing is reported of it afterwards.
//!
//! **Invariant:** each command is answered as [`vocab::call`] promises, whatever becomes of its leg
//! or worker. A leg does one thing at a time: what begins next stops a prompt, a gather or a
//! message before it, and that is reported first.
//!
//! [`phone::Phone`] is the other side: a scriptable softphone made of the same parts, which
//! `jackfield call` and the simulator share.

pub mod phone;

mod caller;
mod engine;
mod gather;
mod keys;
mod leg;
mod limits;
mod outcome;
mod ports;
mod timer;

pub use engine::{Config, Counts, Door, Engine, Input, Output, WorkerId};
pub use limits::LEGS_MAX;
