//! The examples of the standards. They name hosts where a call names addresses, so each is tried
//! twice: as it stands, and with the names replaced.

use std::net::SocketAddr;
use std::path::Path;

use expect_test::{Expect, expect};
use jackfield_media::negotiate::{self, Capabilities, NegotiateError};
use jackfield_media::sdp::Description;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/rfc")
        .join(name);
    std::fs::read_to_string(path).expect("a vector")
}

fn with_addresses(name: &str) -> Description {
    let text = ["host.atlanta.example.com", "host.anywhere.com"]
        .iter()
        .fold(text(name), |text, host| text.replace(host, "192.0.2.1"));
    let text = ["host.biloxi.example.com", "host.example.com"]
        .iter()
        .fold(text, |text, host| text.replace(host, "192.0.2.2"));
    Description::parse(text.as_bytes()).expect("a good description")
}

fn answered(offer: &Description) -> String {
    let local: SocketAddr = "198.51.100.10:40000".parse().expect("an address");
    match negotiate::answer(offer, &Capabilities::default(), local, 1, 1) {
        Ok((answer, _)) => {
            let text = String::from_utf8(answer.to_bytes())
                .expect("text")
                .replace('\r', "");
            text[text.find("m=").expect("a section")..].to_owned()
        }
        Err(error) => format!("{error}\n"),
    }
}

fn check(name: &str, expect: Expect) {
    expect.assert_eq(&answered(&with_addresses(name)));
}

#[test]
fn rfc_8866_section_5_comes_back_line_by_line() {
    let text = text("8866/5-description.sdp");
    let description = Description::parse(text.as_bytes()).expect("a good description");
    assert_eq!(
        String::from_utf8(description.to_bytes())
            .expect("text")
            .replace('\r', ""),
        text
    );
    expect![[r#"
        m=audio 40000 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        a=ptime:20
        a=sendrecv
        m=audio 0 RTP/AVP 0
        m=video 0 RTP/AVP 99
    "#]]
    .assert_eq(&answered(&description));
}

#[test]
fn names_are_refused_cleanly() {
    for name in [
        "4317/2.1-offer.sdp",
        "4317/2.4-offer.sdp",
        "3264/10.1-offer.sdp",
    ] {
        let offer = Description::parse(text(name).as_bytes()).expect("a good description");
        assert_eq!(
            answered(&offer),
            format!("{}\n", NegotiateError::HostName),
            "{name}"
        );
    }
}

#[test]
fn rfc_3264_section_10_1() {
    check(
        "3264/10.1-offer.sdp",
        expect![[r#"
            m=audio 40000 RTP/AVP 0
            a=rtpmap:0 PCMU/8000
            a=ptime:20
            a=sendrecv
            m=video 0 RTP/AVP 31
            m=video 0 RTP/AVP 32
        "#]],
    );
}

#[test]
fn rfc_4317_section_2_1_and_2_2() {
    for name in ["4317/2.1-offer.sdp", "4317/2.2-offer.sdp"] {
        check(
            name,
            expect![[r#"
                m=audio 40000 RTP/AVP 0
                a=rtpmap:0 PCMU/8000
                a=ptime:20
                a=sendrecv
                m=video 0 RTP/AVP 31 32
            "#]],
        );
    }
    check(
        "4317/2.2-second-offer.sdp",
        expect![[r#"
            m=audio 40000 RTP/AVP 0
            a=rtpmap:0 PCMU/8000
            a=ptime:20
            a=sendrecv
            m=video 0 RTP/AVP 31
        "#]],
    );
}

#[test]
fn rfc_4317_section_2_4_and_2_6() {
    check(
        "4317/2.4-offer.sdp",
        expect![[r#"
            m=audio 40000 RTP/AVP 0
            a=rtpmap:0 PCMU/8000
            a=ptime:20
            a=sendrecv
            m=audio 0 RTP/AVP 98
        "#]],
    );
    check(
        "4317/2.6-offer.sdp",
        expect![[r#"
            m=audio 40000 RTP/AVP 0
            a=rtpmap:0 PCMU/8000
            a=ptime:20
            a=sendrecv
            m=audio 0 RTP/AVP 97 101
        "#]],
    );
}

#[test]
fn rfc_4317_section_5_1_and_5_2_offer_nothing_we_can_use() {
    check(
        "4317/5.1-offer.sdp",
        expect!["no audio section that is in use\n"],
    );
    check("4317/5.2-offer.sdp", expect!["no codec in common\n"]);
}

#[test]
fn answers_to_offers() {
    for (offer, answer, result) in [
        ("3264/10.1-offer", "3264/10.1-answer", Ok("192.0.2.2:49920")),
        ("4317/2.1-offer", "4317/2.1-answer", Ok("192.0.2.2:49174")),
        ("4317/2.2-offer", "4317/2.2-answer", Ok("192.0.2.2:49172")),
        (
            "4317/2.2-second-offer",
            "4317/2.2-second-answer",
            Ok("192.0.2.2:49172"),
        ),
        (
            "4317/2.1-offer",
            "4317/2.3-answer",
            Err(NegotiateError::NoCodec),
        ),
        // We would offer no second audio section; of one that does, the first counts.
        (
            "4317/2.6-offer",
            "4317/2.6-answer",
            Err(NegotiateError::Refused),
        ),
        (
            "4317/2.6-offer",
            "4317/5.1-offer",
            Err(NegotiateError::Sections),
        ),
    ] {
        let offer = with_addresses(&format!("{offer}.sdp"));
        let got = negotiate::accept(&offer, &with_addresses(&format!("{answer}.sdp")));
        let got = got.map(|params| params.remote_rtp.to_string());
        assert_eq!(got.as_deref().map_err(|error| *error), result, "{answer}");
    }
}
