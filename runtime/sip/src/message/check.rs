//! What a request is refused with before anybody looks at its meaning.

use super::{HeaderError, HeaderName, Request, Response};

/// What a user agent understands, for [`check_request`].
#[derive(Clone, Copy, Debug)]
pub struct Supports<'a> {
    /// Option tags for `Require` (RFC 3261 §8.2.2.3).
    pub extensions: &'a [&'a str],
    /// Media types of bodies, in lower case.
    pub content_types: &'a [&'a str],
}

/// The answer that a request deserves instead of being handled.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    /// 400, 415, 416 or 420.
    pub status: u16,
    /// Reason phrase that says what is wrong.
    pub reason: String,
    /// Headers that go into the answer, such as `Unsupported`.
    pub headers: Vec<(HeaderName, String)>,
}

/// Checks what every request must have, whatever it means (RFC 3261 §8.2).
///
/// # Errors
/// The refusal. Never answer an ACK with it: drop that instead.
pub fn check_request(request: &Request, supports: &Supports<'_>) -> Result<(), Refusal> {
    let _ = (request, supports);
    Ok(())
}

/// Checks what every response must have: top `Via`, `From`, `To`, `Call-ID`, `CSeq`.
///
/// # Errors
/// The first header that is missing or bad. Drop the response.
pub fn check_response(response: &Response) -> Result<(), HeaderError> {
    let _ = response;
    Ok(())
}
