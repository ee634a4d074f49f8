//! Offers in the style of the phones and servers we meet, and what comes of them.

use expect_test::{Expect, expect};

use super::*;

const LOCAL: &str = "198.51.100.10:40000";
const LOCAL6: &str = "[2001:db8::10]:40000";

fn parse(text: &str) -> Description {
    Description::parse(text.as_bytes()).expect("a good description")
}

fn local(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn summary(params: &StreamParams) -> String {
    let dtmf = params
        .dtmf
        .map_or("none".to_owned(), |format| format.payload_type.to_string());
    format!(
        "{:?}/{} dtmf {dtmf} rtp {} rtcp {} send {} receive {}\n",
        params.codec,
        params.payload_type,
        params.remote_rtp,
        params.remote_rtcp,
        params.send,
        params.receive
    )
}

/// Answers an offer; the expectation is the stream and the answer without the lines that never
/// change, or the error.
fn check_with(caps: &Capabilities, local: SocketAddr, offer: &str, expect: Expect) {
    let text = match answer(&parse(offer), caps, local, 7, 1) {
        Ok((answer, params)) => {
            let bytes = answer.to_bytes();
            assert_eq!(
                Description::parse(&bytes).as_ref(),
                Ok(&answer),
                "we read what we write"
            );
            let text = String::from_utf8(bytes).expect("text").replace('\r', "");
            let section = text.find("m=").expect("a section");
            // Keys are random, and nobody's business.
            let lines = text[section..]
                .lines()
                .map(|line| match line.split_once("inline:") {
                    Some((before, _)) => format!("{before}inline:********\n"),
                    None => format!("{line}\n"),
                });
            summary(&params) + &lines.collect::<String>()
        }
        Err(error) => format!("{} {error}\n", error.status()),
    };
    expect.assert_eq(&text);
}

fn check(offer: &str, expect: Expect) {
    check_with(&Capabilities::default(), local(LOCAL), offer, expect);
}

/// An offer of one audio section with the given lines after the session's.
fn section(lines: &str) -> String {
    format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n{lines}")
}

#[test]
fn our_offer() {
    let offer = offer(&Capabilities::default(), local(LOCAL), 42, 3);
    expect![[r#"
        v=0
        o=- 42 3 IN IP4 198.51.100.10
        s=-
        c=IN IP4 198.51.100.10
        t=0 0
        m=audio 40000 RTP/AVP 0 8 101
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-16
        a=ptime:20
        a=sendrecv
        a=rtcp-mux
    "#]]
    .assert_eq(
        &String::from_utf8(offer.to_bytes())
            .expect("text")
            .replace('\r', ""),
    );
}

#[test]
fn a_desk_softphone_with_opus_first() {
    // Linphone: wide codecs first, events at two clock rates, feedback attributes.
    check(
        "v=0\no=ann 3012 1145 IN IP4 192.0.2.20\ns=Talk\nc=IN IP4 192.0.2.20\nt=0 0\n\
         a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\n\
         m=audio 7078 RTP/AVP 96 97 98 0 8 101 99\n\
         a=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n\
         a=rtpmap:97 speex/16000\na=fmtp:97 vbr=on\na=rtpmap:98 speex/8000\n\
         a=rtpmap:101 telephone-event/48000\na=rtpmap:99 telephone-event/8000\n\
         a=rtcp-fb:* trr-int 1000\n",
        expect![[r#"
            Pcmu/0 dtmf 99 rtp 192.0.2.20:7078 rtcp 192.0.2.20:7079 send true receive true
            m=audio 40000 RTP/AVP 0 99
            a=rtpmap:0 PCMU/8000
            a=rtpmap:99 telephone-event/8000
            a=fmtp:99 0-15
            a=ptime:20
            a=sendrecv
        "#]],
    );
}

#[test]
fn a_mobile_softphone_with_static_types_only() {
    // Zoiper: A-law before µ-law, no map for either, GSM in between.
    check(
        "v=0\no=Z 1700000000000 1 IN IP4 203.0.113.9\ns=Z\nc=IN IP4 203.0.113.9\nt=0 0\n\
         m=audio 8000 RTP/AVP 106 9 3 8 0 101\na=rtpmap:106 opus/48000/2\n\
         a=fmtp:106 sprop-maxcapturerate=16000; minptime=20; useinbandfec=1\n\
         a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=sendrecv\n",
        expect![[r#"
            Pcma/8 dtmf 101 rtp 203.0.113.9:8000 rtcp 203.0.113.9:8001 send true receive true
            m=audio 40000 RTP/AVP 8 101
            a=rtpmap:8 PCMA/8000
            a=rtpmap:101 telephone-event/8000
            a=fmtp:101 0-16
            a=ptime:20
            a=sendrecv
        "#]],
    );
}

#[test]
fn a_switch_with_comfort_noise_and_two_profiles() {
    // FreeSWITCH: a protected section before the plain one of the same stream, and comfort noise.
    check(
        "v=0\no=FreeSWITCH 1700000001 1700000002 IN IP4 192.0.2.30\ns=FreeSWITCH\n\
         c=IN IP4 192.0.2.30\nt=0 0\n\
         m=audio 25678 RTP/SAVP 102 0 8 103 101 13\na=rtpmap:102 opus/48000/2\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
         m=audio 25678 RTP/AVP 102 0 8 103 101 13\na=rtpmap:102 opus/48000/2\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:103 telephone-event/48000\n\
         a=fmtp:103 0-15\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
         a=rtpmap:13 CN/8000\na=rtcp:25679 IN IP4 192.0.2.30\na=ptime:20\n",
        expect![[r#"
            Pcmu/0 dtmf 101 rtp 192.0.2.30:25678 rtcp 192.0.2.30:25679 send true receive true
            m=audio 0 RTP/SAVP 102 0 8 103 101 13
            m=audio 40000 RTP/AVP 0 101
            a=rtpmap:0 PCMU/8000
            a=rtpmap:101 telephone-event/8000
            a=fmtp:101 0-15
            a=ptime:20
            a=sendrecv
        "#]],
    );
}

#[test]
fn an_exchange_with_video_and_a_limit_on_packets() {
    // Asterisk: maxptime on the audio, a video section after it.
    check(
        "v=0\no=- 1532 1532 IN IP4 192.0.2.40\ns=Asterisk\nc=IN IP4 192.0.2.40\nt=0 0\n\
         m=audio 14266 RTP/AVP 8 0 101\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\n\
         a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:20\na=maxptime:140\n\
         a=sendrecv\nm=video 12422 RTP/AVP 99\na=rtpmap:99 H264/90000\na=sendrecv\n",
        expect![[r#"
            Pcma/8 dtmf 101 rtp 192.0.2.40:14266 rtcp 192.0.2.40:14267 send true receive true
            m=audio 40000 RTP/AVP 8 101
            a=rtpmap:8 PCMA/8000
            a=rtpmap:101 telephone-event/8000
            a=fmtp:101 0-16
            a=ptime:20
            a=sendrecv
            m=video 0 RTP/AVP 99
        "#]],
    );
}

#[test]
fn a_command_line_phone_over_ipv6() {
    // baresip: reports on a port of their own, a label, both laws.
    check_with(
        &Capabilities::default(),
        local(LOCAL6),
        "v=0\no=- 2890844526 40 IN IP6 2001:db8::20\ns=-\nc=IN IP6 2001:db8::20\nt=0 0\n\
         a=tool:baresip\nm=audio 13008 RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\n\
         a=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
         a=rtcp:13011\na=sendrecv\na=label:1\na=rtcp-rsize\na=ssrc:99 cname:x\na=ptime:20\n",
        expect![[r#"
            Pcmu/0 dtmf 101 rtp [2001:db8::20]:13008 rtcp [2001:db8::20]:13011 send true receive true
            m=audio 40000 RTP/AVP 0 101
            a=rtpmap:0 PCMU/8000
            a=rtpmap:101 telephone-event/8000
            a=fmtp:101 0-15
            a=ptime:20
            a=sendrecv
        "#]],
    );
}

#[test]
fn a_gateway_with_events_below_96_and_fax() {
    // Cisco: X-NSE, events without the flash, an image section for fax.
    check(
        "v=0\no=CiscoSystemsSIP-GW-UserAgent 6973 4318 IN IP4 192.0.2.50\ns=SIP Call\n\
         c=IN IP4 192.0.2.50\nt=0 0\nm=audio 17100 RTP/AVP 18 0 100 95\nc=IN IP4 192.0.2.51\n\
         a=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\na=rtpmap:0 pcmu/8000/1\n\
         a=rtpmap:100 X-NSE/8000\na=fmtp:100 192-194\na=rtpmap:95 Telephone-Event/8000\n\
         a=fmtp:95 0-11\nm=image 17102 udptl t38\na=T38FaxVersion:0\n",
        expect![[r#"
            Pcmu/0 dtmf 95 rtp 192.0.2.51:17100 rtcp 192.0.2.51:17101 send true receive true
            m=audio 40000 RTP/AVP 0 95
            a=rtpmap:0 PCMU/8000
            a=rtpmap:95 telephone-event/8000
            a=fmtp:95 0-11
            a=ptime:20
            a=sendrecv
            m=image 0 udptl t38
        "#]],
    );
}

#[test]
fn a_load_generator_with_one_codec() {
    // sipp: as short as it gets, no ptime, no direction.
    check(
        "v=0\no=user1 53655765 2353687637 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=audio 6000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\n",
        expect![[r#"
            Pcma/8 dtmf none rtp 127.0.0.1:6000 rtcp 127.0.0.1:6001 send true receive true
            m=audio 40000 RTP/AVP 8
            a=rtpmap:8 PCMA/8000
            a=ptime:20
            a=sendrecv
        "#]],
    );
}

#[test]
fn directions_are_mirrored() {
    for (line, answered, send, receive) in [
        ("a=sendrecv\n", "sendrecv", true, true),
        ("a=sendonly\n", "recvonly", false, true),
        ("a=recvonly\n", "sendonly", true, false),
        ("a=inactive\n", "inactive", false, false),
        ("c=IN IP4 0.0.0.0\n", "recvonly", false, true),
        ("c=IN IP4 0.0.0.0\na=inactive\n", "inactive", false, false),
        ("c=IN IP4 0.0.0.0\na=recvonly\n", "inactive", false, false),
    ] {
        let offer = section(&format!("m=audio 6000 RTP/AVP 0\n{line}"));
        let (answer, params) =
            answer(&parse(&offer), &Capabilities::default(), local(LOCAL), 7, 1).expect("good");
        let text = String::from_utf8(answer.to_bytes()).expect("text");
        assert!(
            text.contains(&format!("a={answered}\r\n")),
            "{line}: {text}"
        );
        assert_eq!((params.send, params.receive), (send, receive), "{line}");
    }
}

#[test]
fn the_session_direction_counts_where_the_section_is_silent() {
    check(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=sendonly\n\
         m=audio 6000 RTP/AVP 0\n",
        expect![[r#"
            Pcmu/0 dtmf none rtp 192.0.2.1:6000 rtcp 192.0.2.1:6001 send false receive true
            m=audio 40000 RTP/AVP 0
            a=rtpmap:0 PCMU/8000
            a=ptime:20
            a=recvonly
        "#]],
    );
}

#[test]
fn one_line_each_of_what_is_taken() {
    for (lines, stream) in [
        // A dynamic number for a static codec, and a static number used for something else.
        (
            "m=audio 6000 RTP/AVP 96\na=rtpmap:96 PCMA/8000\n",
            "Pcma/96 dtmf none",
        ),
        (
            "m=audio 6000 RTP/AVP 0 8\na=rtpmap:0 L16/8000\n",
            "Pcma/8 dtmf none",
        ),
        // No parameters mean the digits (RFC 4733 §2.4.1).
        (
            "m=audio 6000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\n",
            "Pcmu/0 dtmf 97",
        ),
        (
            "m=audio 6000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\na=fmtp:97 events=0-15\n",
            "Pcmu/0 dtmf 97",
        ),
        // Events that are not keys, at another clock, or without a map, are of no use.
        (
            "m=audio 6000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\na=fmtp:97 32-36\n",
            "Pcmu/0 dtmf none",
        ),
        (
            "m=audio 6000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/16000\n",
            "Pcmu/0 dtmf none",
        ),
        (
            "m=audio 6000 RTP/AVP 0 101\na=fmtp:101 0-15\n",
            "Pcmu/0 dtmf none",
        ),
        // Formats that are no payload types are passed over.
        ("m=audio 6000 RTP/AVP x 999 -8 8\n", "Pcma/8 dtmf none"),
        ("m=audio 6000 rtp/avp 0\n", "Pcmu/0 dtmf none"),
        (
            "m=audio 6000 RTP/AVP 0\na=maxptime:20\n",
            "Pcmu/0 dtmf none",
        ),
        ("m=audio 6000 RTP/AVP 0\na=ptime:10\n", "Pcmu/0 dtmf none"),
    ] {
        let offer = parse(&section(lines));
        let (answer, params) =
            answer(&offer, &Capabilities::default(), local(LOCAL), 7, 1).expect("good");
        assert!(
            summary(&params).starts_with(&format!("{stream} ")),
            "{lines}{params:?}"
        );
        assert_eq!(answer.media[0].formats[0], params.payload_type.to_string());
        assert_eq!(
            answer.media[0].formats.len(),
            1 + params.dtmf.iter().count()
        );
    }
}

#[test]
fn reports_go_where_they_are_wanted() {
    for (lines, rtcp) in [
        ("m=audio 6000 RTP/AVP 0\n", "192.0.2.1:6001"),
        ("m=audio 6000 RTP/AVP 0\na=rtcp:7001\n", "192.0.2.1:7001"),
        (
            "m=audio 6000 RTP/AVP 0\na=rtcp:7001 IN IP4 192.0.2.9\n",
            "192.0.2.9:7001",
        ),
        (
            "m=audio 6000 RTP/AVP 0\na=rtcp:7001 IN IP4 a.example.com\n",
            "192.0.2.1:7001",
        ),
        ("m=audio 6000 RTP/AVP 0\na=rtcp:0\n", "192.0.2.1:6001"),
        ("m=audio 65535 RTP/AVP 0\n", "192.0.2.1:65535"),
    ] {
        let offer = parse(&section(lines));
        let (_, params) =
            answer(&offer, &Capabilities::default(), local(LOCAL), 7, 1).expect("good");
        assert_eq!(params.remote_rtcp.to_string(), rtcp, "{lines}");
    }
}

#[test]
fn offers_that_cannot_work_are_refused_by_cause() {
    use NegotiateError as E;
    for (lines, error, status) in [
        ("", E::NoAudio, 488),
        ("m=video 6000 RTP/AVP 31\n", E::NoAudio, 488),
        ("m=audio 0 RTP/AVP 0\n", E::NoAudio, 488),
        ("m=audio 6000 RTP/SAVP 0\n", E::NoKey, 488),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111 0\n", E::Protocol, 488),
        ("m=audio 9 TCP/RTP/AVP 0\n", E::Protocol, 488),
        ("m=audio 6000 RTP/AVP 18 3 9\n", E::NoCodec, 488),
        ("m=audio 6000 RTP/AVP\n", E::NoCodec, 488),
        (
            "m=audio 6000 RTP/AVP 96\na=rtpmap:96 PCMU/16000\n",
            E::NoCodec,
            488,
        ),
        (
            "m=audio 6000 RTP/AVP 96\na=rtpmap:96 PCMU/8000/2\n",
            E::NoCodec,
            488,
        ),
        (
            "m=audio 6000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000\n",
            E::NoCodec,
            488,
        ),
        ("m=audio 6000 RTP/AVP 0\na=maxptime:5\n", E::PacketTime, 488),
        (
            "m=audio 6000 RTP/AVP 0\nc=IN IP4 phone.example.com\n",
            E::HostName,
            488,
        ),
        (
            "m=audio 6000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n",
            E::AddressFamily,
            488,
        ),
        (
            "m=audio 6000 RTP/AVP 0\nc=IN IP4 233.252.0.1/127\n",
            E::NotUnicast,
            488,
        ),
        (
            "m=audio 6000 RTP/AVP 0\nc=IN IP4 255.255.255.255\n",
            E::NotUnicast,
            488,
        ),
        // The reason given is that of the first audio section.
        (
            "m=audio 6000 RTP/SAVP 0\nm=audio 6002 RTP/AVP 18\n",
            E::NoKey,
            488,
        ),
    ] {
        let offer = parse(&section(lines));
        let got = answer(&offer, &Capabilities::default(), local(LOCAL), 7, 1);
        assert_eq!(got.map(|_| ()), Err(error), "{lines}");
        assert_eq!(error.status(), status);
    }
    let nowhere = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 6000 RTP/AVP 0\n";
    let got = answer(
        &parse(nowhere),
        &Capabilities::default(),
        local(LOCAL),
        7,
        1,
    );
    assert_eq!(got.map(|_| ()), Err(E::NoAddress));
    assert_eq!(E::NoAddress.status(), 400);
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
    let offer = parse(&section(
        "m=audio 6000 RTP/AVP 0\nc=IN IP6 ::ffff:192.0.2.7\n",
    ));
    let (answer, params) = answer(
        &offer,
        &Capabilities::default(),
        local("[::ffff:198.51.100.10]:40000"),
        7,
        1,
    )
    .expect("good");
    assert_eq!(params.remote_rtp, local("192.0.2.7:6000"));
    assert!(
        String::from_utf8(answer.to_bytes())
            .expect("text")
            .contains("IN IP4 198.51.100.10")
    );
}

#[test]
fn what_we_cannot_do_is_not_answered() {
    let caps = Capabilities {
        codecs: vec![Codec::Pcma],
        dtmf: false,
        ..Capabilities::default()
    };
    check_with(
        &caps,
        local(LOCAL),
        &section("m=audio 6000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n"),
        expect![[r#"
            Pcma/8 dtmf none rtp 192.0.2.1:6000 rtcp 192.0.2.1:6001 send true receive true
            m=audio 40000 RTP/AVP 8
            a=rtpmap:8 PCMA/8000
            a=ptime:20
            a=sendrecv
        "#]],
    );
}

#[test]
fn the_second_audio_section_is_refused() {
    check(
        &section("m=audio 6000 RTP/AVP 0\nm=audio 6002 RTP/AVP 8\n"),
        expect![[r#"
            Pcmu/0 dtmf none rtp 192.0.2.1:6000 rtcp 192.0.2.1:6001 send true receive true
            m=audio 40000 RTP/AVP 0
            a=rtpmap:0 PCMU/8000
            a=ptime:20
            a=sendrecv
            m=audio 0 RTP/AVP 8
        "#]],
    );
}

#[test]
fn our_offer_and_our_answer_agree() {
    for codecs in [vec![Codec::Pcmu], vec![Codec::Pcma, Codec::Pcmu]] {
        for dtmf in [true, false] {
            let (near, far) = (local("192.0.2.1:4000"), local("192.0.2.2:5000"));
            let caps = Capabilities {
                codecs: codecs.clone(),
                dtmf,
                ..Capabilities::default()
            };
            let offer = parse_bytes(&offer(&caps, near, 1, 1));
            let (answer, theirs) =
                answer(&offer, &Capabilities::default(), far, 2, 1).expect("common ground");
            let ours = accept(&offer, &parse_bytes(&answer)).expect("accepted");
            assert_eq!((ours.remote_rtp, theirs.remote_rtp), (far, near));
            assert_eq!(
                (ours.codec, ours.payload_type),
                (theirs.codec, theirs.payload_type)
            );
            assert_eq!(ours.codec, codecs[0]);
            assert_eq!(ours.dtmf, theirs.dtmf);
            assert_eq!(ours.dtmf.is_some(), dtmf);
            assert!(ours.send && ours.receive && theirs.send && theirs.receive);
        }
    }
}

fn parse_bytes(description: &Description) -> Description {
    Description::parse(&description.to_bytes()).expect("we read what we write")
}

#[test]
fn holding_and_being_held() {
    let (near, far) = (local("192.0.2.1:4000"), local("192.0.2.2:5000"));
    for (direction, send, receive) in [
        (Direction::SendRecv, true, true),
        (Direction::SendOnly, true, false),
        (Direction::RecvOnly, false, true),
        (Direction::Inactive, false, false),
    ] {
        let mut offer = offer(&Capabilities::default(), near, 1, 2);
        offer.media[0].direction = Some(direction);
        let (answer, theirs) = answer(&offer, &Capabilities::default(), far, 2, 2).expect("good");
        let ours = accept(&offer, &answer).expect("good");
        assert_eq!((ours.send, ours.receive), (send, receive), "{direction:?}");
        assert_eq!(
            (theirs.send, theirs.receive),
            (receive, send),
            "{direction:?}"
        );
    }
}

#[test]
fn answers_to_our_offer() {
    let ours = offer(&Capabilities::default(), local(LOCAL), 1, 1);
    let good = [
        (
            "m=audio 6000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n",
            "Pcmu/0 dtmf 101",
        ),
        ("m=audio 6000 RTP/AVP 8\n", "Pcma/8 dtmf none"),
        // Several codecs: the first is used. Another number for events is used towards them.
        (
            "m=audio 6000 RTP/AVP 8 0 96\na=rtpmap:96 telephone-event/8000\n",
            "Pcma/8 dtmf 96",
        ),
        ("m=audio 6000 RTP/AVP 0\na=sendonly\n", "Pcmu/0 dtmf none"),
    ];
    for (lines, stream) in good {
        let params = accept(&ours, &parse(&section(lines))).expect("good");
        assert!(
            summary(&params).starts_with(&format!("{stream} ")),
            "{lines}{params:?}"
        );
        assert_eq!(params.send, !lines.contains("sendonly"));
    }
    use NegotiateError as E;
    for (lines, error) in [
        ("", E::Sections),
        (
            "m=audio 6000 RTP/AVP 0\nm=video 0 RTP/AVP 31\n",
            E::Sections,
        ),
        ("m=video 6000 RTP/AVP 31\n", E::Sections),
        ("m=audio 0 RTP/AVP 0\n", E::Refused),
        ("m=audio 6000 RTP/AVP 18\n", E::NoCodec),
        ("m=audio 6000 RTP/SAVP 0\n", E::Protocol),
        (
            "m=audio 6000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n",
            E::AddressFamily,
        ),
        (
            "m=audio 6000 RTP/AVP 0\nc=IN IP4 a.example.com\n",
            E::HostName,
        ),
    ] {
        assert_eq!(
            accept(&ours, &parse(&section(lines))).map(|_| ()),
            Err(error),
            "{lines}"
        );
    }
    // A codec that we know but did not offer.
    let caps = Capabilities {
        codecs: vec![Codec::Pcmu],
        dtmf: false,
        ..Capabilities::default()
    };
    let narrow = offer(&caps, local(LOCAL), 1, 1);
    let other = parse(&section("m=audio 6000 RTP/AVP 8\n"));
    assert_eq!(accept(&narrow, &other).map(|_| ()), Err(E::NoCodec));
}

#[test]
#[should_panic(expected = "media needs an address")]
fn we_never_put_ourselves_on_hold_by_mistake() {
    offer(&Capabilities::default(), local("0.0.0.0:4000"), 1, 1);
}

/// All codecs, and keys.
fn everything(srtp: Srtp) -> Capabilities {
    Capabilities {
        srtp,
        keys: keys(&mut Rng::from_u64(1)),
        ..Capabilities::all()
    }
}

#[test]
fn the_best_of_all_is_taken_with_events_of_its_clock() {
    let caps = everything(Srtp::Allow);
    // Linphone, as above.
    check_with(
        &caps,
        local(LOCAL),
        "v=0\no=ann 3012 1145 IN IP4 192.0.2.20\ns=Talk\nc=IN IP4 192.0.2.20\nt=0 0\n\
         m=audio 7078 RTP/AVP 96 0 101 99\n\
         a=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\na=rtcp-mux\n\
         a=rtpmap:101 telephone-event/48000\na=rtpmap:99 telephone-event/8000\n",
        expect![[r#"
            Opus/96 dtmf 101 rtp 192.0.2.20:7078 rtcp 192.0.2.20:7078 send true receive true
            m=audio 40000 RTP/AVP 96 101
            a=rtpmap:96 opus/48000/2
            a=rtpmap:101 telephone-event/48000
            a=fmtp:96 maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=32000;useinbandfec=1
            a=fmtp:101 0-15
            a=ptime:20
            a=sendrecv
            a=rtcp-mux
        "#]],
    );
    // FreeSWITCH's two sections: the secured one is taken.
    check_with(
        &caps,
        local(LOCAL),
        "v=0\no=FreeSWITCH 1700000001 1700000002 IN IP4 192.0.2.30\ns=FreeSWITCH\n\
         c=IN IP4 192.0.2.30\nt=0 0\n\
         m=audio 25678 RTP/SAVP 9 0 101\n\
         a=crypto:7 F8_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
         a=crypto:8 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
         a=rtpmap:101 telephone-event/8000\na=ptime:30\n\
         m=audio 25678 RTP/AVP 9 0 101\na=rtpmap:101 telephone-event/8000\n",
        expect![[r#"
            G722/9 dtmf 101 rtp 192.0.2.30:25678 rtcp 192.0.2.30:25679 send true receive true
            m=audio 40000 RTP/SAVP 9 101
            a=rtpmap:9 G722/8000
            a=rtpmap:101 telephone-event/8000
            a=fmtp:101 0-15
            a=ptime:20
            a=sendrecv
            a=crypto:8 AES_CM_128_HMAC_SHA1_80 inline:********
            m=audio 0 RTP/AVP 9 0 101
        "#]],
    );
}

#[test]
fn packets_are_as_long_as_the_far_end_wants() {
    for (codec, lines, ms) in [
        ("0", "", 20),
        ("0", "a=ptime:10\n", 10),
        ("0", "a=ptime:30\n", 30),
        ("0", "a=ptime:35\n", 30),
        ("0", "a=ptime:5\n", 10),
        ("0", "a=ptime:200\n", 60),
        ("0", "a=ptime:40\na=maxptime:30\n", 30),
        ("9", "a=ptime:60\n", 60),
        ("96", "a=rtpmap:96 opus/48000/2\na=ptime:30\n", 20),
        ("96", "a=rtpmap:96 opus/48000/2\na=ptime:60\n", 60),
        ("96", "a=rtpmap:96 L16/16000\na=ptime:60\n", 40),
        ("96", "a=rtpmap:96 L16/8000\na=ptime:60\n", 60),
    ] {
        let offer = parse(&section(&format!("m=audio 6000 RTP/AVP {codec}\n{lines}")));
        let answered = answer(&offer, &everything(Srtp::Off), local(LOCAL), 1, 1);
        let (_, params) = answered.expect("common ground");
        assert_eq!(params.ptime_ms, ms, "{codec} {lines}");
    }
}

#[test]
fn security_is_as_both_sides_want_it() {
    use NegotiateError as E;
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
               inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    let broken = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\n";
    let plain = "m=audio 6000 RTP/AVP 0\n".to_owned();
    let secure = format!("m=audio 6000 RTP/SAVP 0\n{key}");
    let feedback = format!("m=audio 6000 RTP/SAVPF 0\n{key}");
    for (srtp, offered, expected) in [
        (Srtp::Off, &plain, Ok(false)),
        (Srtp::Off, &secure, Err(E::Protocol)),
        (Srtp::Allow, &plain, Ok(false)),
        (Srtp::Allow, &secure, Ok(true)),
        (Srtp::Offer, &plain, Ok(false)),
        (Srtp::Offer, &feedback, Ok(true)),
        (Srtp::Require, &plain, Err(E::Protocol)),
        (Srtp::Require, &secure, Ok(true)),
        (Srtp::Require, &format!("{plain}{secure}"), Ok(true)),
        (
            Srtp::Allow,
            &format!("m=audio 6000 RTP/SAVP 0\n{broken}"),
            Err(E::NoKey),
        ),
        (
            Srtp::Allow,
            &"m=audio 6000 RTP/SAVP 0\n".to_owned(),
            Err(E::NoKey),
        ),
        (
            Srtp::Allow,
            &"m=audio 6000 UDP/TLS/RTP/SAVPF 0\n".to_owned(),
            Err(E::Protocol),
        ),
        (
            Srtp::Allow,
            &"m=audio 6000 RTP/AVPF 0\n".to_owned(),
            Ok(false),
        ),
    ] {
        let answered = answer(
            &parse(&section(offered)),
            &everything(srtp),
            local(LOCAL),
            1,
            1,
        );
        let secured = answered.map(|(_, params)| params.srtp.is_some());
        assert_eq!(secured, expected, "{srtp:?}: {offered}");
    }
}

/// Who is offered a key and answers with one: both have the same two keys, the other way round.
#[test]
fn both_sides_get_each_others_keys() {
    let caps = everything(Srtp::Require);
    let theirs = Capabilities {
        keys: keys(&mut Rng::from_u64(2)),
        ..everything(Srtp::Allow)
    };
    let (near, far) = (local("192.0.2.1:4000"), local("192.0.2.2:5000"));
    let offer = parse_bytes(&offer(&caps, near, 1, 1));
    assert_eq!(offer.media[0].protocol, SAVP);
    let (answer, there) = answer(&offer, &theirs, far, 2, 1).expect("common ground");
    let answer = parse_bytes(&answer);
    let here = accept(&offer, &answer).expect("accepted");
    let (here, there) = (here.srtp.expect("secured"), there.srtp.expect("secured"));
    assert_eq!((&here.send, &here.receive), (&there.receive, &there.send));
    assert_eq!(here.send.suite(), SUITES[0]);
    assert_ne!(here.send, here.receive);
    // An answer without a key, or with another suite than was offered, is none.
    for change in [
        |line: &mut Attribute| line.name = "other".to_owned(),
        |line: &mut Attribute| {
            let value = line.value.take().unwrap_or_default();
            line.value = Some(value.replace("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_32"));
        },
    ] {
        let mut bad = answer.clone();
        bad.media[0].attributes.iter_mut().for_each(change);
        assert_eq!(accept(&offer, &bad).map(|_| ()), Err(NegotiateError::NoKey));
    }
    let mut downgraded = answer.clone();
    downgraded.media[0].protocol = AVP.to_owned();
    let accepted = accept(&offer, &downgraded).map(|_| ());
    assert_eq!(accepted, Err(NegotiateError::Protocol));
}

#[test]
fn what_the_other_side_has_goes_before_what_is_offered_first() {
    let offer = parse(&section("m=audio 6000 RTP/AVP 9 8 0\n"));
    for (preferred, taken) in [
        (None, Codec::G722),
        (Some(Codec::Pcmu), Codec::Pcmu),
        (Some(Codec::Opus), Codec::G722),
    ] {
        let caps = Capabilities {
            preferred,
            ..everything(Srtp::Off)
        };
        let (_, params) = answer(&offer, &caps, local(LOCAL), 1, 1).expect("common ground");
        assert_eq!(params.codec, taken);
    }
    assert_eq!(offered(&offer), [Codec::G722, Codec::Pcma, Codec::Pcmu]);
}
