//! Goal: over TLS each side is who its certificate says. A phone, baresip, is let in with a certificate
//! that we know and not without or with another one; and a carrier, a second server of ours, gets our
//! calls only if its certificate names it, and only if it knows ours.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jackfield_tests::peers::baresip::{self, Baresip};
use jackfield_tests::peers::lab::{CALLER, Lab, PASSWORD, STRICT_CALLER, TALKED, failed};
use jackfield_tests::peers::{record, until};
use jackfield_tests::shell::{Folder, Server, Setup, free_port};
use media::Codec;
use server::net::tls::self_signed;
use sip::Transport;

/// A certificate that vouches for itself as `localhost`, and its key.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Identity {
    fn new(folder: &Folder, name: &str) -> Self {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let (certificate, key) = self_signed(&folder, &[]).expect("a certificate");
        Self { certificate, key }
    }

    /// Both in one file, as baresip wants it.
    fn in_one(&self, folder: &Path) -> PathBuf {
        let read = |file| std::fs::read_to_string(file).expect("a file");
        let file = folder.join("both.pem");
        std::fs::write(&file, read(&self.certificate) + &read(&self.key)).expect("written");
        file
    }

    /// What a server that has it says under `[tls]`.
    fn section(&self, more: &str) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{more}\n")
    }
}

fn tls_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

#[test]
fn phones_without_a_known_certificate_are_not_let_in() {
    let folder = Folder::new("tls-phones");
    let ours = Identity::new(&folder, "ours");
    let phones = Identity::new(&folder, "phones");
    let strange = Identity::new(&folder, "strange");
    let tls = tls_port();
    let mut setup = Setup::demo("interop-tls-phones");
    setup.sip = format!("tls = \"{tls}\"");
    let known = format!("client_ca = \"{}\"", phones.certificate.display());
    setup.tenants = format!("{}\n{}", ours.section(&known), setup.tenants);
    let server = Server::start(setup).expect("a server");
    let phone = |name: &str, user: &str, certificate| {
        let password = if user == "1001" {
            "secret-one"
        } else {
            "secret-two"
        };
        let setup = baresip::Setup {
            name: name.to_owned(),
            server: tls,
            transport: Transport::Tls,
            user: user.to_owned(),
            password: password.to_owned(),
            codec: Codec::Pcma,
            packet_ms: 20,
            secured: false,
            microphone: vec![0; 8_000],
            answers: false,
            certificate,
        };
        Baresip::start(setup).expect("a phone")
    };
    // A phone that is not let in does not say so for half a minute; the server knows at once.
    let failed = "jackfield_sip_connections_failed_total{reason=\"handshake\"}";
    for (name, certificate) in [
        ("tls-without", None),
        ("tls-strange", Some(strange.in_one(folder.path()))),
    ] {
        let before = server.metric(failed).expect("a metric");
        let _refused = phone(name, "1002", certificate);
        let counted = until("a failed handshake", || {
            Ok((server.metric(failed)? > before).then_some(()))
        });
        counted.expect(name);
    }
    let mut known = phone("tls-known", "1001", Some(phones.in_one(folder.path())));
    let event = known.wait_for(&["REGISTER_OK", "REGISTER_FAIL"]);
    assert_eq!(event.expect("an answer")["type"], "REGISTER_OK");
    let registered = server.json("/api/v1/registrations").expect("a list");
    let users: Vec<_> = registered["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["user"].clone())
        .collect();
    assert_eq!(users, ["1001"], "{registered}");
}

/// A number that rings one outside, and a trunk to where this carrier says it is.
fn way(
    setup: &mut Setup,
    dialled: &str,
    outside: &str,
    name: &str,
    (to, domain): (SocketAddr, &str),
) {
    let file = format!("{dialled}.toml");
    setup.tenants += &format!(
        "[[tenant.route]]\nnumber = \"{dialled}\"\npublic = true\nplugin = \"probe\"\n\
         config = \"{file}\"\ngrant = [\"dial\"]\nfallback = \"sorry\"\nrecord = false\n\
         [[tenant.trunk]]\nid = \"{name}\"\naddress = \"{to}\"\ntransport = \"tls\"\n\
         domain = \"{domain}\"\nprefixes = [\"{outside}\"]\nhealth_s = 30\n"
    );
    let text = format!("mode = \"dial\"\ntarget = \"{outside}\"\nanswer = true\ntimeout_s = 30\n");
    setup.files.insert(file, text);
}

#[test]
fn a_carrier_over_tls_is_who_its_certificate_names() {
    let folder = Folder::new("tls-carriers");
    let (ours, theirs) = (
        Identity::new(&folder, "ours"),
        Identity::new(&folder, "theirs"),
    );
    // A carrier that wants to know who calls, and says goodbye to everybody.
    let (tls, number) = (tls_port(), "+862155501234");
    let mut carrier = Setup::demo("interop-tls-carrier");
    carrier.sip = format!("tls = \"{tls}\"");
    let known = format!("client_ca = \"{}\"", ours.certificate.display());
    let demo = carrier
        .tenants
        .replace("\"1010\"", &format!("\"{number}\""));
    carrier.tenants = format!("{}\n{demo}", theirs.section(&known));
    let carrier = Server::start(carrier).expect("a carrier");

    let believed = format!("ca = \"{}\"", theirs.certificate.display());
    let start = |name: &str, section: &str| {
        Lab::start(name, |setup| {
            way(setup, "9500", number, "right", (tls, "localhost"));
            way(setup, "9501", "+8610", "wrong", (tls, "carrier.example"));
            setup.tenants = format!("{section}\n{}", setup.tenants);
        })
        .expect("a server")
    };
    let dial = |lab: &Lab, name: &str, number: &str| {
        // What is added to the lab is of its last tenant.
        let caller = lab.stranger(name, number, CALLER);
        let caller = caller.as_user(STRICT_CALLER, PASSWORD);
        caller.run().expect(name);
        lab.story(name).expect(name)
    };
    let failed = failed("unreachable");
    let states = |lab: &Lab, wanted: [&str; 2]| {
        let mut last = String::new();
        let found = until("the trunks", || {
            let trunks = lab.server.json("/api/v1/trunks")?;
            let items = trunks["items"].as_array().into_iter().flatten();
            let states = items.filter(|it| it["id"] == "right" || it["id"] == "wrong");
            let states: Vec<_> = states.map(|it| it["state"].clone()).collect();
            last = format!("{states:?}");
            Ok((states == wanted).then_some(()))
        });
        assert!(found.is_ok(), "{last} and not {wanted:?}");
    };

    let mut lab = start("interop-tls-ours", &ours.section(&believed));
    assert_eq!(dial(&lab, "tls-right", "9500"), TALKED);
    assert_eq!(dial(&lab, "tls-wrong", "9501"), failed);
    states(&lab, ["up", "dead"]);
    let told = lab.server.wait_for("its certificate is not believed");
    assert!(told.expect("a line").contains("carrier.example"));
    // The carrier saw the one call, and who it was for.
    let calls = record::matching(&carrier, |_| true).expect("records");
    let to: Vec<_> = calls.iter().map(|call| call["to"].clone()).collect();
    assert_eq!(to, [number]);

    // One whom the carrier does not know, although it believes the carrier.
    let lab = start("interop-tls-nobody", &format!("[tls]\n{believed}\n"));
    assert_eq!(dial(&lab, "tls-nobody", "9500"), failed);
    states(&lab, ["dead", "dead"]);
    assert_eq!(
        record::matching(&carrier, |_| true).expect("records").len(),
        1
    );
}
