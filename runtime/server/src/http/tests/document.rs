//! That `docs/reference/openapi.json` says what is so.

use plugin::{Listed, Standing};
use serde_json::Value;
use sip::guard::{Ban, BanReason};
use vocab::Wall;
use vocab::flow::PluginRef;

use super::support::{Server, TOKEN, call, eventful};
use super::{archive, prompts, trace};
use crate::http::{bans, openapi, plugins, registrations};

fn document() -> Value {
    serde_json::from_str(openapi::DOCUMENT).unwrap()
}

/// What differs between a value and its schema, in the words of JSON Schema that we use. Fields
/// that the schema does not name are wrong too: a document that leaves them out is not true.
fn differences(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document
            .pointer(reference.trim_start_matches('#'))
            .expect("a reference");
        return differences(document, target, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fit = |choice: &&Value| differences(document, choice, value, at).is_empty();
        return match choices.iter().filter(fit).count() {
            1 => Vec::new(),
            fits => vec![format!("{at}: {fits} choices fit {value}")],
        };
    }
    let mut found = Vec::new();
    if schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: not {}", schema["const"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at}: {value} is not one of {allowed:?}"));
    }
    let several = schema["type"].as_array().into_iter().flatten();
    let types: Vec<&str> = several
        .chain([&schema["type"]])
        .filter_map(Value::as_str)
        .collect();
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&kind) {
        found.push(format!("{at}: {kind}, not {types:?}"));
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (n, item) in items.iter().enumerate() {
            found.extend(differences(document, schema, item, &format!("{at}[{n}]")));
        }
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, field) in fields {
            match known.get(name) {
                Some(schema) => {
                    found.extend(differences(
                        document,
                        schema,
                        field,
                        &format!("{at}.{name}"),
                    ));
                }
                None => found.push(format!("{at}: {name} is not in the document")),
            }
        }
        let required = schema["required"]
            .as_array()
            .expect("all fields are always there");
        let missing = |name: &&Value| !fields.contains_key(name.as_str().unwrap());
        found.extend(
            required
                .iter()
                .filter(missing)
                .map(|name| format!("{at}: no {name}")),
        );
        assert_eq!(
            known.len(),
            required.len(),
            "{at}: all fields are always there"
        );
    }
    found
}

