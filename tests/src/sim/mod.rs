//! The simulator: a whole telephone system in one thread, on a clock that only moves when nothing
//! is left to do.
//!
//! A [`World`] is made from a seed and a [`Scenario`]. In it run the production `node::Node`, its
//! `media::Worker`s, the production plugins (counted by instructions, so that they are the same
//! each time) and `engine::phone::Phone`s; around them a network that loses, repeats, delays and
//! reorders, a disk that is slow or full, and speech that comes late or not at all.
//! Whatever crosses between two of them takes time, as between the threads of the shell.
//!
//! Each step delivers the earliest event. The checks of `checks.rs` look at every step, so a
//! broken promise is found where it breaks; what they see last is the lines of the [`Trace`].

mod checks;
mod disk;
mod ear;
mod fake;
mod flows;
mod guests;
mod house;
pub(crate) mod network;
mod recorder;
mod report;
mod scenario;
mod seeded;
mod streams;
mod trace;
pub(crate) mod wire;
mod words;
mod world;

pub use guests::Guests;
pub use network::Weather;
pub use report::{Report, run, run_seed};
pub use scenario::{Act, DiskPlan, PhonePlan, Reload, Scenario, SpeechPlan};
pub use trace::{Fingerprint, Trace};
pub use words::Word;
pub use world::World;
