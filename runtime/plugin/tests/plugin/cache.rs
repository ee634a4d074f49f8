//! Goal: a cache entry saves compiling, and only our own, unchanged, for this very component and
//! engine, is ever used.

use jackfield_plugin::{CacheKey, CacheRefusal, CacheUse, Host, Metering, RunInput};

use crate::bench::{component, done, host_and_plugin, host_config, ladder, setup, with_section};

fn entry_of(cache: CacheUse) -> (Vec<u8>, Option<CacheRefusal>) {
    match cache {
        CacheUse::Compiled { entry, refused } => (entry.expect("components serialize"), refused),
        CacheUse::Hit => panic!("it was compiled"),
    }
}

#[test]
fn entries_are_used_or_refused() {
    let (host, _) = host_and_plugin(host_config(Metering::Fuel));
    let bytes = component();
    let (entry, refused) = entry_of(host.load(bytes, None).unwrap().cache);
    assert_eq!(refused, None);

    // The same host, and another one with the same secret.
    assert_eq!(host.load(bytes, Some(&entry)).unwrap().cache, CacheUse::Hit);
    let (again, _) = host_and_plugin(host_config(Metering::Fuel));
    let loaded = again.load(bytes, Some(&entry)).unwrap();
    assert_eq!(loaded.cache, CacheUse::Hit);
    let script = || vec![RunInput::Start, done()];
    assert_eq!(
        ladder(&loaded.plugin, setup("echo"), script()),
        ladder(crate::bench::plugin(), setup("echo"), script())
    );

    // Every part of an entry counts.
    let mut tampered = Vec::new();
    for position in [0, 40, 80, 96, entry.len() / 2, entry.len() - 1] {
        let mut bytes = entry.clone();
        bytes[position] ^= 1;
        tampered.push(bytes);
    }
    let expected = [
        CacheRefusal::NotAnEntry,
        CacheRefusal::Stale,
        CacheRefusal::Forged,
        CacheRefusal::Forged,
        CacheRefusal::Forged,
        CacheRefusal::Forged,
    ];
    for (bytes_of_entry, expected) in tampered.iter().zip(expected) {
        let (_, refused) = entry_of(host.load(bytes, Some(bytes_of_entry)).unwrap().cache);
        assert_eq!(refused, Some(expected));
    }
    for short in [&entry[..0], &entry[..96]] {
        let (_, refused) = entry_of(host.load(bytes, Some(short)).unwrap().cache);
        assert_eq!(refused, Some(CacheRefusal::NotAnEntry));
    }
    let (_, refused) = entry_of(
        host.load(bytes, Some(&entry[..entry.len() - 1]))
            .unwrap()
            .cache,
    );
    assert_eq!(refused, Some(CacheRefusal::Forged));

    // Another component, another way of metering, another secret.
    let other = with_section(bytes, "note", b"changed");
    let (_, refused) = entry_of(host.load(&other, Some(&entry)).unwrap().cache);
    assert_eq!(refused, Some(CacheRefusal::Stale));
    let (epochs, _) = host_and_plugin(host_config(Metering::Epoch));
    let (_, refused) = entry_of(epochs.load(bytes, Some(&entry)).unwrap().cache);
    assert_eq!(refused, Some(CacheRefusal::Stale));
    let mut config = host_config(Metering::Fuel);
    config.cache_key = CacheKey::new([8; 32]);
    let (_, refused) = entry_of(
        Host::new(config)
            .unwrap()
            .load(bytes, Some(&entry))
            .unwrap()
            .cache,
    );
    assert_eq!(refused, Some(CacheRefusal::Forged));
}
