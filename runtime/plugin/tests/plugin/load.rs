//! Goal: what is not a plugin is refused with one line that says what to do.

use expect_test::{Expect, expect};
use jackfield_plugin::{MANIFEST_SECTION, Metering};

use crate::bench::{component, host_and_plugin, host_config, plugin, with_section};

fn refused(bytes: &[u8], expected: Expect) {
    let (host, _) = host_and_plugin(host_config(Metering::Fuel));
    let message = host
        .load(bytes, None)
        .expect_err("it is no plugin")
        .to_string();
    expected.assert_eq(&message);
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn a_plugin_says_what_it_is() {
    expect![[""]].assert_debug_eq(plugin().manifest());
}

#[test]
fn files_that_are_no_plugins() {
    refused(b"", expect![[""]]);
    refused(b"#!/bin/sh\n", expect![[""]]);
    refused(b"(component)", expect![[""]]);
    refused(b"\0asm\x01\0\0\0", expect![[""]]);
    refused(b"\0asm\x0d\0\x01\0", expect![[""]]);
    refused(&vec![0; 33 << 20], expect![[""]]);
}

#[test]
fn broken_components() {
    let bytes = component();
    refused(&bytes[..bytes.len() / 2], expect![[""]]);
    refused(&bytes[..40], expect![[""]]);
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 3;
    flipped[middle..middle + 64].fill(0xff);
    refused(&flipped, expect![[""]]);
}

#[test]
fn components_of_other_worlds() {
    refused(&wat::parse_str("(component)").unwrap(), expect![[""]]);
    let other = r#"(component
        (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#;
    refused(&wat::parse_str(other).unwrap(), expect![[""]]);
    let newer = r#"(component
        (instance $i) (export "jackfield:ivr/flow@0.2.0" (instance $i)))"#;
    refused(&wat::parse_str(newer).unwrap(), expect![[""]]);
    let sockets = r#"(component
        (import "wasi:sockets/tcp@0.2.0" (instance))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    refused(&wat::parse_str(sockets).unwrap(), expect![[""]]);
    let bare = r#"(component
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let bare = wat::parse_str(bare).unwrap();
    refused(&bare, expect![[""]]);
    refused(
        &with_section(&bare, MANIFEST_SECTION, b"name = 1"),
        expect![[""]],
    );
    let manifest = b"name = \"x\"\nversion = \"1.0.0\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n";
    refused(
        &with_section(&bare, MANIFEST_SECTION, manifest),
        expect![[""]],
    );
    let import = r#"(component
        (import "jackfield:host/clock@0.1.0" (instance (export "now" (func (result string)))))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let import = with_section(&wat::parse_str(import).unwrap(), MANIFEST_SECTION, manifest);
    refused(&import, expect![[""]]);
}

#[test]
fn the_outer_manifest_counts() {
    let manifest = b"name = \"wrapped\"\nversion = \"9.0.0\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n";
    let (host, _) = host_and_plugin(host_config(Metering::Fuel));
    let bytes = with_section(component(), MANIFEST_SECTION, manifest);
    let loaded = host.load(&bytes, None).unwrap();
    assert_eq!(loaded.plugin.reference().to_string(), "wrapped 9.0.0");
}

/// What a component must not be able to do at load time: run. Nothing of it is executed, so a
/// start function that never returns is met by the budget of its first run.
#[test]
fn loading_executes_nothing() {
    let (host, _) = host_and_plugin(host_config(Metering::Fuel));
    let endless = r#"(component
        (core module $m (func $spin (loop (br 0))) (start $spin))
        (core instance (instantiate $m))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let manifest = b"name = \"x\"\nversion = \"1.0.0\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n";
    let bytes = with_section(
        &wat::parse_str(endless).unwrap(),
        MANIFEST_SECTION,
        manifest,
    );
    assert!(host.load(&bytes, None).is_err());
}
