//! Goal: what a caller presses in secret is known to the vault and to nobody else: not to the plugin, the
//! log, the trace, the events, the database or the recording.

use std::path::Path;

use jackfield_tests::shell::{Server, Setup, TOKEN, request};
use serde_json::Value;

/// A number that a card scheme publishes for tests.
const CARD: &str = "5555555555554444";

const VAULT_TOKEN: &str = "test-vault-token";

/// Whether a file of the folder, or of those in it, holds these bytes; names it.
fn holding(folder: &Path, bytes: &[u8]) -> Option<String> {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = holding(&path, bytes) {
                return Some(found);
            }
            continue;
        }
        let file = std::fs::read(&path).expect("a file");
        if file.windows(bytes.len()).any(|window| window == bytes) {
            return Some(path.display().to_string());
        }
    }
    None
}

#[test]
fn the_number_of_a_card_is_nowhere_but_in_the_vault() {
    let mut setup = Setup::demo("secret");
    setup.plugins.push("guest-probe".to_owned());
    setup.tenants.push_str(
        "\n[[tenant.route]]\nnumber = \"2200\"\npublic = true\nplugin = \"probe\"\n\
         config = \"secret.toml\"\ngrant = []\nfallback = \"sorry\"\nrecord = true\n",
    );
    let mode = "mode = \"secret-call\"\n".to_owned();
    setup.files.insert("secret.toml".to_owned(), mode);
    setup.http = "vault_token_env = \"VAULT_TOKEN\"\n".to_owned();
    let vault = ("VAULT_TOKEN".to_owned(), VAULT_TOKEN.to_owned());
    setup.env.extend([vault]);
    let mut server = Server::start(setup).expect("a server");

    let args = ["--wait", "1", "--press", CARD, "--hangup-after", "5"];
    let report = server.call("2200", &args).expect("a report");
    // It is hung up while the last key is still being sent.
    assert_eq!(report["status"], 200, "{report}");

    let calls = server.calls().expect("calls");
    let token = calls[0]["outcome"].as_str().expect("an outcome").to_owned();
    assert!(token.starts_with("sec_"), "{calls:?}");
    let id = calls[0]["id"].as_str().expect("an id");
    let detail = server
        .json(&format!("/api/v1/calls/{id}"))
        .expect("the call");
    let trace = server
        .json(&format!("/api/v1/calls/{id}/trace"))
        .expect("a trace");
    let ends: Vec<&Value> = detail["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["kind"] == "recording.segment_ended")
        .map(|event| &event["end"])
        .collect();
    assert_eq!(ends.first(), Some(&&Value::from("secured")), "{detail}");
    for (what, text) in [("events", detail.to_string()), ("trace", trace.to_string())] {
        assert!(!text.contains(CARD), "{what}: {text}");
    }

    // Only the vault's token opens it, and once.
    let path = format!("/api/v1/secrets/{token}/take");
    let take = |token: &str| request(server.http, "POST", &path, Some(token)).expect("an answer");
    assert_eq!(take(TOKEN).0, 401);
    let (status, taken) = take(VAULT_TOKEN);
    let taken: Value = serde_json::from_slice(&taken).expect("JSON");
    assert_eq!((status, &taken["digits"]), (200, &CARD.into()));
    assert_eq!(taken["call"], id);
    assert_eq!(take(VAULT_TOKEN).0, 410);

    // What the disk holds of all this, with the log.
    assert_eq!(holding(server.folder.path(), CARD.as_bytes()), None);
    let log = server.read_log().join("\n");
    assert!(
        log.contains(&token) && log.contains("luhn: true"),
        "the plugin has the token"
    );
    assert!(!log.contains(CARD), "{log}");
}
