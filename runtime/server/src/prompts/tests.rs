//! What is kept of uploads, and what a restart, a mistake or a crash makes of it.

use tempfile::TempDir;

use super::*;
use crate::control::{Desk, Signalling};

/// A folder, and somebody to tell: nobody listens.
struct House {
    folder: TempDir,
    desk: Desk,
}

impl House {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            desk: Desk::bind(Signalling::anywhere()).unwrap(),
        }
    }

    fn open(&self) -> Prompts {
        Prompts::open(self.folder.path().to_owned(), self.desk.handle()).unwrap()
    }

    fn path(&self, of: &str) -> PathBuf {
        self.folder.path().join(of)
    }

    /// The names in a folder.
    fn names(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(of)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

fn demo() -> TenantId {
    "demo".parse().unwrap()
}

fn id(name: &str) -> PromptId {
    PromptId::new("zh-CN", name).unwrap()
}

/// A sound that is told apart by its length.
fn sound(samples: usize) -> Vec<u8> {
    wav::write(&vec![1_000; samples], 1)
}

fn put(prompts: &Prompts, name: &str, samples: usize) -> Put {
    let who = (Wall(7), "li.na".to_owned());
    let put = prompts.put(&demo(), &id(name), &sound(samples), who);
    put.unwrap()
}

/// The version in force, all versions by their lengths, and whether it is damaged.
type State = (u32, Vec<(u32, usize)>, bool);

fn state(prompts: &Prompts, name: &str) -> Option<State> {
    let shown = prompts.find(&demo(), &id(name))?;
    let versions = shown.versions.iter().map(|it| (it.version, it.samples));
    Some((shown.active, versions.collect(), shown.damaged))
}

fn heard(prompts: &Prompts, name: &str) -> Option<usize> {
    let shelves = prompts.lock();
    let clip = shelves.get(&demo())?.get(&id(name))?.clip.clone();
    Some(clip?.samples.len())
}

#[test]
fn versions_survive_a_restart() {
    let house = House::new();
    let prompts = house.open();
    assert_eq!(state(&prompts, "hello"), None);
    let first = put(&prompts, "hello", 800);
    assert!(first.new && first.shown.active == 1);
    put(&prompts, "hello", 1_600);
    put(&prompts, "digits/1", 80);
    for prompts in [prompts, house.open()] {
        let versions = vec![(1, 800), (2, 1_600)];
        assert_eq!(state(&prompts, "hello"), Some((2, versions, false)));
        assert_eq!(heard(&prompts, "hello"), Some(1_600));
        assert_eq!(heard(&prompts, "digits/1"), Some(80));
    }
    let prompts = house.open();
    prompts.activate(&demo(), &id("hello"), 1).unwrap();
    prompts.activate(&demo(), &id("digits/1"), 0).unwrap();
    for prompts in [prompts, house.open()] {
        assert_eq!(heard(&prompts, "hello"), Some(800));
        assert_eq!(heard(&prompts, "digits/1"), None, "the folder's is heard");
        assert_eq!(state(&prompts, "digits/1"), Some((0, vec![(1, 80)], false)));
        let missing = prompts.activate(&demo(), &id("hello"), 3);
        assert!(matches!(missing, Err(Refused::NoVersion)));
        let audio = prompts.audio(&demo(), &id("hello"), 2).unwrap();
        assert_eq!(audio, sound(1_600));
    }
    let prompts = house.open();
    prompts.delete(&demo(), &id("hello")).unwrap();
    for prompts in [prompts, house.open()] {
        assert_eq!(state(&prompts, "hello"), None);
        let gone = prompts.delete(&demo(), &id("hello"));
        assert!(matches!(gone, Err(Refused::NotUploaded)));
    }
    assert_eq!(house.names("demo/zh-CN"), ["digits+1"]);
    assert_eq!(house.names("demo/zh-CN/digits+1"), ["1.wav", "prompt.json"]);
}

#[test]
fn the_same_file_is_no_new_version() {
    let house = House::new();
    let prompts = house.open();
    put(&prompts, "hello", 800);
    let again = put(&prompts, "hello", 800);
    assert_eq!((again.new, again.shown.active), (false, 1));
    // But an earlier one is.
    put(&prompts, "hello", 80);
    let back = put(&prompts, "hello", 800);
    assert_eq!((back.new, back.shown.active), (true, 3));
}

#[test]
fn the_oldest_versions_go() {
    let house = House::new();
    let prompts = house.open();
    for n in 1..=limits::VERSIONS_MAX + 2 {
        put(&prompts, "hello", 80 * n);
    }
    let shown = prompts.find(&demo(), &id("hello")).unwrap();
    let numbers: Vec<u32> = shown.versions.iter().map(|it| it.version).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<_>>());
    assert_eq!(house.names("demo/zh-CN/hello").len(), 11);
    assert_eq!(house.open().find(&demo(), &id("hello")), Some(shown));
}

