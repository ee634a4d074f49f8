//! Goal: a plugin is replaced while a hundred calls are on it. None is dropped, each finishes on
//! its version, new calls get the new one; a broken file is refused and the old version stays.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::phone::News;
use jackfield_tests::phones::Phones;
use jackfield_tests::shell::{Server, Setup, guest};
use vocab::call::{Cause, Side};

const CALLS: usize = 100;

/// The component with another version in its manifest, of the same length.
fn with_version(component: &[u8], version: &str) -> Vec<u8> {
    let old = b"version = '0.1.0'";
    let new = format!("version = '{version}'");
    let mut changed = component.to_vec();
    let mut found = 0;
    for at in 0..changed.len() - old.len() {
        if changed[at..].starts_with(old) {
            changed[at..at + old.len()].copy_from_slice(new.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "a manifest in it");
    changed
}

#[test]
fn calls_finish_on_the_version_they_began_with() {
    let mut setup = Setup::demo("reload");
    setup.rtp_ports = 2 * 130;
    let mut server = Server::start(setup).expect("a server");
    let file = server.folder.path().join("plugins/hello-ivr.wasm");
    let draft = server.folder.path().join("plugins/.draft");
    let component = std::fs::read(guest("hello-ivr").expect("the plugin")).expect("its bytes");

    let mut phones = Phones::new(CALLS + 1, &[]).expect("phones");
    for index in 0..CALLS {
        phones.call(index, "1010", server.sip);
    }
    let answered = |news: &[Vec<News>]| {
        news[..CALLS]
            .iter()
            .all(|news| news.contains(&News::Answered))
    };
    phones
        .run_until(Duration::from_secs(60), answered)
        .expect("all are answered");

    // Broken files change nothing.
    for (what, bytes) in [
        ("half a file", &component[..component.len() / 2]),
        ("no component", &b"hello"[..]),
        ("a core module", &b"\0asm\x01\0\0\0"[..]),
    ] {
        std::fs::write(&draft, bytes).expect("a draft");
        std::fs::rename(&draft, &file).expect("a rename");
        let line = server.wait_for("plugin refused").expect("a refusal");
        assert!(line.contains("hello-ivr.wasm"), "{what}: {line}");
    }

    std::fs::write(&draft, with_version(&component, "0.1.9")).expect("a draft");
    std::fs::rename(&draft, &file).expect("a rename");
    server.wait_for("0.1.9").expect("the new version is live");
    phones.call(CALLS, "1010", server.sip);
    let over = |news: &[Vec<News>]| {
        news.iter()
            .all(|news| news.iter().any(|news| matches!(news, News::Ended { .. })))
    };
    phones
        .run_until(Duration::from_secs(120), over)
        .expect("all end");
    let by_flow = phones.count(|news| {
        matches!(
            news,
            News::Ended {
                cause: Cause::Normal,
                by: Side::Far,
                ..
            }
        )
    });
    assert_eq!(by_flow, CALLS + 1, "each flow came to its end and hung up");

    let calls = server.calls().expect("calls");
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        assert_eq!(call["disposition"], "answered", "{call}");
        assert!(call["fault"].is_null(), "{call}");
        *versions
            .entry(call["plugin"]["version"].as_str().expect("a version"))
            .or_default() += 1;
    }
    assert_eq!(versions, BTreeMap::from([("0.1.0", CALLS), ("0.1.9", 1)]));

    let plugins = server.json("/api/v1/plugins").expect("plugins");
    let old = plugins["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|plugin| plugin["version"] == "0.1.0" && plugin["name"] == "hello-ivr")
        .expect("kept for a rollback");
    assert_eq!(
        (&old["live"], &old["standing"]),
        (&0.into(), &"standby".into())
    );
}
