//! URIs beside ones that are none.

use super::{SipUri, Uri};

#[test]
fn what_is_read_is_written_back() {
    for text in [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:[2001:db8::1]:5070;lr",
        "sip:*21#@pbx",
        "sip:under_score.local",
        "tel:+1-201-555-0123",
        "tel:7042;phone-context=example.com",
        "isbn:2983792873",
        "http://www.example.com",
    ] {
        assert_eq!(
            Uri::parse(text).map(|uri| uri.to_string()).as_deref(),
            Ok(text)
        );
    }
}

#[test]
fn what_is_no_uri() {
    for text in [
        "",
        "sip",
        ":alice@atlanta.com",
        "sip:",
        "sip:@atlanta.com",
        "sip:alice@",
        "sip:alice@atlanta.com:0",
        "sip:alice@atlanta.com:65536",
        "sip:alice@atlanta.com:",
        "sip:alice@[2001:db8::1",
        "sip:alice@[192.0.2.4]",
        "sip:alice@2001:db8::1",
        "sip:alice@atlanta.com; lr",
        "sip:alice @atlanta.com",
        "sip:al\"ice@atlanta.com",
        "<sip:alice@atlanta.com>",
        "sip:alice@atlanta.com;=x",
        "sip:alice@atl/anta.com",
        "1sip:alice@atlanta.com",
        "tel:",
        "tel:+",
        "tel:call-me",
        "isbn:",
    ] {
        assert!(Uri::parse(text).is_err(), "{text}");
    }
}

#[test]
fn examples_of_rfc_3261_19_1_4() {
    let same = [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("sip:a@b;n%61me=1", "sip:a@b;name=1"),
        ("sip:a@b;x=1;x=2", "sip:a@b;x=1;x=2"),
        ("tel:1;x=1;x=2", "tel:1;x=1;x=2"),
    ];
    let different = [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:carol@chicago.com", "sips:carol@chicago.com"),
        ("sip:carol@chicago.com", "sip:carol:x@chicago.com"),
        ("sip:carol@chicago.com", "tel:+1"),
        ("tel:7042", "tel:7042;phone-context=example.com"),
        ("tel:1;x=1;x=2", "tel:1;x=1;y=2"),
        ("sip:a@b;n%61me=1", "sip:a@b;name=2"),
    ];
    let uri = |text| Uri::parse(text).expect("a URI");
    for (a, b) in same {
        assert!(
            uri(a).matches(&uri(b)) && uri(b).matches(&uri(a)),
            "{a} {b}"
        );
    }
    for (a, b) in different {
        assert!(
            !uri(a).matches(&uri(b)) && !uri(b).matches(&uri(a)),
            "{a} {b}"
        );
    }
}

#[test]
fn built_and_reduced() {
    let host = "pbx"
        .parse::<std::net::IpAddr>()
        .map_or_else(|_| super::Host::Name("pbx".into()), super::Host::Address);
    let uri = SipUri::new(Some("a b@c"), host, Some(5080));
    assert_eq!(uri.to_string(), "sip:a%20b%40c@pbx:5080");
    assert_eq!(uri.user_decoded().as_deref(), Some("a b@c"));
    let Ok(Uri::Sip(uri)) = Uri::parse("sips:%61lice:pw@Atlanta.com:5061;lr?x=y") else {
        panic!()
    };
    assert_eq!(
        uri.address_of_record().to_string(),
        "sips:alice@Atlanta.com"
    );
    let Ok(Uri::Sip(uri)) = Uri::parse("sip:%ff%zz@x") else {
        panic!()
    };
    assert_eq!(
        uri.user_decoded().as_deref(),
        Some("%ff%zz"),
        "no UTF-8 stays as it is"
    );
}