pub(super) fn check(schema: &str, value: &Value) {
    let document = document();
    let schema = document
        .pointer(schema)
        .unwrap_or_else(|| panic!("{schema} is not there"));
    assert_eq!(
        differences(&document, schema, value, "$"),
        Vec::<String>::new(),
        "{value:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_shape_that_is_told() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&eventful(call(0))).await;
    server.keep(&eventful(call(1))[..1]).await;
    let page = server.json("/api/v1/calls").await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    let body = "responses/200/content/application~1json/schema";
    check(&format!("/paths/~1calls/get/{body}"), &page);
    for n in [0, 1] {
        let one = server.json(&format!("/api/v1/calls/{}", call(n))).await;
        check(&format!("/paths/~1calls~1{{id}}/get/{body}"), &one);
    }
    let kinds = document()["components"]["schemas"]["Event"]["oneOf"]
        .as_array()
        .map(Vec::len);
    assert_eq!(
        kinds,
        Some(eventful(call(0)).len()),
        "a call with every kind was told"
    );
    check(
        &format!("/paths/~1status/get/{body}"),
        &server.json("/api/v1/status").await,
    );
    check(
        &format!("/paths/~1plugins/get/{body}"),
        &server.json("/api/v1/plugins").await,
    );
    check(
        "/components/schemas/Problem",
        &server.ask("GET", "/api/v1/calls/x").await.json(),
    );
    assert_eq!(
        server.json("/api/v1/openapi.json").await,
        document(),
        "it is served as it is"
    );

    let contact = sip::Contact {
        uri: "sip:1001@192.0.2.9".to_owned(),
        hop: sip::Hop {
            transport: sip::Transport::Tcp,
            remote: "192.0.2.9:40000".parse().unwrap(),
            conn: Some(sip::ConnId(1)),
        },
        path: Vec::new(),
        q_thousandths: 1_000,
        instance: Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned()),
        reg_id: Some(1),
        user_agent: "baresip".to_owned(),
        expires: Wall(0),
    };
    let registration = registrations::Registration::from(("1001".to_owned(), vec![contact]));
    let registration = serde_json::to_value(registration).unwrap();
    check("/components/schemas/Registration", &registration);
    let page = server.json("/api/v1/registrations").await;
    check(&format!("/paths/~1registrations/get/{body}"), &page);
    let banned = server.json("/api/v1/sip/bans").await;
    check(&format!("/paths/~1sip~1bans/get/{body}"), &banned);
    for reason in BanReason::ALL {
        let ban = Ban {
            address: "192.0.2.66".parse().unwrap(),
            reason,
            since: Wall(0),
            until: Wall(60_000_000),
            times: 1,
        };
        let ban = serde_json::to_value(bans::Banned::from(ban)).unwrap();
        check("/components/schemas/Ban", &ban);
    }
    let trace = trace::sample();
    server
        .store
        .keep_traces(&[(call(0), trace.into())], trace::KEEP)
        .await
        .unwrap();
    let told = server
        .json(&format!("/api/v1/calls/{}/trace", call(0)))
        .await;
    assert_eq!(told["messages"].as_array().map(Vec::len), Some(2));
    check(&format!("/paths/~1calls~1{{id}}~1trace/get/{body}"), &told);
    server.traces.sample_stray();
    let strays = server.json("/api/v1/sip/messages").await;
    assert_eq!(strays["items"].as_array().map(Vec::len), Some(1));
    check(&format!("/paths/~1sip~1messages/get/{body}"), &strays);

    prompts::configure(&server);
    prompts::upload(&server).await;
    for path in ["", "/{language}/{name}/versions"] {
        let asked = path.replace("{language}", "en");
        let asked = asked.replace("{name}", "greeting");
        let told = server.json(&format!("{}{asked}", prompts::ALL)).await;
        let rows = told["items"].as_array().map(Vec::len);
        assert!(
            rows.is_some_and(|rows| rows > 1),
            "of the folder and uploaded"
        );
        let path = format!("/tenants/{{tenant}}/prompts{path}").replace('/', "~1");
        check(&format!("/paths/{path}/get/{body}"), &told);
    }

    archive::keep_one(&server).await;
    let page = server.json("/api/v1/recordings").await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1));
    check(&format!("/paths/~1recordings/get/{body}"), &page);
    let holds = server.json("/api/v1/holds").await;
    check(&format!("/paths/~1holds/get/{body}"), &holds);
    let trail = server.json("/api/v1/audit").await;
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(2));
    check(&format!("/paths/~1audit/get/{body}"), &trail);

    let listed = Listed {
        plugin: PluginRef {
            name: "ivr-menu".into(),
            version: "0.1.0".into(),
        },
        sha256: [0xab; 32],
        standing: Standing::Leaving,
        live: 1,
        runs: 2,
        faults: 3,
    };
    let version = serde_json::to_value(plugins::Version::from(listed)).unwrap();
    assert_eq!(version["sha256"], "ab".repeat(32));
    check("/components/schemas/PluginVersion", &version);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_can_be_asked_and_nothing_else() {
    let server = Server::start(Some(TOKEN)).await;
    // Or the answer to `/events` would never end.
    server.feed.close();
    let document = document();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", &call(0).to_string())
            .replace("{tenant}", "demo")
            .replace("{language}", "en")
            .replace("{name}", "menu")
            .replace("{token}", "sec_00000000000000000000000007")
            .replace("{slot}", "7")
            .replace("{address}", "192.0.2.1");
        let told: Vec<String> = operations
            .as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = server.ask(method, &format!("/api/v1{path}")).await;
            let there =
                answer.status != 405 && (answer.status < 400 || answer.code() != "no_such_path");
            assert_eq!(there, told.contains(&method.to_owned()), "{method} {path}");
        }
    }
}

/// The other direction: routes are written down in one place each, and the document has them.
#[test]
fn every_route_is_told() {
    let sources = [
        include_str!("../calls.rs"),
        include_str!("../actions.rs"),
        include_str!("../parties.rs"),
        include_str!("../events.rs"),
        include_str!("../recordings.rs"),
        include_str!("../holds.rs"),
        include_str!("../secrets.rs"),
        include_str!("../taping.rs"),
        include_str!("../trace.rs"),
        include_str!("../plugins.rs"),
        include_str!("../prompts.rs"),
        include_str!("../registrations.rs"),
        include_str!("../credentials.rs"),
        include_str!("../bans.rs"),
        include_str!("../trunks.rs"),
        include_str!("../status.rs"),
        include_str!("../openapi.rs"),
    ];
    let document = document();
    let mut routes = 0;
    for source in sources {
        for route in source.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            assert!(
                document["paths"].get(path).is_some(),
                "{path} is not in the document"
            );
            routes += 1;
        }
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), routes);
}
