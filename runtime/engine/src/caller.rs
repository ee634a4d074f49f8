//! Who calls whom, as a request says.

use sip::message::{HeaderName, NameAddr, Request, Uri};
use vocab::Party;

/// Most identities that are asserted: one SIP URI and one number (RFC 3325 §9.1).
const ASSERTED_MAX: usize = 2;

/// Who calls, from `From`.
pub(crate) fn claimed(request: &Request) -> Party {
    let from = request.headers.from();
    from.map_or(Party::Anonymous, |from| party(&from.uri))
}

/// Who calls, from `P-Asserted-Identity`: the number, if there is one. What cannot be read is not
/// there.
pub(crate) fn asserted(request: &Request) -> Option<Party> {
    let values = request.headers.tokens(&HeaderName::PAssertedIdentity);
    let mut parties: Vec<Party> = values
        .take(ASSERTED_MAX)
        .filter_map(|value| NameAddr::parse(value).ok())
        .map(|value| party(&value.uri))
        .filter(|party| *party != Party::Anonymous)
        .collect();
    let number = |party: &Party| matches!(party, Party::E164(_));
    let best = parties.iter().position(number).unwrap_or(0);
    (best < parties.len()).then(|| parties.swap_remove(best))
}

/// Whether the caller asks not to be shown: by hiding what names it (`header`, `user`; RFC 3323
/// §4.2) or what is asserted of it (`id`; RFC 3325 §9.3). `full` is older than either, and still
/// sent. What is asked for the audio alone (`session`) is no such wish.
pub(crate) fn is_withheld(request: &Request) -> bool {
    let all = request.headers.all(&HeaderName::Privacy);
    let words = all.flat_map(|value| value.split([';', ','])).map(str::trim);
    let mut withheld = false;
    for word in words {
        if word.eq_ignore_ascii_case("none") {
            return false;
        }
        let hides = ["id", "user", "header", "full"];
        withheld |= hides.iter().any(|it| word.eq_ignore_ascii_case(it));
    }
    withheld
}

/// What was dialled: the user part of the request URI.
pub(crate) fn called(request: &Request) -> String {
    match request.parse_uri() {
        Ok(Uri::Sip(uri)) => uri.user_decoded().unwrap_or_default(),
        Ok(Uri::Tel(uri)) => uri.digits(),
        Ok(Uri::Other(_)) | Err(_) => String::new(),
    }
}

fn party(uri: &Uri) -> Party {
    let (user, host) = match uri {
        Uri::Sip(uri) => (
            uri.user_decoded().unwrap_or_default(),
            Some(uri.host.to_string()),
        ),
        Uri::Tel(uri) => (uri.digits(), None),
        Uri::Other(_) => return Party::Anonymous,
    };
    if user.is_empty() || user.eq_ignore_ascii_case("anonymous") {
        return Party::Anonymous;
    }
    let digits = user.strip_prefix('+').unwrap_or("");
    if (4..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Party::E164(user);
    }
    match host {
        Some(host) => Party::Sip(format!("{user}@{host}")),
        None => Party::Sip(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &str) -> Request {
        let text = format!(
            "INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\n\
             Max-Forwards: 70\r\nFrom: <sip:anonymous@anonymous.invalid>;tag=a\r\n\
             To: <sip:1000@192.0.2.1>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n{headers}\
             Content-Length: 0\r\n\r\n"
        );
        match sip::message::parse(text.as_bytes()) {
            Ok(sip::message::Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_number_of_what_is_asserted() {
        for (headers, wanted) in [
            ("", None),
            ("P-Asserted-Identity: \r\n", None),
            ("P-Asserted-Identity: what is this\r\n", None),
            (
                "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>\r\n",
                None,
            ),
            (
                "P-Asserted-Identity: \"Ann, of Sales\" <sip:ann@ims.example>\r\n",
                Some("ann@ims.example"),
            ),
            (
                "P-Asserted-Identity: <sip:02155501234@ims.example;user=phone>\r\n",
                Some("02155501234@ims.example"),
            ),
            (
                "P-Asserted-Identity: tel:+86-21-5550-1234\r\n",
                Some("+862155501234"),
            ),
            // Both at once, in either order, in one field or in two.
            (
                "P-Asserted-Identity: <sip:ann@ims.example>, <tel:+862155501234>\r\n",
                Some("+862155501234"),
            ),
            (
                "P-Asserted-Identity: <tel:+862155501234>\r\n\
                 P-Asserted-Identity: <sip:ann@ims.example>\r\n",
                Some("+862155501234"),
            ),
            // Of more than there may be, the rest is nobody's.
            (
                "P-Asserted-Identity: <sip:a@x>, <sip:b@x>, <tel:+862155501234>\r\n",
                Some("a@x"),
            ),
        ] {
            let found = asserted(&request(headers));
            assert_eq!(found.as_ref().map(Party::reveal), wanted, "{headers}");
        }
    }

    #[test]
    fn who_does_not_want_to_be_shown() {
        for (value, wanted) in [
            ("id", true),
            ("user", true),
            ("header", true),
            ("full", true),
            ("ID", true),
            ("user;id;critical", true),
            ("header; session", true),
            ("none", false),
            ("id;none", false),
            ("session", false),
            ("critical", false),
            ("history", false),
            ("", false),
            ("identity", false),
        ] {
            let request = request(&format!("Privacy: {value}\r\n"));
            assert_eq!(is_withheld(&request), wanted, "{value}");
        }
        assert!(!is_withheld(&request("")));
        assert!(is_withheld(&request("Privacy: session\r\nPrivacy: id\r\n")));
    }
}
