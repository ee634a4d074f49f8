//! Goal: a plugin that breaks hurts its own caller only, who hears the announcement; the fault is
//! named with plugin, version and reason in log, metrics and the call's record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jackfield_tests::peers::capture::Capture;
use jackfield_tests::peers::menu::prompts;
use jackfield_tests::shell::{Server, Setup};
use media::Codec;

/// What the probe does, and what that is called.
const FAULTS: [(&str, &str); 7] = [
    ("loop", "out_of_time"),
    ("memory", "out_of_memory"),
    ("recurse", "stack_overflow"),
    ("panic", "panic"),
    ("trap", "trap"),
    ("flood", "host_limit"),
    ("error", "error"),
];

fn setup() -> Setup {
    let mut setup = Setup::demo("faults");
    setup.plugins.push("guest-probe".to_owned());
    setup.rtp_ports = 120;
    for (index, (mode, _)) in FAULTS.iter().enumerate() {
        write!(
            setup.tenants,
            "\n[[tenant.route]]\nnumber = \"21{index:02}\"\npublic = true\nplugin = \"probe\"\n\
             config = \"{mode}.toml\"\ngrant = []\nfallback = \"sorry\"\n"
        )
        .expect("a string takes all");
        setup
            .files
            .insert(format!("{mode}.toml"), format!("mode = \"{mode}\"\n"));
    }
    setup
}

#[test]
fn a_broken_plugin_hurts_its_own_caller_only() {
    let mut server = Server::start(setup()).expect("a server");
    let folder = server.folder.path().to_owned();
    let pcap = |name: &str| folder.join(format!("{name}.pcap"));
    let said = |name: &str, what: &str| {
        let came = Capture::of_phone(Codec::Pcmu, &pcap(name));
        came.and_then(|came| came.check(&prompts(&[what])))
    };

    // An honest caller listens to the whole greeting while everything else breaks around it.
    let file = pcap("honest").display().to_string();
    // It lasts 8 s, and longer where the machine stands still; 6 s later the menu would go on.
    let honest_args = ["--wait", "13", "--hangup-after", "0", "--pcap", &file];
    let honest_call = server.phone("1000", &honest_args).expect("a phone");
    let mut broken = Vec::new();
    for (index, (mode, _)) in FAULTS.iter().enumerate() {
        let file = pcap(mode).display().to_string();
        let phone = server
            .phone(&format!("21{index:02}"), &["--pcap", &file])
            .expect("a phone");
        broken.push((*mode, phone));
    }
    for (mode, phone) in broken {
        let output = phone.wait_with_output().expect("a phone ends");
        let report: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{mode}: {e}"));
        said(mode, "zh-CN/sorry").unwrap_or_else(|error| panic!("{mode}: {error}: {report}"));
    }
    let output = honest_call.wait_with_output().expect("a phone ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    said("honest", "common/welcome").expect("the whole greeting");

    // The record, the metrics and the log name each fault.
    let calls = server.calls().expect("calls");
    let by_number: BTreeMap<&str, &serde_json::Value> = calls
        .iter()
        .map(|call| (call["to"].as_str().expect("a number"), call))
        .collect();
    assert_eq!(
        by_number.len(),
        FAULTS.len() + 1,
        "one record a call: {calls:?}"
    );
    server.read_log();
    for (index, (mode, kind)) in FAULTS.iter().enumerate() {
        let call = by_number[format!("21{index:02}").as_str()];
        let fault = call["fault"]
            .as_str()
            .unwrap_or_else(|| panic!("{mode}: no fault: {call}"));
        assert!(
            fault.contains(&format!("plugin probe 1.2.3: {kind}")),
            "{mode}: {fault}"
        );
        let metric = format!(
            "jackfield_plugin_faults_total{{plugin=\"probe\",version=\"1.2.3\",kind=\"{kind}\"}}"
        );
        assert_eq!(server.metric(&metric).expect("the metric"), 1.0, "{mode}");
        let logged = server.log.iter().any(|line| {
            line.contains("\"plugin.name\":\"probe\"")
                && line.contains("\"plugin.version\":\"1.2.3\"")
                && line.contains(kind)
        });
        assert!(
            logged,
            "{mode}: the log does not name {kind}:\n{}",
            server.log.join("\n")
        );
    }
    assert!(by_number["1000"]["fault"].is_null());
}
