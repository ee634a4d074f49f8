//! Goal: without a grant nothing but the caller can be reached, and each refusal is reported.

use expect_test::expect;
use jackfield_plugin::{Capability, Grant, RunInput};

use crate::bench::{check, plugin, setup};

#[test]
fn ungranted_calls_are_denied_and_reported_once() {
    let mut setup = setup("denied");
    setup.grant = Grant::none();
    check(
        setup,
        vec![RunInput::Start],
        expect![[r#"
            > Start
            Denied { capability: Dial }
            Denied { capability: Record }
            Denied { capability: Kv }
            Denied { capability: Http }
            Ended(Outcome(Outcome { label: "denied", detail: Some("dial Error::Denied(\"add \\\"dial\\\" to the route's grant\"); transfer Error::Denied(\"add \\\"dial\\\" to the route's grant\"); record-audio Error::Denied(\"add \\\"record\\\" to the route's grant\"); kv Error::Denied(\"add \\\"kv\\\" to the route's grant\"); http Error::Denied(\"add \\\"http\\\" to the route's grant\")") }))
        "#]],
    );
}

#[test]
fn granted_but_absent_is_unsupported() {
    let mut setup = setup("denied");
    setup.grant = [Capability::Kv, Capability::Http].into_iter().collect();
    check(
        setup,
        vec![RunInput::Start],
        expect![[r#"
            > Start
            Denied { capability: Dial }
            Denied { capability: Record }
            Ended(Outcome(Outcome { label: "denied", detail: Some("dial Error::Denied(\"add \\\"dial\\\" to the route's grant\"); transfer Error::Denied(\"add \\\"dial\\\" to the route's grant\"); record-audio Error::Denied(\"add \\\"record\\\" to the route's grant\"); kv Error::Unsupported(\"this host has no kv yet\"); http Error::Unsupported(\"this host has no http yet\")") }))
        "#]],
    );
}

#[test]
fn what_is_asked_for_in_vain_is_known_before() {
    let operator = Grant::parse(["dial"]).unwrap();
    let missing: Vec<&str> = plugin()
        .missing(&operator)
        .iter()
        .map(Capability::name)
        .collect();
    assert_eq!(missing, ["record", "kv", "http"]);
}
