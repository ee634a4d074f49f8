//! Goal: what goes wrong at start or in a call is said in one line that says what to do.

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};

use jackfield_tests::shell::{Folder, Server, Setup, binary, complaint, free_port};

/// Runs the binary to its end with this configuration.
fn run(name: &str, toml: &str, command: &str) -> Output {
    let folder = Folder::new(name);
    std::fs::write(folder.path().join("jackfield.toml"), toml).expect("a file");
    Command::new(binary().expect("the binary"))
        .args([command, "--config", "jackfield.toml"])
        .current_dir(folder.path())
        .env_remove("JACKFIELD_TOKEN")
        .output()
        .expect("it runs")
}

#[test]
fn a_bad_configuration_is_named_by_file_and_line() {
    let toml = "data_dir = \"data\"\n\n[sip]\nupd = \"127.0.0.1:5060\"\n";
    let line = complaint(&run("bad-config", toml, "check-config"));
    assert!(
        line.contains("jackfield.toml:4") && line.contains("udp"),
        "{line}"
    );
}

#[test]
fn an_open_address_needs_a_token() {
    let toml = "data_dir = \"data\"\n[http]\nbind = \"0.0.0.0:8080\"\n";
    let line = complaint(&run("open", toml, "check-config"));
    assert!(line.contains("token"), "{line}");
}

#[test]
fn a_taken_port_is_named() {
    let port = free_port();
    let _taken = UdpSocket::bind(("127.0.0.1", port)).expect("the port");
    let http = free_port();
    let toml = format!(
        "data_dir = \"data\"\n[sip]\nudp = \"127.0.0.1:{port}\"\ntcp = \"127.0.0.1:{port}\"\n\
         [media]\nrtp_ports = \"47000-47009\"\n[http]\nbind = \"127.0.0.1:{http}\"\n"
    );
    let line = complaint(&run("taken", &toml, "serve"));
    assert!(
        line.contains(&port.to_string()) && line.contains("another"),
        "{line}"
    );

    let port = free_port();
    let _taken = TcpListener::bind(("127.0.0.1", http)).expect("the port");
    let toml = format!(
        "data_dir = \"data\"\n[sip]\nudp = \"127.0.0.1:{port}\"\ntcp = \"127.0.0.1:{port}\"\n\
         [media]\nrtp_ports = \"47000-47009\"\n[http]\nbind = \"127.0.0.1:{http}\"\n"
    );
    let line = complaint(&run("taken-http", &toml, "serve"));
    assert!(
        line.contains(&http.to_string()) && line.contains("[http]"),
        "{line}"
    );
}

#[test]
fn callers_are_told_what_the_matter_is() {
    let mut setup = Setup::demo("caller-errors");
    setup.plugins.retain(|plugin| plugin != "hello-ivr");
    setup.tenants.push_str(
        "\n[[tenant.route]]\nnumber = \"1020\"\nplugin = \"ivr-menu\"\nconfig = \"menu.toml\"\n\
         grant = []\nfallback = \"sorry\"\n",
    );
    let server = Server::start(setup).expect("a server");

    let unknown = server.call("4711", &[]).expect("a report");
    assert_eq!(
        (&unknown["ok"], &unknown["status"]),
        (&false.into(), &404.into()),
        "{unknown}"
    );

    let private = server.call("1020", &[]).expect("a report");
    assert_eq!(private["status"], 401, "not public: {private}");

    let args = [
        "--from",
        "1001",
        "--password-env",
        "PHONE_1002",
        "--register",
    ];
    let wrong = server.call("1000", &args).expect("a report");
    assert_eq!(wrong["ok"], false, "a wrong password: {wrong}");
    assert!(
        server
            .metric("jackfield_auth_failures_total")
            .expect("the metric")
            >= 1.0
    );

    // A route whose plugin is missing: the caller hears the announcement.
    let missing = server.call("1010", &[]).expect("a report");
    assert!(
        missing["heard"]["speech_seconds"].as_f64() > Some(1.0),
        "{missing}"
    );
    let calls = server.calls().expect("calls");
    let call = &calls[0];
    let fault = call["fault"].as_str().expect("a fault");
    assert!(
        fault.contains("hello-ivr") && fault.contains("installed"),
        "{fault}"
    );

    let right = server
        .call(
            "1020",
            &[
                "--from",
                "1001",
                "--password-env",
                "PHONE_1001",
                "--hangup-after",
                "1",
            ],
        )
        .expect("a report");
    assert_eq!(right["ok"], true, "{right}");
}

#[test]
fn a_stopping_server_lets_calls_end_and_takes_no_more() {
    let mut server = Server::start(Setup::demo("drain")).expect("a server");
    let call = server
        .phone("1000", &["--hangup-after", "3"])
        .expect("a phone");
    server.wait_for("answered").expect("it is answered");
    server.signal("TERM").expect("a signal");
    server.wait_for("draining").expect("a progress line");
    let refused = server.call("1000", &[]).expect("a report");
    assert_eq!(refused["status"], 503, "{refused}");
    let output = call.wait_with_output().expect("the phone ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    server.wait_for("drained").expect("it says so");
    assert!(server.wait().expect("it ends").success());
}
