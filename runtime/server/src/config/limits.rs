//! Bounds of what is read at start, each with its reason.

/// Longest configuration file, the server's or a route's: a thousand routes take some 200 KB.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 20;

/// Most prompts of one folder: twenty languages with a thousand each.
pub(super) const PROMPTS_MAX: usize = 20_000;

/// Samples of all prompts of one folder: 512 MiB in memory, nine hours of audio.
pub(super) const PROMPT_SAMPLES_MAX: usize = 256 << 20;

/// Folders within folders of prompts: `digits/1` has one.
pub(super) const PROMPT_DEPTH_MAX: usize = 4;

/// Characters of a number: E.164 has 15 digits, dialled codes are longer.
pub(super) const NUMBER_CHARS_MAX: usize = 32;

/// Characters of a user.
pub(super) const USER_CHARS_MAX: usize = 64;

/// Characters of a token when the API is open to other machines: 64 bits in hexadecimal.
pub(super) const TOKEN_CHARS_MIN: usize = 16;

/// Characters of a phone's password when SIP is open to other machines. Scanners try short ones
/// all day, and what they find they sell as minutes.
pub(super) const PASSWORD_CHARS_MIN: usize = 8;

/// Addresses of one transport: a machine has a few, and 0.0.0.0 stands for all.
pub(super) const LISTENERS_MAX: usize = 8;

/// RTP ports: a caller and the party it is connected to take two each.
pub(super) const RTP_PORTS_MIN: usize = 4;

/// Media threads: more than any machine has use for.
pub(super) const MEDIA_THREADS_MAX: u64 = 64;

/// The highest core that Linux can bind a thread to, by the size of its set.
pub(super) const CORE_MAX: u64 = 1_023;

/// The highest code point: it has six bits (RFC 2474).
pub(super) const DSCP_MAX: u64 = 63;

/// Plugin threads.
pub(super) const PLUGIN_THREADS_MAX: u64 = 256;

/// Guests alive: each reserves 64 MiB of address space, of which there are 128 TiB.
pub(super) const RUNS_MAX: u64 = 50_000;

/// Characters of a word that marks scanners: shorter ones are in many honest names.
pub(super) const SCANNER_CHARS_MIN: usize = 4;

/// Seconds that a call may last unrefreshed: with a day, one whose phone vanished while it was on
/// hold is still there the next morning.
pub(super) const SESSION_S_MAX: u64 = 86_400;

/// DNS servers: the system reads three, and the first that answers is enough.
pub(super) const DNS_SERVERS_MAX: usize = 8;