#[test]
fn damage_is_found_out_and_mended() {
    let house = House::new();
    let prompts = house.open();
    put(&prompts, "hello", 800);
    put(&prompts, "hello", 1_600);
    let path = house.path("demo/zh-CN/hello/2.wav");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&path, bytes).unwrap();

    let prompts = house.open();
    assert_eq!(heard(&prompts, "hello"), None);
    let versions = vec![(1, 800), (2, 1_600)];
    assert_eq!(state(&prompts, "hello"), Some((2, versions, true)));
    let damaged = prompts.audio(&demo(), &id("hello"), 2);
    assert!(matches!(damaged, Err(Refused::Damaged)));
    let same = put(&prompts, "hello", 1_600);
    assert!(same.new, "what cannot be played is taken again");
    assert_eq!(heard(&prompts, "hello"), Some(1_600));
    let damaged = prompts.activate(&demo(), &id("hello"), 2);
    assert!(matches!(damaged, Err(Refused::Damaged)));
    assert_eq!(heard(&prompts, "hello"), Some(1_600), "nothing has changed");
    prompts.activate(&demo(), &id("hello"), 1).unwrap();
    assert_eq!(heard(&house.open(), "hello"), Some(800));
}

#[test]
fn a_damaged_index_is_left_alone_until_the_next_upload() {
    let house = House::new();
    put(&house.open(), "hello", 800);
    let path = house.path("demo/zh-CN/hello/prompt.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in [
        String::new(),
        "{".to_owned(),
        good.replace("\"format\":1", "\"format\":2"),
        good.replace("\"active\":1", "\"active\":2"),
        good.replace("\"version\":1", "\"version\":0"),
        "x".repeat(INDEX_BYTES_MAX as usize + 1),
    ] {
        assert_ne!(bad, good);
        fs::write(&path, &bad).unwrap();
        assert_eq!(state(&house.open(), "hello"), None, "{bad:.60}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
    put(&house.open(), "hello", 80);
    assert_eq!(heard(&house.open(), "hello"), Some(80));
}

#[test]
fn what_an_interruption_leaves_is_removed() {
    let house = House::new();
    put(&house.open(), "hello", 800);
    // Cut off before the index named it, and while the index was written.
    fs::write(house.path("demo/zh-CN/hello/2.wav"), "RIFF").unwrap();
    fs::write(house.path("demo/zh-CN/hello/3.draft"), "RIFF").unwrap();
    fs::write(house.path("demo/zh-CN/hello/prompt.draft"), "{").unwrap();
    // A first version without an index, and a deletion that was not finished.
    fs::create_dir(house.path("demo/zh-CN/bye")).unwrap();
    fs::write(house.path("demo/zh-CN/bye/1.wav"), "RIFF").unwrap();
    // Nothing of ours.
    fs::create_dir(house.path("demo/zh-CN/.cache")).unwrap();
    fs::write(house.path("demo/zh-CN/hello/notes.txt"), "").unwrap();
    fs::create_dir(house.path("No Tenant")).unwrap();

    let prompts = house.open();
    assert_eq!(heard(&prompts, "hello"), Some(800));
    assert_eq!(house.names("demo/zh-CN"), [".cache", "hello"]);
    assert_eq!(
        house.names("demo/zh-CN/hello"),
        ["1.wav", "notes.txt", "prompt.json"]
    );
}

#[test]
fn what_the_disk_does_not_take_changes_nothing() {
    let house = House::new();
    let prompts = house.open();
    put(&prompts, "hello", 800);
    // A folder in the place of the draft cannot be written.
    fs::create_dir(house.path("demo/zh-CN/hello/2.draft")).unwrap();
    let who = (Wall(7), "li.na".to_owned());
    let put = prompts.put(&demo(), &id("hello"), &sound(80), who.clone());
    assert!(matches!(put, Err(Refused::Disk(_))), "{put:?}");
    fs::remove_dir(house.path("demo/zh-CN/hello/2.draft")).unwrap();
    fs::create_dir(house.path("demo/zh-CN/hello/prompt.draft")).unwrap();
    let put = prompts.put(&demo(), &id("hello"), &sound(80), who);
    assert!(matches!(put, Err(Refused::Disk(_))), "{put:?}");
    let activated = prompts.activate(&demo(), &id("hello"), 0);
    assert!(matches!(activated, Err(Refused::Disk(_))), "{activated:?}");
    assert_eq!(
        house.names("demo/zh-CN/hello"),
        ["1.wav", "prompt.draft", "prompt.json"]
    );
    fs::remove_dir(house.path("demo/zh-CN/hello/prompt.draft")).unwrap();
    for prompts in [prompts, house.open()] {
        assert_eq!(state(&prompts, "hello"), Some((1, vec![(1, 800)], false)));
        assert_eq!(heard(&prompts, "hello"), Some(800));
    }
}

#[test]
fn sounds_that_are_none_are_refused() {
    let house = House::new();
    let prompts = house.open();
    let cut = &sound(800)[..20];
    for bad in [&b""[..], b"hello", b"{\"a\": 1}", cut, b"ID3\x04", b"fLaC"] {
        let who = (Wall(7), "li.na".to_owned());
        let put = prompts.put(&demo(), &id("hello"), bad, who);
        assert!(matches!(put, Err(Refused::Sound(_))), "{put:?}");
    }
    assert_eq!(prompts.list(&demo()).len(), 0);
    assert_eq!(fs::read_dir(house.folder.path()).unwrap().count(), 0);
}

#[test]
fn there_is_room_for_so_much() {
    let entry = |samples: usize| {
        let mut index = Index::new();
        let (at, by, kind) = (Wall(7), String::new(), "wav");
        let (upload_sha256, sha256) = (String::new(), String::new());
        index.add(New {
            at,
            by,
            kind,
            upload_sha256,
            sha256,
            samples,
        });
        let clip = Some(Clip::new("x", vec![0; samples]));
        Entry { index, clip }
    };
    let fits = |shelves: &[(&str, Vec<(PromptId, Entry)>)], name: &str, samples: usize| {
        let shelves = shelves.iter().cloned();
        let shelves = shelves.map(|(tenant, shelf)| (tenant.parse().unwrap(), shelf));
        let shelves: BTreeMap<TenantId, Shelf> = shelves
            .map(|(tenant, shelf)| (tenant, shelf.into_iter().collect()))
            .collect();
        room(&shelves, &demo(), &id(name), samples).is_ok()
    };
    // So many prompts; another version of one of them is no more.
    let many: Vec<_> = (0..PROMPTS_MAX)
        .map(|n| (id(&format!("p{n}")), entry(1)))
        .collect();
    assert!(fits(&[("demo", many.clone())], "p7", 1));
    assert!(!fits(&[("demo", many)], "new", 1));
    // So much sound in force.
    let long = vec![(id("a"), entry(SAMPLES_MAX - 100))];
    assert!(fits(&[("demo", long.clone())], "b", 100));
    assert!(!fits(&[("demo", long.clone())], "b", 101));
    assert!(fits(&[("demo", long)], "a", SAMPLES_MAX));
}
