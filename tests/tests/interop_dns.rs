//! Goal: a carrier by name. Two servers stand behind its SRV records, the preferred one is not there:
//! the call gets through by the second within the same attempt, the next call goes there first, and
//! once the first one is back it is used again. The caller finds our server by name, too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use jackfield_tests::peers::dns::{Data, DnsServer};
use jackfield_tests::peers::{record, spawn, until};
use jackfield_tests::shell::{Folder, Server, Setup, free_port};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// sipp as a carrier that answers every call.
struct Carrier {
    process: Child,
    folder: Folder,
}

impl Carrier {
    fn start(port: u16) -> anyhow::Result<Self> {
        let folder = Folder::new(&format!("dns-carrier-{port}"));
        let screen = std::fs::File::create(folder.path().join("screen.txt"))?;
        let process = spawn(
            Command::new("sipp")
                .args(["-sn", "uas", "-i", "127.0.0.1", "-nostdin"])
                .args(["-p", &port.to_string()])
                .args(["-mp", &free_port().to_string()])
                .args(["-trace_msg", "-message_file", "messages.txt"])
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(screen)
                .stderr(Stdio::null()),
        )
        .context("sipp is missing: apt-get install sip-tester")?;
        Ok(Self { process, folder })
    }

    /// How many calls it was offered.
    fn calls(&self) -> usize {
        let text = std::fs::read_to_string(self.folder.path().join("messages.txt"));
        let text = text.unwrap_or_default();
        let messages = text.split("-----------------------------------------------");
        let received = messages.filter(|message| message.contains("message received"));
        let offered = received.filter(|it| it.contains("INVITE sip:02155501234@carrier.test"));
        // A slow carrier gets an INVITE twice.
        let ids = offered.filter_map(|it| it.lines().find(|line| line.starts_with("Call-ID:")));
        ids.collect::<std::collections::BTreeSet<_>>().len()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The demo with one carrier, by name; its operator is a number outside.
fn setup(dns: SocketAddr) -> Setup {
    let mut setup = Setup::demo("interop-dns");
    setup.tenants = format!("[dns]\nservers = [\"{dns}\"]\ntimeout_s = 1\n\n") + &setup.tenants;
    setup.tenants += "\n[tenant.numbers]\ncountry = \"86\"\narea = \"21\"\nnational_prefix = \"0\"\n\
         international_prefix = \"00\"\n\
         [[tenant.trunk]]\nid = \"named\"\naddress = \"carrier.test\"\nprefixes = [\"+86\"]\n\
         health_s = 0\nnumbers = \"national\"\n";
    let menu = setup.files.get_mut("menu.toml").expect("the demo's menu");
    *menu = menu.replace("transfer = \"1001\"", "transfer = \"021-5550-1234\"");
    setup
}

/// Servers of the trunk that are alive, as the API tells.
fn alive(server: &Server) -> anyhow::Result<Vec<String>> {
    let trunks = server.json("/api/v1/trunks")?;
    let servers = trunks["items"][0]["servers"].as_array();
    let servers = servers.context("servers")?.iter();
    let alive = servers.filter(|it| it["alive"] == true);
    Ok(alive.map(|it| it["address"].to_string()).collect())
}

#[test]
fn a_call_goes_to_the_server_of_a_carrier_that_is_there() {
    let (dead, living) = (free_port(), free_port());
    let zone = vec![
        (
            "carrier.test",
            Data::Naptr(10, 10, "SIP+D2U", "_sip._udp.carrier.test"),
        ),
        (
            "_sip._udp.carrier.test",
            Data::Srv(10, 0, dead, "a.carrier.test"),
        ),
        (
            "_sip._udp.carrier.test",
            Data::Srv(20, 0, living, "b.carrier.test"),
        ),
        ("a.carrier.test", Data::A(LOOPBACK)),
        ("b.carrier.test", Data::Cname("a.carrier.test")),
    ];
    let dns = DnsServer::start(zone, 3_600);
    let second = Carrier::start(living).expect("a carrier");
    let server = Server::start(setup(dns.address)).expect("a server");
    until("the carrier's name is looked up", || {
        Ok(Some(()).filter(|()| alive(&server).is_ok_and(|alive| alive.len() == 2)))
    })
    .expect("two servers");
    assert!(
        dns.asked().contains(&"35 carrier.test".to_owned()),
        "{:?}",
        dns.asked()
    );

    let start = |hangup: &str| {
        let args = ["--from", "1002", "--password-env", "PHONE_1002"];
        let walk = ["--wait", "1", "--press", "1", "--wait", "2", "--press", "0"];
        let end = ["--hangup-after", hangup];
        let phone = server.phone("1000", &[&args[..], &walk[..], &end[..]].concat());
        phone.expect("a phone")
    };
    let finish = |phone: Child| {
        let said = phone.wait_with_output().expect("an end").stdout;
        let call: serde_json::Value = serde_json::from_slice(&said).expect("its JSON");
        assert_eq!(call["status"], 200, "{call}");
    };
    let ended = |count: usize| {
        let records = record::of_user(&server, "1002", count).expect("records");
        let ended = |record: &record::Record| {
            let ended = record.events("leg.dial_ended");
            let ended = ended.iter().map(|it| it["result"].to_string());
            ended.collect::<Vec<_>>()
        };
        records.iter().map(ended).collect::<Vec<_>>()
    };
    let left_alone = || alive(&server).is_ok_and(|alive| alive.len() == 1);
    // Nobody answers on the first server; after 4 s the second one is asked. The next call begins
    // there. On a machine so slow that the first one's time is over before that call is, it may not.
    let calling = start("12");
    until("the first server is left alone", || {
        Ok(Some(()).filter(|()| left_alone()))
    })
    .expect("one server");
    finish(start("4"));
    let straight = left_alone();
    finish(calling);
    assert_eq!(second.calls(), 2);
    let both = ended(2);
    assert_eq!(both[1], ["\"unreachable\"", "\"answered\""]);
    if straight {
        assert_eq!(both[0], ["\"answered\""]);
    }

    // It is back, and after a while it is the first again.
    let first = Carrier::start(dead).expect("a carrier");
    until("the first server is used again", || {
        Ok(Some(()).filter(|()| alive(&server).is_ok_and(|alive| alive.len() == 2)))
    })
    .expect("two servers");
    let before = second.calls();
    finish(start("5"));
    // It may have got what was left of the first call, too: an INVITE is repeated for 32 s, and what
    // answers late is dismissed.
    assert!(first.calls() >= 1, "it was not asked");
    assert_eq!(second.calls(), before);
    assert_eq!(ended(3)[0], ["\"answered\""]);
}

#[test]
fn the_test_phone_finds_a_server_by_name() {
    let server = Server::start(Setup::demo("interop-dns-phone")).expect("a server");
    let zone = vec![
        (
            "_sip._tcp.pbx.test",
            Data::Srv(10, 0, free_port(), "none.pbx.test"),
        ),
        (
            "_sip._tcp.pbx.test",
            Data::Srv(20, 0, server.sip.port(), "pbx.test"),
        ),
        ("none.pbx.test", Data::A(LOOPBACK)),
        ("pbx.test", Data::A(LOOPBACK)),
    ];
    let dns = DnsServer::start(zone, 60);
    let at = dns.address.to_string();
    let args = ["--dns", &at, "--hangup-after", "1", "--wait", "0.5"];
    // The domain offers TCP alone, and its first server is not there.
    let call = server.call_to("sip:1000@pbx.test", &args).expect("a call");
    assert_eq!(
        (&call["ok"], &call["status"]),
        (&true.into(), &200.into()),
        "{call}"
    );
    let nowhere = server
        .call_to("sip:1000@nowhere.test", &args)
        .expect("an error");
    let why = nowhere["error"].as_str().unwrap_or_default();
    assert_eq!(why, "looking up nowhere.test: the name has no address");
}
