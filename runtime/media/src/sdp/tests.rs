//! Descriptions as products and attackers send them.

use expect_test::{Expect, expect};

use super::*;
use crate::limits::{SDP_BYTES_MAX, SDP_FORMATS_MAX, SDP_LINES_MAX, SDP_MEDIA_MAX};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

/// Reads, writes, and reads again what was written: the third must equal the first.
fn check(text: &str, expect: Expect) {
    let first = Description::parse(text.as_bytes()).expect("a good description");
    let written = first.to_bytes();
    assert_eq!(Description::parse(&written).as_ref(), Ok(&first));
    let written = String::from_utf8(written).expect("text");
    assert_eq!(
        written.matches('\n').count(),
        written.matches("\r\n").count()
    );
    expect.assert_eq(&written.replace('\r', ""));
}

#[test]
fn an_origin_in_brackets_is_an_address_all_the_same() {
    let text = HEAD.replace("IN IP4 192.0.2.1\r\ns", "IN IP6 [2001:db8::7]\r\ns");
    let read = Description::parse(text.as_bytes()).expect("a good description");
    let plain = text.replace(['[', ']'], "");
    assert_eq!(Ok(read), Description::parse(plain.as_bytes()));
}

#[test]
fn everything_is_kept_and_written_in_the_order_of_the_grammar() {
    check(
        "v=0\n\
         o=Ann Example 20518 7 IN IP6 2001:db8::7\n\
         k=clear:x\n\
         a=ice-lite\n\
         a=sendonly\n\
         t=0 0\n\
         r=604800 3600 0 90000\n\
         z=2882844526 -1h\n\
         b=AS:128\n\
         i=About\n\
         c=IN IP4 233.252.0.1/127/2\n\
         s=Weekly call \n\
         m=audio 49170/2 RTP/AVP 0 101\n\
         a=fmtp:101 0-15\n\
         a=rtpmap:0 PCMU/8000\n\
         a=rtpmap:101 telephone-event/8000/1\n\
         a=maxptime:150\n\
         a=ptime:20.5\n\
         a=rtcp:53020 IN IP6 2001:db8::8\n\
         a=rtcp-mux\n\
         a=recvonly\n\
         a=candidate:1 1 udp 1 192.0.2.1 5 typ host\n\
         b=TIAS:64000\n\
         i=Left\n\
         c=IN IP6 media.example.com\n",
        expect![[r#"
            v=0
            o=Ann Example 20518 7 IN IP6 2001:db8::7
            s=Weekly call
            i=About
            c=IN IP4 233.252.0.1/127/2
            b=AS:128
            t=0 0
            r=604800 3600 0 90000
            z=2882844526 -1h
            k=clear:x
            a=sendonly
            a=ice-lite
            m=audio 49170/2 RTP/AVP 0 101
            i=Left
            c=IN IP6 media.example.com
            b=TIAS:64000
            a=rtpmap:0 PCMU/8000
            a=rtpmap:101 telephone-event/8000/1
            a=fmtp:101 0-15
            a=ptime:20
            a=maxptime:150
            a=recvonly
            a=rtcp:53020 IN IP6 2001:db8::8
            a=rtcp-mux
            a=candidate:1 1 udp 1 192.0.2.1 5 typ host
        "#]],
    );
}

#[test]
fn what_products_leave_out_or_spell_oddly_is_taken() {
    check(
        "v=0\r\n\r\no=SIP Phone 99999999999999999999 0 in ip4 host_1.example.com\r\n\
         m=audio  4000  RTP/AVP  0 \r\nm=video 0 RTP/AVP\r\n\
         a=fmtp:96\r\na=ptime:x\r\na=rtcp:none\r\na=sendrecv:1\r\na=label:\r\n\r\n",
        expect![[r#"
            v=0
            o=SIP Phone 99999999999999999999 0 IN IP4 host_1.example.com
            s=-
            t=0 0
            m=audio 4000 RTP/AVP 0
            m=video 0 RTP/AVP
            a=fmtp:96
            a=ptime:x
            a=rtcp:none
            a=sendrecv:1
            a=label:
        "#]],
    );
}

#[test]
fn a_name_in_a_local_encoding_does_not_stop_the_call() {
    let bytes = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=\xb2\xe2\xca\xd4\r\nt=0 0\r\n";
    let description = Description::parse(bytes).expect("the rest is fine");
    assert!(description.name.chars().all(|c| c == '\u{fffd}'));
}

#[test]
fn direction_and_connection_come_from_the_section_first() {
    let text = format!(
        "{HEAD}a=recvonly\r\nm=audio 1 RTP/AVP 0\r\nm=audio 2 RTP/AVP 0\r\n\
         c=IN IP4 192.0.2.2\r\na=inactive\r\n"
    );
    let session = Description::parse(text.as_bytes()).expect("good");
    let seen: Vec<_> = session
        .media
        .iter()
        .map(|media| (session.direction_of(media), session.connection_of(media)))
        .map(|(direction, connection)| (direction, connection.and_then(|c| c.host.ip())))
        .collect();
    assert_eq!(
        seen,
        [
            (Direction::RecvOnly, "192.0.2.1".parse().ok()),
            (Direction::Inactive, "192.0.2.2".parse().ok()),
        ]
    );
}

#[test]
fn bad_lines_are_named() {
    for (text, line, reason) in [
        ("", 0, Reason::Empty),
        ("\r\n\r\n", 0, Reason::Empty),
        ("v=1\r\n", 1, Reason::Version),
        ("o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n", 1, Reason::Version),
        ("INVITE sip:a@b SIP/2.0\r\n", 1, Reason::NotALine),
        ("v=0\r\ns=-\r\n", 0, Reason::NoOrigin),
        ("v=0\r\no=- 1 1 IN IP4\r\n", 2, Reason::Origin),
        ("v=0\r\no=1 1 IN IP4 192.0.2.1\r\n", 2, Reason::Origin),
        ("v=0\r\no=- 1 1 IN IP5 192.0.2.1\r\n", 2, Reason::Origin),
        ("v=0\r\no=- 1 1 ATM IP4 192.0.2.1\r\n", 2, Reason::Origin),
        ("v=0\r\no=- 1 1 IN IP4 a/b\r\n", 2, Reason::Origin),
        ("v=0\r\nv=0\r\n", 2, Reason::Repeated),
        ("v=0\r\ns=a\r\ns=b\r\n", 3, Reason::Repeated),
        ("v=0\r\nx=1\r\n", 2, Reason::Type),
        ("v=0\r\n=1\r\n", 2, Reason::NotALine),
        ("v=0\r\na\r\n", 2, Reason::NotALine),
        ("v=0\r\ns=a\0b\r\n", 2, Reason::Control),
        ("v=0\r\ns=a\rt=0 0\r\n", 2, Reason::Control),
        ("v=0\r\nc=IN IP4\r\n", 2, Reason::Connection),
        ("v=0\r\nc=IN IP4 192.0.2.1 x\r\n", 2, Reason::Connection),
        ("v=0\r\nc=IN IP4 /3\r\n", 2, Reason::Connection),
        ("v=0\r\na=\r\n", 2, Reason::Attribute),
        ("v=0\r\na=:x\r\n", 2, Reason::Attribute),
        ("v=0\r\nm=audio 1\r\n", 2, Reason::Media),
        ("v=0\r\nm=audio x RTP/AVP 0\r\n", 2, Reason::Port),
        ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", 2, Reason::Port),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", 2, Reason::Port),
        ("v=0\r\nm=audio +1 RTP/AVP 0\r\n", 2, Reason::Port),
        ("v=0\r\nm=audio 1/0 RTP/AVP 0\r\n", 2, Reason::Port),
        ("v=0\r\nm=audio 1/ RTP/AVP 0\r\n", 2, Reason::Port),
        ("v=0\r\nm=audio 1 RTP/AVP 0\r\nt=0 0\r\n", 3, Reason::Type),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap\r\n",
            3,
            Reason::RtpMap,
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap:0\r\n",
            3,
            Reason::RtpMap,
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU\r\n",
            3,
            Reason::RtpMap,
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap:128 PCMU/8000\r\n",
            3,
            Reason::RtpMap,
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap:0 /8000\r\n",
            3,
            Reason::RtpMap,
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000 1\r\n",
            3,
            Reason::RtpMap,
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU/99999999999\r\n",
            3,
            Reason::RtpMap,
        ),
    ] {
        assert_eq!(
            Description::parse(text.as_bytes()),
            Err(ParseError { line, reason }),
            "{text:?}"
        );
    }
    let error = ParseError {
        line: 3,
        reason: Reason::RtpMap,
    };
    assert_eq!(
        error.to_string(),
        "line 3: expected rtpmap:type encoding/clock"
    );
}

#[test]
fn limits_refuse_the_line_that_goes_over() {
    let media = |count: usize| format!("{HEAD}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(count));
    let formats = |count: usize| format!("{HEAD}m=audio 1 RTP/AVP{}\r\n", " 0".repeat(count));
    let lines = |count: usize| format!("{HEAD}{}", "a=x\r\n".repeat(count - 5));
    for (good, bad, line, reason) in [
        (
            media(SDP_MEDIA_MAX),
            media(SDP_MEDIA_MAX + 1),
            22,
            Reason::TooManyMedia,
        ),
        (
            formats(SDP_FORMATS_MAX),
            formats(SDP_FORMATS_MAX + 1),
            6,
            Reason::TooManyFormats,
        ),
        (
            lines(SDP_LINES_MAX),
            lines(SDP_LINES_MAX + 2),
            514,
            Reason::TooManyLines,
        ),
        (
            format!("{HEAD}a={}\r\n", "x".repeat(2_045)),
            format!("{HEAD}a={}\r\n", "x".repeat(2_047)),
            6,
            Reason::LineTooLong,
        ),
        (
            HEAD.to_owned(),
            "a".repeat(SDP_BYTES_MAX + 1),
            0,
            Reason::TooLong,
        ),
    ] {
        assert!(Description::parse(good.as_bytes()).is_ok(), "{reason:?}");
        assert_eq!(
            Description::parse(bad.as_bytes()),
            Err(ParseError { line, reason })
        );
    }
}
