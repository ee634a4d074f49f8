//! Goal: a wrong file, a newer one, a busy one: each is refused with a line that says what to do,
//! and left as it was.

mod support;

use std::path::Path;

use expect_test::{Expect, expect};
use jackfield_store::{Durability, Listing, Options, Store};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use support::{Home, call, menu_call};

/// Opening must fail with this line, in which the file is called DB.
async fn refused(path: &Path, expected: Expect) {
    let error = Store::open(path, Options::default())
        .await
        .expect_err("must be refused");
    let line = error.to_string();
    assert!(!line.contains('\n'), "one line");
    expected.assert_eq(&line.replace(&path.display().to_string(), "DB"));
}

async fn run(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut conn = options.connect().await.expect("connects");
    sqlx::raw_sql(sql).execute(&mut conn).await.expect("runs");
    sqlx::Connection::close(conn).await.expect("closes");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let home = Home::new();
    let text = "[[tenant]]\nid = \"demo\"\n".repeat(100);
    std::fs::write(home.path(), &text).expect("writes");
    refused(
        &home.path(),
        expect!["DB is not a SQLite database: move it away or choose another file"],
    )
    .await;
    assert_eq!(std::fs::read_to_string(home.path()).expect("reads"), text);
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let table = [
        "CREATE TABLE song (title TEXT)",
        "PRAGMA application_id = 7",
        // Another program that uses the same migration tool.
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
         checksum BLOB NOT NULL, execution_time BIGINT NOT NULL); \
         INSERT INTO _sqlx_migrations VALUES (1, 'songs', 0, TRUE, x'00', 0)",
    ];
    for sql in table {
        let home = Home::new();
        run(&home.path(), sql).await;
        let before = std::fs::read(home.path()).expect("reads");
        refused(
            &home.path(),
            expect!["DB is the database of another program: choose another file"],
        )
        .await;
        assert_eq!(std::fs::read(home.path()).expect("reads"), before);
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let home = Home::new();
    home.open().await.close().await.expect("closes");
    run(
        &home.path(),
        "INSERT INTO _sqlx_migrations VALUES (9, 'later', '2030-01-01', TRUE, x'00', 0)",
    )
    .await;
    refused(&home.path(), expect!["DB was written by a newer release (schema 9, this one knows 5): upgrade, or restore a backup made before the newer release ran"]).await;
}

#[tokio::test]
async fn a_newer_projection_is_left_alone() {
    let home = Home::new();
    home.open().await.close().await.expect("closes");
    run(&home.path(), "PRAGMA user_version = 99").await;
    refused(&home.path(), expect!["DB was written by a newer release (projection 99, this one knows 1): upgrade, or restore a backup made before the newer release ran"]).await;
}

#[tokio::test]
async fn a_database_in_use_is_refused_until_it_is_free() {
    let home = Home::new();
    let first = home.open().await;
    let error = Store::open(&home.path(), Options::default())
        .await
        .expect_err("in use");
    let line = error
        .to_string()
        .replace(&home.path().display().to_string(), "DB")
        .replace(&std::process::id().to_string(), "PID");
    expect!["DB is in use by another process (PID): stop it or choose another file"]
        .assert_eq(&line);
    first
        .append(&menu_call(call(1)))
        .await
        .expect("the first one works on");
    drop(first);
    assert_eq!(
        home.open()
            .await
            .records(&Listing::default())
            .await
            .expect("reads")
            .len(),
        1
    );
}

#[tokio::test]
async fn a_missing_directory_or_a_directory_is_named() {
    let home = Home::new();
    refused(&home.path().join("below"), expect!["DB cannot be opened (No such file or directory (os error 2)): check that the directory exists and is writable"]).await;
    std::fs::create_dir(home.path()).expect("creates");
    refused(&home.path(), expect!["DB cannot be opened (unable to open database file): check that the directory exists and is writable"]).await;
}

#[tokio::test]
async fn a_transaction_of_another_program_is_waited_for_then_named() {
    // Only the message: the wait itself is SQLite's busy timeout.
    let path = Path::new("/var/lib/jackfield/calls.db").to_owned();
    expect!["/var/lib/jackfield/calls.db is locked by another program: end its transaction (a backup, a shell)"].assert_eq(&jackfield_store::Error::Busy { path: path.clone() }.to_string());
    expect!["no room left to write /var/lib/jackfield/calls.db: free disk space or raise the database's size limit"].assert_eq(&jackfield_store::Error::Full { path: path.clone() }.to_string());
    expect!["/var/lib/jackfield/calls.db is read-only: check the permissions of the file and its directory"].assert_eq(&jackfield_store::Error::ReadOnly { path }.to_string());
}

#[tokio::test]
async fn migrations_are_applied_once() {
    let home = Home::new();
    for _ in 0..3 {
        home.open().await.close().await.expect("closes");
    }
    let options = SqliteConnectOptions::new().filename(home.path());
    let mut conn = options.connect().await.expect("connects");
    let applied: Vec<(i64, bool)> =
        sqlx::query_as("SELECT version, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut conn)
            .await
            .expect("reads");
    assert_eq!(
        applied,
        [(1, true), (2, true), (3, true), (4, true), (5, true)]
    );
}

#[tokio::test]
async fn a_crash_before_the_first_migration_is_made_good() {
    let home = Home::new();
    run(
        &home.path(),
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
         checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
    )
    .await;
    home.open()
        .await
        .append(&menu_call(call(1)))
        .await
        .expect("works");
}

#[tokio::test]
async fn records_of_an_older_folding_are_folded_again() {
    let home = Home::new();
    let store = home.open().await;
    let batch: Vec<_> = (0..120).flat_map(|i| menu_call(call(i))).collect();
    store.append(&batch).await.expect("room");
    let before = store
        .records(&Listing {
            limit: 1_000,
            ..Listing::default()
        })
        .await;
    store.close().await.expect("closes");
    // What a release with another folding might have left.
    run(
        &home.path(),
        "UPDATE call_record SET projection = 0, disposition = 'failed', outcome = NULL; \
         PRAGMA user_version = 0",
    )
    .await;
    let store = home.open().await;
    assert_eq!(store.check().await.expect("reads"), []);
    let after = store
        .records(&Listing {
            limit: 1_000,
            ..Listing::default()
        })
        .await;
    assert_eq!(after.expect("reads"), before.expect("reads"));
}

#[tokio::test]
async fn odd_names_are_plain_files() {
    let home = Home::new();
    let dir = home.path();
    std::fs::create_dir(&dir).expect("creates");
    for name in [
        "file:calls.db?mode=memory",
        "通话 记录.db",
        "a%20b.db",
        ":memory:",
    ] {
        let path = dir.join(name);
        let store = Store::open(&path, Options::default()).await.expect(name);
        store.append(&menu_call(call(1))).await.expect("room");
        drop(store);
        assert!(path.is_file(), "{name}");
        let store = Store::open(&path, Options::default()).await.expect(name);
        assert!(
            store.record(call(1)).await.expect("reads").is_some(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_file_has_the_settings_asked_for() {
    let home = Home::new();
    for (durability, readers) in [(Durability::PowerLoss, 1), (Durability::ProcessCrash, 4)] {
        let options = Options {
            durability,
            readers,
            bytes_max: None,
        };
        let store = Store::open(&home.path(), options).await.expect("opens");
        store.append(&menu_call(call(1))).await.expect("room");
        store.close().await.expect("closes");
    }
    let mut name = home.path().into_os_string();
    name.push("-wal");
    assert!(
        !Path::new(&name).exists(),
        "closing leaves one file to copy"
    );
}
