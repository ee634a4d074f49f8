//! The test bench: real processes and simulated worlds.

pub mod shell;
