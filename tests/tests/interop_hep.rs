//! Goal: what is copied to a collector by HEP is what went over the network, read by a program that is
//! not ours: sngrep takes the packets and writes a capture file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::capture::datagrams;
use jackfield_tests::peers::{spawn, until};
use jackfield_tests::shell::{Server, Setup, port_to_hand_over};
use serde_json::Value;

/// sngrep as a collector. Killed when dropped.
struct Collector(Child);

impl Collector {
    /// Listens, and writes what comes to a file.
    fn start(port: u16, file: &Path) -> anyhow::Result<Self> {
        let mut sngrep = Command::new("sngrep");
        sngrep
            // No screen, no settings of this user, nothing but what it is sent.
            .args(["-N", "-q", "-F", "-L", &format!("udp:127.0.0.1:{port}")])
            .arg("-O")
            .arg(file)
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = spawn(&mut sngrep).context(
            "sngrep does not run; install it: \
             sudo apt-get install -y --no-install-recommends sngrep",
        )?;
        let collector = Self(child);
        let listens = format!("0100007F:{port:04X} ");
        until("sngrep listens", || {
            let sockets = std::fs::read_to_string("/proc/net/udp")?;
            Ok(sockets.contains(&listens).then_some(()))
        })?;
        Ok(collector)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What each message of a trace is: from where, to where, its text.
fn sent(trace: &Value) -> Vec<(String, String, String)> {
    let messages = trace["messages"].as_array().expect("messages").iter();
    let text = |message: &Value, name: &str| message[name].as_str().expect(name).to_owned();
    messages
        .map(|message| {
            let (local, remote) = (text(message, "local"), text(message, "remote"));
            let (from, to) = if message["way"] == "in" {
                (remote, local)
            } else {
                (local, remote)
            };
            (from, to, text(message, "text"))
        })
        .collect()
}

/// The same of those that the collector has for these dialogs.
fn collected(
    file: &Path,
    calls: &BTreeSet<String>,
) -> anyhow::Result<Vec<(String, String, String)>> {
    let bytes = std::fs::read(file)?;
    // It may be writing.
    let Ok(packets) = datagrams(&bytes) else {
        return Ok(Vec::new());
    };
    let packets = packets.iter().map(|packet| {
        let text = String::from_utf8_lossy(packet.payload).into_owned();
        (packet.from.to_string(), packet.to.to_string(), text)
    });
    let of_calls = |(_, _, text): &(String, String, String)| {
        let id = text.lines().find_map(|line| line.strip_prefix("Call-ID: "));
        id.is_some_and(|id| calls.contains(id))
    };
    Ok(packets.filter(of_calls).collect())
}

#[test]
fn a_collector_that_is_not_ours_reads_every_message() {
    run().expect("sngrep has it all");
}

fn run() -> anyhow::Result<()> {
    let port = port_to_hand_over();
    let mut setup = Setup::demo("hep");
    let hep = format!("[sip.hep]\nto = \"127.0.0.1:{port}\"\ncapture_id = 2001\n");
    setup.tenants.insert_str(0, &hep);
    let server = Server::start(setup)?;
    let file = server.folder.path().join("collected.pcap");
    let _collector = Collector::start(port, &file)?;

    let login = ["--from", "1001", "--password-env", "PHONE_1001"];
    server.call("1010", &[&login[..], &["--hangup-after", "1"]].concat())?;
    let page = server.json("/api/v1/calls?limit=1")?;
    let call = page["items"][0]["id"].as_str().context("a call")?;
    let path = format!("/api/v1/calls/{call}/trace");
    let trace = until("the call is over", || {
        let trace = server.json(&path)?;
        Ok((trace["stage"] == "past").then_some(trace))
    })?;
    let legs = trace["legs"].as_array().context("legs")?.iter();
    let dialogs = legs.filter_map(|leg| leg["sip_call_id"].as_str().map(str::to_owned));
    let dialogs: BTreeSet<String> = dialogs.collect();
    let sent = sent(&trace);
    ensure!(
        sent.len() > 8,
        "an INVITE twice and all that follows: {trace}"
    );
    // What proves who calls is covered there as well.
    ensure!(
        sent.iter()
            .any(|(_, _, text)| text.contains("response=\"****")),
        "{trace}"
    );
    let mut last = Vec::new();
    let all = until("all is collected", || {
        last = collected(&file, &dialogs)?;
        Ok((last.len() >= sent.len()).then_some(()))
    });
    all.with_context(|| format!("sent {sent:#?}, collected {last:#?}"))?;
    ensure!(last == sent, "sent {sent:#?}, collected {last:#?}");
    Ok(())
}
