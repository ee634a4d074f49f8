//! Descriptions of browsers, as the two large families write them.

use crate::Codec;
use crate::negotiate::*;
use crate::webrtc::{Credentials, Door, Role};

const LOCAL: &str = "192.0.2.1:20000";

/// As Chromium offers audio and video: with candidates of two networks, one hidden behind a name.
const CHROMIUM: &str = "v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS stream\r
m=audio 54321 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r
c=IN IP4 203.0.113.7\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2122260223 4f0e.local 54321 typ host generation 0 network-id 1\r
a=candidate:2 1 udp 1686052607 203.0.113.7 54321 typ srflx raddr 0.0.0.0 rport 0 generation 0\r
a=candidate:3 1 tcp 1518280447 4f0e.local 9 typ host tcptype active generation 0\r
a=ice-ufrag:EsAw\r
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r
a=ice-options:trickle\r
a=fingerprint:sha-256 0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=sendrecv\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
c=IN IP4 0.0.0.0\r
a=ice-ufrag:EsAw\r
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r
a=fingerprint:sha-256 0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E\r
a=setup:actpass\r
a=mid:1\r
a=bundle-only\r
a=sendrecv\r
a=rtcp-mux\r
a=rtpmap:96 VP8/90000\r
";

/// As Firefox answers an offer: fingerprint and group for the session, no address yet.
const FIREFOX_ANSWER: &str = "v=0\r
o=mozilla...THIS_IS_SDPARTA-99.0 7710052215259647220 0 IN IP4 0.0.0.0\r
s=-\r
t=0 0\r
a=fingerprint:sha-256 C4:16:62:5C:68:09:4A:0D:B9:0A:88:3D:DF:A2:2D:4C:3A:F6:C4:FC:58:DB:E7:11:E5:C4:F0:14:53:CF:B0:AB\r
a=group:BUNDLE 0\r
a=ice-options:trickle\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r
c=IN IP4 0.0.0.0\r
a=sendrecv\r
a=fmtp:111 maxplaybackrate=48000;stereo=1;useinbandfec=1\r
a=ice-pwd:1d8a9e95d04e15c0f0b1a5d1d6f7e2a4\r
a=ice-ufrag:37a1b2c3\r
a=mid:0\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=rtpmap:110 telephone-event/48000\r
a=setup:active\r
";

fn local() -> SocketAddr {
    LOCAL.parse().expect("an address")
}

fn near() -> Near {
    let door = |at: &str, tcp| Door {
        at: at.parse().expect("an address"),
        tcp,
    };
    Near {
        credentials: Credentials {
            ufrag: "ours".to_owned(),
            password: "0123456789abcdef012345".to_owned(),
        },
        fingerprint: crate::webrtc::Fingerprint::of(b"ours"),
        doors: Arc::from([
            door("192.0.2.1:19000", false),
            door("[2001:db8::1]:19000", false),
            door("192.0.2.1:19000", true),
        ]),
        role: None,
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        webrtc: Some(near()),
        ..Capabilities::all()
    }
}

fn parse(text: &str) -> Description {
    Description::parse(text.as_bytes()).expect("a description")
}

fn text(description: &Description) -> String {
    String::from_utf8(description.to_bytes()).expect("text")
}

fn answer_to(offer: &str, caps: &Capabilities) -> (String, StreamParams) {
    let (ours, params) = answer(&parse(offer), caps, local(), 7, 7).expect("an answer");
    (text(&ours), params)
}

#[test]
fn an_offer_of_audio_and_video_is_answered_with_audio() {
    let (ours, params) = answer_to(CHROMIUM, &capabilities());
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "m=audio 19000 UDP/TLS/RTP/SAVPF 111 110",
        "c=IN IP4 192.0.2.1",
        "a=mid:0",
        "a=rtcp-mux",
        "a=setup:active",
        "a=ice-ufrag:ours",
        "a=ice-pwd:0123456789abcdef012345",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 19000 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 19000 typ host",
        "a=candidate:3 1 tcp 2118123007 192.0.2.1 19000 typ host tcptype passive",
        "a=end-of-candidates",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
    ] {
        let count = ours.lines().filter(|it| *it == line).count();
        assert_eq!(count, 1, "{line} in\n{ours}");
    }
    assert_eq!(ours.matches("a=fingerprint:sha-256 ").count(), 1);
    assert_eq!((params.codec, params.payload_type), (Codec::Opus, 111));
    let dtmf = params.dtmf.expect("events");
    assert_eq!((dtmf.payload_type, dtmf.clock_hz), (110, 48_000));
    assert!(params.send && params.receive && params.rtcp_mux && params.srtp.is_none());
    let agreed = params.webrtc.expect("a browser");
    assert_eq!(agreed.own, near().credentials);
    assert_eq!(agreed.role, Role::Client);
    assert_eq!(agreed.far.credentials.ufrag, "EsAw");
    assert_eq!(agreed.far.candidates.len(), 3);
}

