//! Goal: carriers that want to be registered with know where we are. One asks who we are and grants
//! ten seconds, one wants to be asked for longer, one wants to be left alone; what the API says of
//! them is what they said, calls come in where we registered, and who is left is told so.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::raw::{Challenge, Raw};
use jackfield_tests::peers::scenario::{Play, header};
use jackfield_tests::peers::talker::Talker;
use jackfield_tests::peers::{record, until};
use jackfield_tests::shell::{Server, Setup};

/// Who we are for the carriers, and the number that they give us.
const NUMBER: &str = "+862155501000";
const PASSWORD: &str = "a-secret-of-the-carrier";

/// A carrier that grants a short time, one that wants a longer one, one that has no time for us.
const CARRIERS: [(&str, Ipv4Addr); 3] = [
    ("brief", Ipv4Addr::new(127, 0, 0, 6)),
    ("long", Ipv4Addr::new(127, 0, 0, 7)),
    ("busy", Ipv4Addr::new(127, 0, 0, 8)),
];

/// What the shortest time is that any server takes.
const BRIEF_S: u32 = 10;

/// A carrier.
struct Carrier {
    talker: Talker,
    address: SocketAddr,
    /// Where we said that we are.
    contact: String,
}

impl Carrier {
    /// The next REGISTER for so many seconds.
    fn asked(&mut self, expires: &str) -> anyhow::Result<String> {
        let request = self.talker.expect("REGISTER")?;
        let of = |name| header(&request, name).unwrap_or_default();
        ensure!(of("Expires") == expires, "not {expires} s: {request}");
        let aor = format!("<sip:{NUMBER}@{}>", self.address);
        ensure!(of("To") == aor, "not {aor}: {request}");
        ensure!(of("From").starts_with(&format!("{aor};tag=")), "{request}");
        ensure!(of("Contact") == self.contact, "{request}");
        let target = format!("REGISTER sip:{} SIP/2.0", self.address);
        ensure!(request.starts_with(&target), "not {target}: {request}");
        Ok(request)
    }

    /// The same from somebody who proves who he is.
    fn proven(&mut self, expires: &str, stale: bool) -> anyhow::Result<String> {
        let first = self.asked(expires)?;
        ensure!(header(&first, "Authorization").is_none(), "{first}");
        let mut challenge = self.challenges(&first, "one", false)?;
        let mut second = self.asked(expires)?;
        if stale {
            challenge = self.challenges(&second, "two", true)?;
            second = self.asked(expires)?;
        }
        let proof = header(&second, "Authorization").context("a proof")?;
        let uri = format!("sip:{}", self.address);
        challenge.check(proof, (NUMBER, PASSWORD), "REGISTER", &uri)?;
        // One further in the same sequence (RFC 3261 §22.2).
        let ids = [&first, &second].map(|it| header(it, "Call-ID"));
        ensure!(ids[0] == ids[1], "{ids:?}");
        Ok(second)
    }

    fn challenges(&mut self, request: &str, nonce: &str, stale: bool) -> anyhow::Result<Challenge> {
        let line = format!(
            "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\", \
             algorithm=MD5, stale={stale}\r\n"
        );
        let challenge = Challenge::of(&format!("SIP/2.0 401 Unauthorized\r\n{line}\r\n"))?;
        self.talker.reply(request, "401 Unauthorized", &line, "")?;
        Ok(challenge)
    }

    /// Takes the registration; it knows other devices of ours, too.
    fn grants(&mut self, request: &str, seconds: u32) -> anyhow::Result<()> {
        let ours = format!("Contact: {};expires={seconds}\r\n", self.contact);
        self.talker.reply(request, "200 OK", &ours, "")
    }
}

/// The demo with a number that the carriers give us, and a trunk to each.
fn setup(carriers: &[SocketAddr]) -> Setup {
    let mut setup = Setup::demo("interop-register");
    let route = "[[tenant.route]]\nnumber = \"1000\"";
    let ours = format!("[[tenant.route]]\nnumber = \"{NUMBER}\"");
    let (before, demo) = setup.tenants.split_once(route).expect("the demo's menu");
    let ours = demo.split("[[").next().map(|rest| ours + rest);
    let ours = ours.expect("its route").replace("public = true", "");
    setup.tenants = format!("{before}{route}{demo}\n{ours}\n");
    setup.env.insert("CARRIER".to_owned(), PASSWORD.to_owned());
    for ((name, _), address) in CARRIERS.iter().zip(carriers) {
        setup.tenants += &trunk(name, *address);
    }
    setup
}

fn trunk(name: &str, address: SocketAddr) -> String {
    format!(
        "[[tenant.trunk]]\nid = \"{name}\"\naddress = \"{address}\"\nprefixes = [\"+86\"]\n\
         health_s = 0\nuser = \"{NUMBER}\"\npassword_env = \"CARRIER\"\nregister = true\n\
         inbound = true\n"
    )
}

