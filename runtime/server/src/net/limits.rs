//! Bounds of connections, each with its reason.

use std::time::Duration;

/// Most connections at once; further ones are closed at once.
pub(super) const STREAMS_MAX: usize = 4_096;

/// Most of them that others opened and whose handshake is not over: a flood of half-open ones
/// leaves room for those that speak.
pub(super) const HANDSHAKES_MAX: usize = 1_024;

/// Most of these from one source: an office behind one address whose browsers all come back at
/// once has them over in a moment, and one stranger leaves room for all others.
pub(super) const HANDSHAKES_OF_SOURCE_MAX: usize = 128;

/// How long a connection, its TLS and its WebSocket handshake may take together. A phone on a bad
/// mobile network needs two or three seconds.
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Most bytes waiting for a slow reader; past this its connection is closed.
pub(super) const WAITING_MAX: usize = 256 << 10;

/// Bytes read at a time from one connection, so that one talker does not starve the others.
pub(super) const READ_BYTES: usize = 16 << 10;

/// Bytes of the HTTP request that opens a WebSocket: browsers send some 700, with cookies more.
pub(super) const UPGRADE_BYTES_MAX: usize = 8 << 10;

/// Bytes of one WebSocket message: the largest SIP message there is (32 KiB of head, 64 of body).
pub(super) const MESSAGE_BYTES_MAX: usize = 96 << 10;

/// Frames of one WebSocket message: browsers send one; many small ones only cost time.
pub(super) const FRAMES_MAX: usize = 64;

/// Pings answered before something else is said: a browser sends none, a proxy one in 30 s.
pub(super) const PINGS_MAX: u32 = 256;

/// Most browsers whose audio comes by TCP, for each media thread: a thread has not many more calls.
pub(super) const GATE_STREAMS_MAX: usize = 1_024;

/// Most of these from one source: an office behind one address.
pub(super) const GATE_STREAMS_OF_SOURCE_MAX: usize = 128;

/// Longest datagram within TCP: RTP and records of DTLS fit 1,500 bytes.
pub(super) const FRAME_BYTES_MAX: usize = 2_048;

/// Most bytes of audio that wait for a slow connection: 1 s of G.711 with its headers.
pub(super) const FRAMES_WAITING_BYTES: usize = 12 << 10;

/// How long one may say nothing of use after it was opened: a browser's check is the first it says.
pub(super) const GATE_PATIENCE: Duration = Duration::from_secs(10);

/// How long one that did may say nothing: browsers check again every few seconds (RFC 7675 §5.1).
pub(super) const GATE_QUIET: Duration = Duration::from_secs(30);
