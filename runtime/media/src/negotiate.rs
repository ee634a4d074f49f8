//! Offer and answer (RFC 3264): from two session descriptions to one stream.

use std::net::SocketAddr;

use crate::sdp::Description;
use crate::{Codec, StreamParams};

/// What we can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Codecs, most wanted first.
    pub codecs: Vec<Codec>,
    /// Digits as RFC 4733 events.
    pub dtmf: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { codecs: vec![Codec::Pcmu, Codec::Pcma], dtmf: true }
    }
}

/// Why no stream came out of an offer or an answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiateError {
    /// No audio section that is not disabled.
    #[error("no audio is offered")]
    NoAudio,
}

impl NegotiateError {
    /// The SIP status that tells the offerer: 488 if another offer could succeed, 400 if the
    /// description breaks the rules.
    pub fn status(&self) -> u16 {
        488
    }
}

/// Makes an offer of one audio section on `local`.
pub fn offer(
    caps: &Capabilities,
    local: SocketAddr,
    session_id: u64,
    version: u64,
) -> Description {
    let _ = (caps, local, session_id, version);
    unreachable!("not yet written")
}

/// Answers an offer: the first audio section that can work is taken, the others are refused with
/// port 0 (RFC 3264 §6).
///
/// # Errors
/// [`NegotiateError`] if no section can work.
pub fn answer(
    offer: &Description,
    caps: &Capabilities,
    local: SocketAddr,
    session_id: u64,
    version: u64,
) -> Result<(Description, StreamParams), NegotiateError> {
    let _ = (offer, caps, local, session_id, version);
    Err(NegotiateError::NoAudio)
}

/// What an answer to our offer settled.
///
/// # Errors
/// [`NegotiateError`] if the answer refuses or does not fit the offer.
pub fn accept(offer: &Description, answer: &Description) -> Result<StreamParams, NegotiateError> {
    let _ = (offer, answer);
    Err(NegotiateError::NoAudio)
}
