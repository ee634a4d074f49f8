//! The routes, over loopback sockets, with a real database and a real control thread.

mod actions;
mod api;
mod archive;
mod bounds;
mod document;
mod events;
mod phone;
mod probes;
mod prompts;
mod recordings;
mod support;
mod trace;
