//! The event log and call records, in SQLite.
//!
//! [`CallEvent`](vocab::record::CallEvent)s are the truth: rows are only ever added. The
//! [`CallRecord`](vocab::record::CallRecord) of a call is folded from its events by [`project`],
//! kept in a table of its own for listing, and could be rebuilt at any time.
//!
//! Two halves that the shell joins:
//! - [`GroupCommit`], a machine without clock or database, decides when events are written: a
//!   call's first event within 20 ms, because its 200 OK waits for it, the others within 200 ms,
//!   many in one transaction. Full or failing, it refuses new calls first.
//! - [`Store`] writes one batch in one transaction and reads records and events.
//!
//! What holds at all times:
//! - An append that returned survives `kill -9`, and if so opened the loss of power, too
//!   ([`Durability`]). An append that did not return is all there or not at all.
//! - A call that has started has exactly one record, equal to the fold of its events
//!   ([`Store::check`]). After a crash, [`Store::close_interrupted`] ends those left open.
//! - Events delivered twice are stored once.
//!
//! Beside them, the index of recordings ([`Segment`]), the holds that keep them from being deleted and
//! the audit trail, which is only added to.
//!
//! `log/` owns the stored form of events: JSON with a version, converted by hand. Old versions stay
//! readable for good; `migrations/` only go forward.

mod check;
mod error;
mod group_commit;
pub mod limits;
mod log;
mod open;
mod project;
mod read;
mod recordings;
mod rows;
mod store;
mod traces;
mod transaction;
mod writer;

pub use check::Finding;
pub use error::{Error, Misfit, Misplaced};
pub use group_commit::{GroupCommit, Input, Output, Pace};
pub use open::{Durability, Options};
pub use project::{Projected, project};
pub use read::Listing;
pub use recordings::{Audit, Audits, Format, Hold, Kept, Recordings, Segment, Sha256};
pub use store::Store;
pub use traces::Retention;
pub use writer::Appended;
