//! Everything that needs more than one room: the simulator, and peers for scenarios.
//!
//! [`sim`] holds a world of phones, a lossy network, a disk and plugins around the production
//! node, on one thread and one virtual clock: the same seed gives the same run, to the byte.
//! [`crowd`] has a million calls made through call control and signalling over bad lines.
//! [`bench`] measures, with calls made by [`load`].
//! [`shell`] starts the real binary, [`phones`] and real [`peers`] call it over real sockets,
//! and [`stalls`] tells when the machine stood still meanwhile.

pub mod bench;
pub mod crowd;
pub mod load;
pub mod oracle;
pub mod peers;
pub mod phones;
pub mod shell;
pub mod sim;
pub mod stalls;