#[test]
fn who_begins_stays_as_it_was() {
    let settled = |role| Capabilities {
        webrtc: Some(Near { role, ..near() }),
        ..Capabilities::all()
    };
    for (theirs, role, ours) in [
        ("actpass", None, "active"),
        ("actpass", Some(Role::Server), "passive"),
        ("actpass", Some(Role::Client), "active"),
        ("active", Some(Role::Client), "passive"),
        ("passive", None, "active"),
    ] {
        let offer = CHROMIUM.replace("a=setup:actpass", &format!("a=setup:{theirs}"));
        let (answer, _) = answer_to(&offer, &settled(role));
        assert!(
            answer.contains(&format!("a=setup:{ours}\r")),
            "{theirs} {role:?}"
        );
    }
}

#[test]
fn our_offer_is_answered_by_a_browser() {
    let offer = offer(&capabilities(), local(), 7, 7);
    let ours = text(&offer);
    for line in [
        "a=setup:actpass",
        "a=mid:0",
        "a=group:BUNDLE 0",
        "a=ice-lite",
    ] {
        assert!(ours.lines().any(|it| it == line), "{line} in\n{ours}");
    }
    assert!(
        ours.contains("m=audio 19000 UDP/TLS/RTP/SAVPF 111 9 0 8"),
        "{ours}"
    );
    assert!(is_browser(&offer) && !is_secure(&offer));
    let params = accept(&offer, &parse(FIREFOX_ANSWER)).expect("an agreement");
    assert_eq!((params.codec, params.payload_type), (Codec::Opus, 111));
    assert!(
        params.send && params.receive,
        "an unknown address is no hold"
    );
    let agreed = params.webrtc.expect("a browser");
    assert_eq!(agreed.own, near().credentials);
    assert_eq!(agreed.role, Role::Server);
    assert_eq!(agreed.far.credentials.ufrag, "37a1b2c3");

    let passive = FIREFOX_ANSWER.replace("setup:active", "setup:passive");
    let params = accept(&offer, &parse(&passive)).expect("an agreement");
    assert_eq!(params.webrtc.map(|it| it.role), Some(Role::Client));
}

#[test]
fn a_phone_and_a_browser_do_not_understand_each_other() {
    let phone = Capabilities {
        keys: keys(&mut Rng::from_u64(1)),
        ..Capabilities::all()
    };
    let refused = |offer: &str, caps: &Capabilities| {
        let refused = answer(&parse(offer), caps, local(), 7, 7);
        refused.expect_err("no answer")
    };
    assert_eq!(refused(CHROMIUM, &phone), NegotiateError::Protocol);
    let offered = offer(&capabilities(), local(), 7, 7);
    let plain = answer(
        &parse(&text(&offer(&phone, local(), 1, 1))),
        &phone,
        local(),
        2,
        2,
    );
    let (plain, _) = plain.expect("an answer");
    assert_eq!(accept(&offered, &plain), Err(NegotiateError::Protocol));
    let offered = offer(&phone, local(), 7, 7);
    assert_eq!(
        accept(&offered, &parse(FIREFOX_ANSWER)),
        Err(NegotiateError::Protocol)
    );
}

#[test]
fn a_browser_without_what_makes_one_is_refused() {
    for (without, with) in [
        ("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=x"),
        ("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=ice-pwd:short"),
        ("a=ice-ufrag:EsAw", "a=ice-ufrag:abc"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        ("0F:74", "0F:7"),
    ] {
        let offer = CHROMIUM.replace(without, with);
        let refused = answer(&parse(&offer), &capabilities(), local(), 7, 7);
        let refused = refused.expect_err("no answer");
        assert_eq!(refused, NegotiateError::NoFingerprint, "{with}");
        assert_eq!(refused.status(), 488);
    }
    let long = "x".repeat(257);
    let offer = CHROMIUM.replace("EsAw", &long);
    assert!(answer(&parse(&offer), &capabilities(), local(), 7, 7).is_err());
}

#[test]
fn some_say_by_a_fingerprint_alone_that_they_are_browsers() {
    let offer = CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF");
    let (ours, params) = answer_to(&offer, &capabilities());
    assert!(ours.contains("m=audio 19000 RTP/SAVPF 111"), "{ours}");
    assert!(params.webrtc.is_some());
}

#[test]
fn a_browser_on_hold_is_not_sent_anything() {
    let offer = CHROMIUM.replacen("a=sendrecv", "a=sendonly", 1);
    let (ours, params) = answer_to(&offer, &capabilities());
    assert!(ours.contains("a=recvonly"));
    assert!(!params.send && params.receive);
}
