//! Write Jackfield plugins in Rust.
//!
//! An IVR plugin is one function. It is called once for each call, in a sandbox of its own, and
//! reads from top to bottom: every step that takes time returns when it is done.
//!
//! ```no_run
//! use jackfield::{Call, Error, log};
//!
//! #[jackfield::ivr(needs = ["dial"])]
//! fn run(call: &Call) -> Result<&'static str, Error> {
//!     call.answer()?;
//!     let digits = call.gather().audio("main").max(1).timeout_s(5).barge_in().run()?;
//!     match digits.as_str() {
//!         "1" => call.play().audio("hours").run()?,
//!         "0" => {
//!             let dialed = call.dial("sip:1001").timeout_s(20).run()?;
//!             log::info!("operator: {:?}", dialed.ended);
//!         }
//!         _ => call.play().audio("goodbye").run()?,
//!     }
//!     Ok("done")
//! }
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --target wasm32-wasip2 --profile guest`. On any other target the
//! crate compiles too, so that a plugin's own logic is tested with plain `cargo test`; only a
//! call to the host itself panics there.
//!
//! Errors: [`Error::Hangup`] and [`Error::Cancelled`] are the normal ends of a flow whose caller
//! has gone, so `?` on every step is right. Any other error that a flow returns is a fault, and
//! the caller hears the route's fallback.

/// The tutorial's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// An unknown argument is refused:
///
/// ```compile_fail
/// #[jackfield::ivr(need = ["dial"])]
/// fn run(call: &jackfield::Call) {}
/// # fn main() {}
/// ```
///
/// and so are a need that is no string, and something that is no function:
///
/// ```compile_fail
/// #[jackfield::ivr(needs = [dial])]
/// fn run(call: &jackfield::Call) {}
/// # fn main() {}
/// ```
///
/// ```compile_fail
/// #[jackfield::ivr]
/// struct Run;
/// # fn main() {}
/// ```
///
/// while this is fine:
///
/// ```no_run
/// #[jackfield::ivr(needs = ["dial", "record",],)]
/// pub fn run(call: &jackfield::Call) {}
/// # fn main() {}
/// ```
#[cfg(doctest)]
struct Attribute;

// The macro names this crate by its outside name, also in the tests below.
extern crate self as jackfield;

mod call;
mod civil;
pub mod clock;
pub mod config;
mod dial;
#[doc(hidden)]
pub mod export;
pub mod http;
pub mod kv;
pub mod log;
mod outcome;
mod prompt;

pub use jackfield_macros::ivr;

pub use crate::call::{Call, Enqueue, Gather, Play, Playing, Record};
pub use crate::dial::{Dial, Target};
pub use crate::export::bindings::jackfield::ivr::calls::CallInfo;
pub use crate::export::bindings::jackfield::ivr::calls::{
    DialOutcome, DialResult, Digits, Event, GatherEnd, Prompt, SecretDigits,
};
pub use crate::export::bindings::jackfield::types::types::{Attr, Direction, Error, Party};
pub use crate::outcome::Outcome;