/// Waits until the trunks are these, by name and state.
fn trunks(server: &Server, wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut last = String::new();
    let found = until("the trunks", || {
        let json = server.json("/api/v1/trunks")?;
        let items = json["items"].as_array().context("a list")?.clone();
        let text = |item: &serde_json::Value, key: &str| item[key].as_str().map(str::to_owned);
        let states: Vec<_> = items
            .iter()
            .filter_map(|it| Some((text(it, "id")?, text(it, "state")?)))
            .collect();
        last = format!("{states:?}");
        let same = states.len() == wanted.len()
            && states.iter().zip(wanted).all(|(a, b)| (&*a.0, &*a.1) == *b);
        Ok(same.then_some(()))
    });
    found.with_context(|| format!("{last} and not {wanted:?}"))
}

/// A call comes in from a carrier to where we registered, and is a call of this carrier's tenant.
fn calls_in(server: &Server) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 200
            body: m=audio
        > ACK
        wait 200
        > BYE
        < 200
    ";
    let mut play = Play::caller("carrier-calls", server.sip, NUMBER, ladder);
    play.ip = CARRIERS[0].1.into();
    play.run()?;
    let record = record::of_call(server, "carrier-calls")?;
    ensure!(record.json["to"] == NUMBER, "{}", record.json);
    // From anywhere else the same number wants to know who calls.
    let mut stranger = play.clone();
    stranger.name = "stranger-calls".to_owned();
    stranger.ip = Ipv4Addr::new(127, 0, 0, 9).into();
    stranger.ladder = "> INVITE sdp\n<? 100\n< 401\n> ACK\n".to_owned();
    stranger.run().map(drop)
}

#[test]
fn carriers_are_registered_with_as_they_want_it() -> anyhow::Result<()> {
    let sockets = CARRIERS.map(|(_, ip)| UdpSocket::bind((ip, 0)).expect("loopback has them"));
    let addresses = sockets.each_ref().map(|it| it.local_addr().expect("bound"));
    let mut server = Server::start(setup(&addresses))?;
    let contact = format!("<sip:{NUMBER}@{}>", server.sip);
    let [mut brief, mut long, mut busy] = sockets.map(|socket| {
        let address = socket.local_addr().expect("bound");
        let raw = Raw::of(socket, server.sip).expect("a socket");
        Carrier {
            talker: Talker::new("carrier", raw),
            address,
            contact: contact.clone(),
        }
    });
    let states = |brief, long, busy| [("brief", brief), ("long", long), ("busy", busy)];
    trunks(
        &server,
        &states("unregistered", "unregistered", "unregistered"),
    )?;

    // One wants a proof, and another one since it took so long.
    let request = brief.proven("600", true)?;
    trunks(
        &server,
        &states("unregistered", "unregistered", "unregistered"),
    )?;
    brief.grants(&request, BRIEF_S)?;
    trunks(&server, &states("up", "unregistered", "unregistered"))?;

    // One is asked for as long as it wants.
    let request = long.asked("600")?;
    let least = "Min-Expires: 1800\r\n";
    long.talker
        .reply(&request, "423 Interval Too Brief", least, "")?;
    let request = long.proven("1800", false)?;
    long.grants(&request, 1_800)?;

    // One is left alone.
    let request = busy.asked("600")?;
    let later = "Retry-After: 120\r\n";
    busy.talker
        .reply(&request, "503 Service Unavailable", later, "")?;
    trunks(&server, &states("up", "up", "resting"))?;

    calls_in(&server)?;

    // It is asked again before its time is over.
    let request = brief.proven("600", false)?;
    trunks(&server, &states("up", "up", "resting"))?;
    brief.grants(&request, 600)?;

    // A trunk that is taken out of the configuration says so, and the others stay.
    let file = server.folder.path().join("jackfield.toml");
    let text = std::fs::read_to_string(&file)?;
    let gone = trunk("long", long.address);
    ensure!(text.contains(&gone), "{text}");
    let draft = server.folder.path().join("draft");
    std::fs::write(&draft, text.replace(&gone, ""))?;
    std::fs::rename(&draft, &file)?;
    let request = long.proven("0", false)?;
    long.grants(&request, 0)?;
    trunks(&server, &[("brief", "up"), ("busy", "resting")])?;

    // And so does a server that stops.
    server.signal("TERM")?;
    let request = brief.proven("0", false)?;
    brief.grants(&request, 0)?;
    ensure!(server.wait()?.success(), "{:?}", server.log);
    for carrier in [&mut brief, &mut long, &mut busy] {
        ensure!(carrier.talker.is_left_alone()?, "{}", carrier.address);
    }
    Ok(())
}
