//! Replays the fuzz corpora on stable, and what little mutation a seed can do in a second.

use std::path::{Path, PathBuf};

use vocab::Rng;

#[path = "properties/sdp.rs"]
mod sdp;

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests")
        .join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder is in the repository");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("readable")))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_of_the_sdp_corpus_holds_the_properties() {
    let files = files("fuzz/corpus/sdp");
    assert!(files.len() >= 10, "the corpus is there");
    for (path, bytes) in files {
        println!("{}", path.display());
        sdp::check(&bytes);
    }
}

#[test]
fn every_prefix_and_many_mutations_of_the_corpus_hold_them_too() {
    let mut rng = Rng::from_u64(4566);
    for (_, bytes) in files("fuzz/corpus/sdp") {
        for end in 0..bytes.len() {
            sdp::check(&bytes[..end]);
        }
        for _ in 0..200 {
            let mut bytes = bytes.clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(4) {
                    0 => bytes[at] = b" \r\n:/=0"[rng.below(7) as usize],
                    1 => bytes[at] = rng.u32() as u8,
                    2 => drop(bytes.drain(at..(at + 9).min(bytes.len() - 1).max(at))),
                    _ => bytes.insert(at, b'9'),
                }
            }
            sdp::check(&bytes);
        }
    }
}
