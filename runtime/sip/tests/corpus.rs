//! Replays the corpora of the fuzz targets on stable: what a fuzzer once found stays found.

use std::path::{Path, PathBuf};

#[path = "properties/message.rs"]
mod message;
#[path = "properties/stream.rs"]
mod stream;

#[test]
fn every_file_of_the_message_corpus_holds_the_properties() {
    let files = files("sip_message");
    assert!(files.len() >= 20, "the corpus is there");
    let read = files
        .iter()
        .filter(|path| message::check(&bytes(path)))
        .count();
    assert!(read >= 10, "good input is there beside bad");
}

#[test]
fn every_file_of_the_stream_corpus_holds_the_properties() {
    let files = files("sip_stream");
    assert!(files.len() >= 8, "the corpus is there");
    for path in files {
        let bytes = bytes(&path);
        for size in [1, 2, 3, 7, 61, 500] {
            stream::check(&bytes, std::iter::repeat(size));
        }
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file of the corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fuzz/corpus"
    ))
    .join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}
