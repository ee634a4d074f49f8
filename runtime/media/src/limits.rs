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

/// Longest sound that a file may unpack to, in samples of a channel at its own rate: twenty minutes at
/// 48 kHz. Music on hold has no more, and 240 MB of memory are in use while it is brought to 8 kHz.
pub const SOUND_FRAMES_MAX: usize = 20 * 60 * 48_000;

/// Milliseconds of audio one session's jitter buffer can hold.
///
/// Twice the largest depth, so that a burst after a stall of the network still fits. At each rate
/// the number of samples is a multiple of 64, because one word has the bits of so many.
pub const PLAYOUT_MS: usize = 512;

/// Most milliseconds between arrival and playout that the jitter buffer builds up by itself.
///
/// ITU-T G.114 calls more than 400 ms mouth to ear unacceptable; the rest is left to the network.
pub const PLAYOUT_DEPTH_MAX_MS: usize = 240;

/// Most packets that wait to be decoded: [`PLAYOUT_MS`] of the shortest that Opus has, 2.5 ms.
pub const PLAYOUT_PACKETS_MAX: usize = 205;

/// Longest RTP payload used: 200 ms of G.711, the longest packet time RFC 3551 §4.2 asks
/// receivers to take.
pub const RTP_PAYLOAD_BYTES_MAX: usize = 1_600;

/// Longest canonical name we send; 22 characters of five bits are more than the 96 bits that
/// RFC 7022 §4.2 asks of a short-term one.
pub const CNAME_BYTES_MAX: usize = 24;

/// Most clips of one playback. A long sentence built of numbers and words has about 30.
pub const CLIPS_MAX: usize = 256;

/// Most digits waiting to be sent on one session; the longest number dialed has about 40 with its
/// prefixes, and this many take 13 s.
pub const DIGITS_MAX: usize = 64;

/// Most ticks made up for when the shell was late: 200 ms. More at once would only fill the far
/// end's buffer, so the time beyond is left out.
pub const CATCH_UP_TICKS_MAX: u64 = 10;

/// Most sessions that hear each other in one conference: a large meeting, or a class with a coach.
///
/// The sum of so many samples of 16 bits fits into 32 with a factor of 128 to spare.
pub const CONFERENCE_MEMBERS_MAX: usize = 512;

/// Samples in one chunk of a recording: 1 s of one channel, 0.5 s of two; 16 KB.
pub const RECORDING_CHUNK_SAMPLES: usize = 8_000;

/// Samples of a channel for which chunks of a recording are kept back while nothing is received: 3 s.
/// Audio that a stall of the network or of the node delays by less is recorded where it belongs.
pub const RECORDING_HELD_SAMPLES: usize = 24_000;

/// Most ticks left out at once that a recording keeps: 6 s, a little more than a socket's buffer
/// holds.
pub const RECORDED_SKIP_TICKS_MAX: u32 = 300;

/// Most sources kept apart for one SRTP key and direction.
///
/// A phone has one. A gateway may take another with every announcement it plays, and a long wait in
/// somebody's queue has about a hundred. 128 bytes each, taken as they come.
pub const SRTP_SOURCES_MAX: usize = 256;

/// Longest `a=crypto` value read: the longest tag, suite, key, lifetime and MKI come to about 150
/// characters, and there may be a few parameters.
pub const SDES_BYTES_MAX: usize = 512;

/// Most plans of call-progress tones that are listened for at once: those of four parts of the world
/// and the fax machine's are twelve.
pub const PLANS_MAX: usize = 16;

/// Tones and pauses of one round of a call-progress tone. Britain's ringback has four; longer
/// rounds exist (ITU-T E.180 Supplement 2), and none that we must know.
pub const PLAN_STEPS_MAX: usize = 4;
