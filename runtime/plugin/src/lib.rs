//! The plugin host: check, grant, limit, call.
//!
//! Bytes become a [`Plugin`] through [`Host::load`]; a plugin starts a [`Run`] for each call. A run
//! is a machine: each host call of the guest that takes time is a [`RunOutput::Op`], each answer a
//! [`RunInput::Reply`]. Inside, the guest is straight-line code suspended on a fiber of its own,
//! in a store of its own, so a fault ends one run and touches nothing else.
//!
//! This room takes bytes and returns outputs: no files, threads, sockets or clocks. The shell
//! calls [`Host::tick`] every 10 ms, runs guests on plugin threads, watches directories and feeds
//! the [`Registry`], which knows what version of each plugin takes the next call.
//!
//! The words are those of `vocab::flow`. Each version of the interface in `wit/` has one adapter
//! under `ivr/` that converts to and from them.

pub mod limits;

mod cache;
mod config;
mod error;
mod grant;
mod guest;
mod host;
mod inspect;
mod ivr;
mod log;
mod manifest;
mod plugin;
mod registry;
mod run;
mod wasi;

pub use cache::{CacheKey, CacheRefusal};
pub use config::{Config, Value};
pub use error::{HostError, LoadError};
pub use grant::{Capability, Grant, UnknownCapability};
pub use host::{CacheUse, Host, HostConfig, Loaded, Metering};
pub use manifest::{Manifest, SECTION as MANIFEST_SECTION, World};
pub use plugin::Plugin;
pub use registry::{
    Installed, Listed, NotInstalled, NotRolledBack, Registry, RegistryOutput, Standing, Ticket,
};
pub use run::{End, Run, RunInput, RunOutput, Setup};
