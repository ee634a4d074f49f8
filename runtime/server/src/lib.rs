//! The shell: everything that waits.
//!
//! Sockets, clocks, threads, files, subprocesses and HTTP live here, and nothing that decides.
//! The [`node::Node`] decides; the control thread feeds it and does what it asks for.
//!
//! | thread | what runs there |
//! |---|---|
//! | control | the node, signalling sockets ([`control`]) |
//! | media × N | a `media::Worker` each, its RTP sockets, one 20 ms clock ([`media_thread`]) |
//! | plugin × N | guests, a slice at a time, fair over tenants ([`plugin_pool`]) |
//! | ticker | ends the slices of guests |
//! | recorder | recording files ([`recorder`]) |
//! | archive | finished recordings: hashed, coded, encrypted ([`archive`]) |
//! | store | call events to the database ([`store_task`]) |
//! | trace | the signalling of each call: masked, filed, packed ([`trace`]) |
//! | tokio × 2 | HTTP, speech synthesis, DNS ([`dns`]), uploads of recordings and of prompts ([`prompts`]), signals |

pub mod cli;
pub mod clock;
pub mod config;
pub mod mailbox;
mod memory;
pub mod metrics;
pub mod net;

mod archive;
mod ask;
mod call_command;
mod calls_command;
mod control;
mod disk;
mod dns;
mod doors;
mod feed;
mod http;
mod media_thread;
mod plugin_command;
mod plugin_dir;
mod plugin_pool;
mod prompts;
mod prompts_command;
mod recorder;
mod recordings_command;
mod serve;
mod speech;
mod store_task;
mod telemetry;
mod trace;
mod trace_command;
mod vault;
