//! Replays the fuzz corpus on stable, and what little mutation a seed can do in a second.

use std::path::Path;

use vocab::Rng;

#[path = "../properties/rtp.rs"]
mod rtp;

fn files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/rtp");
    let entries = std::fs::read_dir(&folder).expect("the folder is in the repository");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("readable"))
        .collect()
}

#[test]
fn every_story_of_the_corpus_holds_the_properties() {
    let files = files();
    assert!(files.len() >= 8, "the corpus is there");
    files.iter().for_each(|bytes| rtp::check(bytes));
}

#[test]
fn so_do_mutations_of_them() {
    let mut rng = Rng::from_u64(3550);
    for bytes in files() {
        for _ in 0..30 {
            let mut bytes = bytes.clone();
            for _ in 0..=rng.below(8) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(4) {
                    0 => bytes[at] ^= 1 << rng.below(8),
                    1 => bytes[at] = rng.u32() as u8,
                    2 => drop(bytes.drain(at..(at + 9).min(bytes.len() - 1).max(at))),
                    _ => bytes.insert(at, 0x80),
                }
            }
            rtp::check(&bytes);
        }
    }
}
