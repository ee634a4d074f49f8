//! Calls that core rooms may not make, and the front of each Rust file.

use super::Violation;
use super::tree::{File, Tree};

/// A thing no core room may do.
struct Ban {
    /// Words in the code that mean it.
    words: &'static [&'static str],
    /// Why, and the way out.
    why: &'static str,
    /// Rooms that may.
    except: &'static [&'static str],
    /// Also banned in tests.
    in_tests: bool,
    /// Rooms whose tests may none the less.
    except_tests: &'static [&'static str],
}

/// Architecture: everything that decides is a machine, and only the shell waits.
const BANS: &[Ban] = &[
    Ban {
        words: &[
            "Instant::now",
            "SystemTime::now",
            "Utc::now",
            "Timestamp::now",
            "Zoned::now",
        ],
        why: "a machine has no clock: take `vocab::Now` as a parameter",
        except: &[],
        in_tests: true,
        // `str0m`, the browser of its tests, wants one; only differences matter.
        except_tests: &["media"],
    },
    Ban {
        words: &["thread::sleep", "time::sleep"],
        why: "nothing sleeps: report a `deadline` and be called then",
        except: &[],
        in_tests: true,
        except_tests: &[],
    },
    Ban {
        words: &[
            "thread::spawn",
            "thread::Builder",
            "thread::scope",
            "task::spawn",
        ],
        why: "threads and tasks live in `server`",
        except: &[],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &["tokio::", "use tokio"],
        why: "only `server` and the store's driver know tokio",
        except: &["store"],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &[".await"],
        why: "a machine is polled by hand; only wasmtime's and sqlx's futures are awaited",
        except: &["plugin", "store"],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &[
            "UdpSocket",
            "TcpStream",
            "TcpListener",
            "UnixStream",
            "UnixListener",
        ],
        why: "sockets live in `server`; addresses are fine",
        except: &[],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &["std::fs", "fs::File", "File::open", "File::create"],
        why: "files live in `server`; take and return bytes",
        // Decision 0004: the database and the lock beside it are one thing.
        except: &["store"],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &[
            "std::process::",
            "process::Command",
            "std::env::",
            "env::var",
        ],
        why: "processes and the environment live in `server`",
        // Its number in the lock file names who holds the database.
        except: &["store"],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &["Mutex", "RwLock", "Condvar"],
        why: "one thread owns a machine: pass values, not locks",
        except: &["plugin", "store"],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &[
            "static mut",
            "thread_local!",
            "OnceLock",
            "LazyLock",
            "OnceCell",
            "LazyCell",
        ],
        why: "no statics: several nodes share a process",
        except: &[],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &["println!", "print!", "eprintln!", "eprint!", "dbg!"],
        why: "a machine reports through its outputs",
        except: &[],
        in_tests: false,
        except_tests: &[],
    },
    Ban {
        words: &["thread_rng", "rand::rng", "random()", "getrandom", "OsRng"],
        why: "randomness is the seeded `vocab::Rng` given to `new`",
        except: &[],
        in_tests: true,
        except_tests: &[],
    },
    Ban {
        words: &["unbounded_channel", "mpsc::channel", "unbounded("],
        why: "every queue has a bound in `limits.rs`",
        except: &[],
        in_tests: false,
        except_tests: &[],
    },
];

/// The rooms that wait and talk to the world.
const SHELL: &[&str] = &["server", "web"];

/// Longest front door of a crate.
const FRONT_LINES_MAX: usize = 200;

/// Banned words in core rooms, files without a `//!` front, and front doors that grew too long.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        if file.code.is_none() {
            continue;
        }
        if !file.text.starts_with("//!") {
            found.push(Violation::new(
                &file.path,
                1,
                "open the file with `//!`: what it is for",
            ));
        }
        let length = file.text.lines().count();
        if is_front_door(&file.path) && length >= FRONT_LINES_MAX {
            let what = format!("a front door has under {FRONT_LINES_MAX} lines, this has {length}");
            found.push(Violation::new(&file.path, 0, what));
        }
        found.extend(banned(file));
    }
    found
}

/// True for the front door of a room or an SDK; a fixture or a plugin may be one file.
fn is_front_door(path: &str) -> bool {
    path.ends_with("/src/lib.rs") && (path.starts_with("runtime/") || path.starts_with("sdk/"))
}

/// The banned calls of one file.
fn banned(file: &File) -> Vec<Violation> {
    let (Some(room), Some(code)) = (file.room(), &file.code) else {
        return Vec::new();
    };
    // A build script speaks to cargo by printing, and a bench measures.
    let aside = ["/build.rs", "/benches/", "/examples/"];
    if SHELL.contains(&room) || aside.iter().any(|part| file.path.contains(part)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for ban in BANS.iter().filter(|ban| !ban.except.contains(&room)) {
        for (index, line) in code.lines.iter().enumerate() {
            if code.test[index] && (!ban.in_tests || ban.except_tests.contains(&room)) {
                continue;
            }
            for word in ban.words {
                if finds(line, word) {
                    let what = format!("`{word}` in room `{room}`: {}", ban.why);
                    found.push(Violation::new(&file.path, index + 1, what));
                    break;
                }
            }
        }
    }
    found
}

/// True if the word is there and not a part of a longer name.
fn finds(line: &str, word: &str) -> bool {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let starts = !word.starts_with(name) || !before.is_some_and(name);
        let ends = !word.ends_with(name) || !after.is_some_and(name);
        starts && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn each_ban_bites_in_a_core_room_and_not_in_the_shell() {
        for ban in BANS {
            for word in ban.words {
                let text = format!("//! Front.\nfn f() {{ {word} }}\n");
                assert!(count("runtime/sip/src/a.rs", &text) > 0, "{word}");
                assert_eq!(count("runtime/server/src/a.rs", &text), 0, "{word}");
                let test = format!("//! Front.\n#[cfg(test)]\nmod tests {{ {word} }}\n");
                assert_eq!(
                    count("runtime/sip/src/a.rs", &test) > 0,
                    ban.in_tests,
                    "{word}"
                );
                for room in ban.except_tests {
                    assert_eq!(
                        count(&format!("runtime/{room}/src/a.rs"), &test),
                        0,
                        "{word}"
                    );
                }
                for room in ban.except {
                    assert_eq!(
                        count(&format!("runtime/{room}/src/a.rs"), &text),
                        0,
                        "{word}"
                    );
                }
            }
        }
    }

    #[test]
    fn words_in_comments_strings_and_longer_names_are_free() {
        for text in [
            "//! Instant::now in the front.\n// Mutex\n",
            "//! Front.\nfn f() { \"println!\" }\n",
            "//! Front.\nfn f(x: FairMutex2, y: SocketAddr) {}\n",
            "//! Front.\nuse std::time::{Duration, Instant};\n",
        ] {
            assert_eq!(count("runtime/sip/src/a.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn fronts() {
        assert_eq!(count("plugins/x/src/a.rs", "fn f() {}\n"), 1);
        assert_eq!(count("plugins/x/src/a.rs", "//! What.\n"), 0);
        let long = format!("//! What.\n{}", "\n".repeat(FRONT_LINES_MAX));
        assert_eq!(count("runtime/sip/src/lib.rs", &long), 1);
        assert_eq!(count("runtime/sip/src/parse.rs", &long), 0);
        assert_eq!(count("tests/guests/probe/src/lib.rs", &long), 0);
        assert_eq!(
            count(
                "runtime/store/build.rs",
                "//! What.\nfn main() { println!() }\n"
            ),
            0
        );
    }
}
