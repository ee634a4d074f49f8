//! The plugin host against a real component that does right or wrong on demand.
//!
//! One binary, so that the component is compiled once for each way of metering.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod cache;
mod faults;
mod flows;
mod grants;
mod load;
mod many;
mod registry;
