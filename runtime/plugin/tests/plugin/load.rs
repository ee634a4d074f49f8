//! Goal: what is not a plugin is refused with one line that says what to do.

use expect_test::{Expect, expect};
use jackfield_plugin::{LoadError, MANIFEST_SECTION, RunInput};

use vocab::Rng;

use crate::bench::{component, host, ladder, plugin, setup, with_section};

const MANIFEST: &[u8] = b"name = \"x\"\nversion = \"1.0.0\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n";

fn refused(bytes: &[u8], expected: Expect) {
    let message = host()
        .load(bytes, None)
        .expect_err("it is no plugin")
        .to_string();
    expected.assert_eq(&message);
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn a_plugin_says_what_it_is() {
    expect![[r#"
        Manifest {
            plugin: PluginRef {
                name: "probe",
                version: "1.2.3",
            },
            world: Ivr,
            wit: "0.1.0",
            needs: Grant(
                {
                    Dial,
                    Record,
                    Kv,
                    Http,
                },
            ),
            memory_bytes: 33554432,
            description: "Does what its configuration says, right or wrong",
        }
    "#]]
    .assert_debug_eq(plugin().manifest());
}

#[test]
fn files_that_are_no_plugins() {
    refused(b"", expect!["not a WebAssembly file"]);
    refused(b"#!/bin/sh\n", expect!["not a WebAssembly file"]);
    refused(b"(component)", expect!["not a WebAssembly file"]);
    refused(
        b"\0asm\x01\0\0\0",
        expect!["a core WebAssembly module, not a component; build for the target wasm32-wasip2"],
    );
    refused(
        b"\0asm\x0d\0\x01\0",
        expect![
            "wrong world: a plugin of this host exports jackfield:ivr/flow@0.1.0; this component exports nothing"
        ],
    );
    refused(
        &vec![0; 33 << 20],
        expect!["the file is 34603008 bytes; at most 33554432 are read"],
    );
}

/// However a file is cut or changed, it is refused in one line or happens to be still valid.
#[test]
fn broken_components() {
    let bytes = component();
    for cut in [9, 40, bytes.len() / 2, bytes.len() - 1] {
        let error = host().load(&bytes[..cut], None).unwrap_err();
        assert!(matches!(error, LoadError::Damaged { .. }), "{cut}: {error}");
        assert!(
            error.to_string().ends_with(": unexpected end-of-file"),
            "{cut}: {error}"
        );
    }
    let mut rng = Rng::from_u64(3);
    for _ in 0..12 {
        let mut changed = bytes.to_vec();
        let at = rng.below(bytes.len() as u64 - 16) as usize;
        rng.fill(&mut changed[at..at + 16]);
        if let Err(error) = host().load(&changed, None) {
            let text = error.to_string();
            assert!(
                text.lines().count() == 1 && text.len() < 700,
                "{at}: {text}"
            );
        }
    }
}

#[test]
fn components_of_other_worlds() {
    refused(
        &wat::parse_str("(component)").unwrap(),
        expect![
            "wrong world: a plugin of this host exports jackfield:ivr/flow@0.1.0; this component exports nothing"
        ],
    );
    let other = r#"(component
        (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#;
    refused(
        &wat::parse_str(other).unwrap(),
        expect![
            "wrong world: a plugin of this host exports jackfield:ivr/flow@0.1.0; this component exports wasi:cli/run@0.2.0"
        ],
    );
    let newer = r#"(component
        (instance $i) (export "jackfield:ivr/flow@0.2.0" (instance $i)))"#;
    refused(
        &wat::parse_str(newer).unwrap(),
        expect![
            "wrong world: a plugin of this host exports jackfield:ivr/flow@0.1.0; this component exports jackfield:ivr/flow@0.2.0"
        ],
    );
    let sockets = r#"(component
        (import "wasi:sockets/tcp@0.2.0" (instance))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    refused(
        &wat::parse_str(sockets).unwrap(),
        expect!["it imports wasi:sockets/tcp@0.2.0, which plugins cannot have"],
    );
    let bare = r#"(component
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let bare = wat::parse_str(bare).unwrap();
    refused(
        &bare,
        expect![[r#"no manifest: the component has no custom section named "jackfield:manifest""#]],
    );
    refused(
        &with_section(&bare, MANIFEST_SECTION, b"name = 1"),
        expect!["bad manifest: line 1: invalid type: integer `1`, expected a string"],
    );
    refused(
        &with_section(&bare, MANIFEST_SECTION, MANIFEST),
        expect![
            "built against another interface: instance export `jackfield:ivr/flow@0.1.0` does not have export `run`"
        ],
    );
    let import = r#"(component
        (import "jackfield:host/clock@0.1.0" (instance (export "now" (func (result string)))))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let import = with_section(&wat::parse_str(import).unwrap(), MANIFEST_SECTION, MANIFEST);
    refused(
        &import,
        expect![
            "built against another interface: component imports instance `jackfield:host/clock@0.1.0`, but a matching implementation was not found in the linker: instance export `now` has the wrong type: type mismatch with results: expected `u64` found `string`"
        ],
    );
}

#[test]
fn the_outer_manifest_counts() {
    let manifest = b"name = \"wrapped\"\nversion = \"9.0.0\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n";
    let bytes = with_section(component(), MANIFEST_SECTION, manifest);
    let loaded = host().load(&bytes, None).unwrap();
    assert_eq!(loaded.plugin.reference().to_string(), "wrapped 9.0.0");
}

/// Nothing of a component is executed before its first run: this one would never come back.
#[test]
fn loading_executes_nothing() {
    let endless = r#"(component
        (core module $m (func $spin (loop (br 0))) (start $spin))
        (core instance (instantiate $m))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let bytes = with_section(
        &wat::parse_str(endless).unwrap(),
        MANIFEST_SECTION,
        MANIFEST,
    );
    assert!(matches!(
        host().load(&bytes, None),
        Err(LoadError::Mismatch { .. })
    ));
}

#[test]
fn a_component_of_too_many_parts() {
    let parts = r#"(component
        (core module $m)
        (core instance (instantiate $m)) (core instance (instantiate $m))
        (core instance (instantiate $m)) (core instance (instantiate $m))
        (core instance (instantiate $m))
        (instance $i) (export "jackfield:ivr/flow@0.1.0" (instance $i)))"#;
    let bytes = with_section(&wat::parse_str(parts).unwrap(), MANIFEST_SECTION, MANIFEST);
    refused(
        &bytes,
        expect![
            "cannot be compiled: The component transitively contains 5 core module instances, which exceeds the configured maximum of 4 in the pooling allocator"
        ],
    );
}

/// The manifest may ask for less memory than usual; what does not even fit at the start fails
/// there.
#[test]
fn the_manifest_limits_memory() {
    let limited = |mib: u32| {
        let manifest = [MANIFEST, format!("memory_mib = {mib}\n").as_bytes()].concat();
        let bytes = with_section(component(), MANIFEST_SECTION, &manifest);
        let plugin = host().load(&bytes, None).unwrap().plugin;
        let ladder = ladder(&plugin, setup("memory"), vec![RunInput::Start]);
        ladder.lines().last().unwrap_or_default().to_owned()
    };
    expect![[r#"Ended(Fault(Fault { plugin: PluginRef { name: "x", version: "1.0.0" }, kind: OutOfMemory, detail: "asked for more than 4 MiB of memory" }))"#]].assert_eq(&limited(4));
    expect![[r#"Ended(Fault(Fault { plugin: PluginRef { name: "x", version: "1.0.0" }, kind: OutOfMemory, detail: "asked for more than 1 MiB of memory" }))"#]].assert_eq(&limited(1));
}
