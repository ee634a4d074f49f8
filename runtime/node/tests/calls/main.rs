//! Calls through the whole node, with phones at the other end, in virtual time.

mod bridge;
mod capture;
mod carrier;
mod control;
mod crossing;
mod dial;
mod hearing;
mod hold;
mod media;
mod phone;
mod pickup;
mod prompts;
mod refer;
mod secure;
mod several;
mod watch;
mod world;
