//! Goal: a call out goes to the carrier that is there. The first of two says nothing, the second is
//! sipp; the caller is connected within the same attempt, the next call does not ask the first one,
//! and each carrier is shown what it wants to see.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use jackfield_tests::peers::{record, spawn};
use jackfield_tests::shell::{Folder, Server, Setup, free_port};

/// Stops a program at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A carrier that answers every call, and what it was sent.
struct Carrier {
    process: Process,
    folder: Folder,
    address: SocketAddr,
}

impl Carrier {
    fn start() -> anyhow::Result<Self> {
        let folder = Folder::new("trunk-carrier");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let screen = std::fs::File::create(folder.path().join("screen.txt"))?;
        let child = spawn(
            Command::new("sipp")
                .args(["-sn", "uas", "-i", "127.0.0.1", "-nostdin"])
                .args(["-p", &address.port().to_string()])
                .args(["-mp", &free_port().to_string()])
                .args(["-trace_msg", "-message_file", "messages.txt"])
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(screen)
                .stderr(Stdio::null()),
        )
        .context("sipp is missing: apt-get install sip-tester")?;
        Ok(Self {
            process: Process(child),
            folder,
            address,
        })
    }

    /// All INVITEs so far.
    fn invites(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("messages.txt"));
        let text = text.unwrap_or_default();
        let messages = text.split("-----------------------------------------------");
        messages
            .filter(|message| message.contains("message received"))
            .filter_map(|message| {
                message
                    .find("INVITE sip:")
                    .map(|at| message[at..].to_owned())
            })
            .collect()
    }
}

/// Requests that came to a socket which answers none, without their retransmissions.
fn requests(socket: &UdpSocket) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut bytes = [0; 4_096];
    while let Ok((length, _)) = socket.recv_from(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default().trim()
}

/// The demo with two carriers; its operator is a number outside.
fn setup(silent: SocketAddr, carrier: SocketAddr) -> Setup {
    let mut setup = Setup::demo("interop-trunks");
    setup.tenants += &format!(
        "\n[tenant.numbers]\ncountry = \"86\"\narea = \"21\"\nnational_prefix = \"0\"\n\
         international_prefix = \"00\"\n\
         [[tenant.trunk]]\nid = \"silent\"\naddress = \"{silent}\"\nprefixes = [\"+8621\"]\n\
         health_s = 0\ndomain = \"ims.example.com\"\nassert_identity = true\n\
         caller_id = \"02155501000\"\ncodecs = [\"PCMA\"]\n\
         [[tenant.trunk]]\nid = \"second\"\naddress = \"{carrier}\"\nprefixes = [\"+86\"]\n\
         health_s = 0\nnumbers = \"national\"\n"
    );
    let menu = setup.files.get_mut("menu.toml").expect("the demo's menu");
    *menu = menu.replace("transfer = \"1001\"", "transfer = \"021-5550-1234\"");
    setup
}

#[test]
fn a_call_goes_to_the_carrier_that_is_there() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("a mode");
    let silent = socket.local_addr().expect("an address");
    let mut carrier = Carrier::start().expect("a carrier");
    let server = Server::start(setup(silent, carrier.address)).expect("a server");
    let args = ["--from", "1002", "--password-env", "PHONE_1002"];
    let walk = [
        "--wait",
        "1",
        "--press",
        "1",
        "--wait",
        "2",
        "--press",
        "0",
        "--hangup-after",
        "14",
    ];
    let call = server.call("1000", &[&args[..], &walk[..]].concat());
    let call = call.expect("a call");
    assert_eq!(call["status"], 200, "{call}");

    // The first carrier was asked in its own words.
    let asked = requests(&socket);
    let invites: Vec<&String> = asked
        .iter()
        .filter(|text| text.starts_with("INVITE "))
        .collect();
    assert_eq!(invites.len(), 1, "{asked:?}");
    let invite = invites[0];
    assert!(
        invite.starts_with("INVITE sip:+862155501234@ims.example.com SIP/2.0"),
        "{invite}"
    );
    let own = "<sip:+862155501000@ims.example.com>";
    assert_eq!(header(invite, "P-Asserted-Identity"), own);
    assert!(header(invite, "From").starts_with(own), "{invite}");
    assert!(invite.contains(" RTP/AVP 8 101"), "{invite}");

    // The second one in its own.
    let taken = carrier.invites();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let target = format!("INVITE sip:02155501234@{} SIP/2.0", carrier.address);
    assert!(taken[0].starts_with(&target), "{}", taken[0]);
    assert_eq!(header(&taken[0], "P-Asserted-Identity"), "");

    let first = record::of_user(&server, "1002", 1).expect("a record");
    let dialed: Vec<_> = first[0]
        .events("leg.dialed")
        .iter()
        .map(|it| it["leg"].clone())
        .collect();
    let ended: Vec<_> = first[0]
        .events("leg.dial_ended")
        .iter()
        .map(|it| it["result"].clone())
        .collect();
    assert_eq!(dialed, [2, 3], "{}", first[0].json);
    assert_eq!(ended, ["unreachable", "answered"], "{}", first[0].json);
    let failovers = server.metric("jackfield_trunk_failovers_total{trunk=\"silent\"}");
    assert_eq!(failovers.expect("a metric"), 1.0);

    // sipp is gone now: nobody is there any more, and the caller is told.
    drop(carrier.process.0.kill());
    drop(carrier.process.0.wait());
    let call = server.call("1000", &[&args[..], &walk[..]].concat());
    assert_eq!(call.expect("a call")["status"], 200);
    let records = record::of_user(&server, "1002", 2).expect("records");
    let ended: Vec<_> = records
        .iter()
        .flat_map(|it| it.events("leg.dial_ended"))
        .map(|it| it["result"].clone())
        .collect();
    assert_eq!(ended.len(), 4, "{ended:?}");
    let trunks = server.json("/api/v1/trunks").expect("trunks");
    let calls: Vec<_> = trunks["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (it["id"].clone(), it["calls"].clone()))
        .collect();
    assert_eq!(
        calls,
        [("silent".into(), 0.into()), ("second".into(), 0.into())]
    );
}
