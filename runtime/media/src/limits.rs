//! Every bound of the room, with its reason.

/// Longest session description read.
///
/// Browser offers with many codecs and candidates reach 10 KiB; a datagram carries at most 64.
pub const SDP_BYTES_MAX: usize = 32 * 1024;

/// Most lines of one session description. The largest browser offers have about 300.
pub const SDP_LINES_MAX: usize = 512;

/// Longest line of one session description. Certificates and parameter sets reach 1 KiB.
pub const SDP_LINE_BYTES_MAX: usize = 2_048;

/// Most `m=` sections. A phone offers up to four: audio, video, content and messages.
pub const SDP_MEDIA_MAX: usize = 16;

/// Most formats on one `m=` line: there are 128 RTP payload types, products use up to 30.
pub const SDP_FORMATS_MAX: usize = 64;

/// Longest sound file decoded. 64 MiB holds an hour of 8 kHz PCM, longer than any prompt.
pub const WAV_BYTES_MAX: usize = 64 * 1024 * 1024;
