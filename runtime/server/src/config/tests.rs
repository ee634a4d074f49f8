//! Good and bad files: every problem has its line, and all of them are found at once.

use std::fs;
use std::path::PathBuf;

use expect_test::{Expect, expect};

use vocab::Pii;

use super::*;

/// The commented reference.
const REFERENCE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/operations/config.toml"
));

/// A folder with prompts in two languages, a plugin and its settings.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Self(dir);
        let clip = media::wav::write(&[0; 800], 1);
        for file in [
            "prompts/zh-CN/sorry.wav",
            "prompts/zh-CN/recording.wav",
            "prompts/en/digits/1.wav",
            "prompts/common/beep.wav",
        ] {
            folder.write(file, &clip);
        }
        folder.write("plugins/ivr-menu.wasm", b"");
        folder.write("menu.toml", b"greeting = \"welcome\"\n[[entry]]\nkey = 1\n");
        folder
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }

    fn read(&self, text: &str) -> Result<Config, Errors> {
        self.write("jackfield.toml", text.as_bytes());
        read(
            &self.0.path().join("jackfield.toml"),
            &Environment::of(&lookup),
        )
    }

    /// What is said about a file, without the folder's name.
    fn said(&self, text: &str) -> String {
        let lines: Vec<String> = match self.read(text) {
            Ok(config) => config
                .warnings
                .iter()
                .map(|line| format!("warning: {line}"))
                .collect(),
            Err(errors) => errors.problems().iter().map(ToString::to_string).collect(),
        };
        let folder = format!("{}/", self.0.path().display());
        lines.join("\n").replace(&folder, "")
    }
}

fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "PHONE_1001" | "PHONE_1002" | "CARRIER" => "a-long-password",
        "JACKFIELD_TOKEN" => "0123456789abcdef0123456789abcdef",
        "HEP_KEY" => "a-key",
        "SPEECH_KEY" => "a-key-for-speech",
        "VAULT_TOKEN" => "fedcba9876543210fedcba9876543210",
        "S3_ACCESS_KEY" => "an-access-key",
        "S3_SECRET_KEY" => "a-secret-key",
        "RECORDING_KEY" => "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "RECORDING_KEY_2025" => "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "SHORT" => "1234",
        "EMPTY" => "",
        "SPACES" => "two words and more than sixteen",
        _ => return None,
    };
    Some(value.to_owned())
}

const TENANT: &str = "\
[[tenant]]
id = \"demo\"
time_zone = \"Asia/Shanghai\"
language = \"zh-CN\"
";

const ROUTE: &str = "\
[[tenant.route]]
number = \"1000\"
plugin = \"ivr-menu\"
fallback = \"sorry\"
";

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&Folder::new().said(text));
}

#[test]
fn a_small_file_is_enough() {
    let folder = Folder::new();
    let config = folder
        .read(&format!("{TENANT}{ROUTE}config = \"menu.toml\"\n"))
        .expect("good");
    assert_eq!(config.warnings, []);
    let tenant = config.node.tenants().values().next().expect("one");
    let route = config.node.route("1000").expect("it is there");
    assert_eq!(
        (tenant.time_zone.as_str(), tenant.language.as_str()),
        ("Asia/Shanghai", "zh-CN")
    );
    assert_eq!(
        (route.public, route.record, route.fallback.as_str()),
        (false, true, "sorry")
    );
    assert_eq!(route.grant, plugin::Grant::none());
    assert_eq!(route.settings.lookup("entry.0.key").as_deref(), Some("1"));
    assert!(tenant.catalogue.find("en", "digits/1").is_some());
    assert!(tenant.catalogue.find("zh-CN", "beep").is_some() && tenant.catalogue.len() == 4);
    assert_eq!(config.data_dir, folder.0.path().join("data"));
    assert_eq!(config.http.token, None);
}

#[test]
fn nothing_listens_beyond_this_machine_by_itself() {
    let config = Folder::new().read("").expect("an empty file is good");
    assert!(config.sip.udp.ip().is_loopback() && config.sip.tcp.ip().is_loopback());
    assert!(config.media.addresses[0].bind.is_loopback() && config.http.bind.ip().is_loopback());
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn the_reference_has_every_key_with_its_default() {
    let folder = Folder::new();
    folder.write("jackfield.toml", REFERENCE.as_bytes());
    let path = folder.0.path().join("jackfield.toml");
    let report = Report::new(&path);
    let source = Source {
        path: &path,
        text: REFERENCE,
        report: &report,
    };
    let document = source.parse().expect("TOML");
    let environment = Environment::of(&lookup);
    let given = sections::read(source.root(&document), &source, &environment);
    assert_eq!(
        report.absent_keys(),
        Vec::<String>::new(),
        "keys the reference does not have"
    );
    let given = report.finish(given).expect("good");

    let default = folder.read("").expect("good");
    assert_eq!(given.data_dir, default.data_dir);
    assert_eq!((given.sip, given.media), (default.sip, default.media));
    assert_eq!(given.http.bind, default.http.bind);
    assert_eq!(
        (
            given.plugins,
            given.speech.command,
            given.speech.cache_bytes
        ),
        (
            default.plugins,
            default.speech.command,
            default.speech.cache_bytes
        )
    );
    assert_eq!(given.log, default.log);

    let minimal = folder.read(&format!("{TENANT}{ROUTE}")).expect("good");
    let (given, minimal) = (given.node.route("1000"), minimal.node.route("1000"));
    let (given, minimal) = (given.expect("there"), minimal.expect("there"));
    assert_eq!(
        (given.public, given.record),
        (minimal.public, minimal.record)
    );
    assert_eq!(given.grant, minimal.grant);

    let trunk = |text: &str| {
        let tenant = format!("{TENANT}{ROUTE}[[tenant.trunk]]\n{text}");
        let read = folder.read(&tenant).expect("good");
        let tenant = read.node.tenants().values().next().expect("there");
        tenant.trunks[0].clone()
    };
    let named = "id = \"carrier\"\naddress = \"192.0.2.1\"\nprefixes = []\n";
    let (_, given) = REFERENCE.split_once("\n[[tenant.trunk]]\n").expect("one");
    let (given, minimal) = (trunk(given), trunk(named));
    assert_eq!(
        (&given.registration, given.asserts, given.inbound),
        (&minimal.registration, minimal.asserts, minimal.inbound)
    );
    assert_eq!(
        (given.priority, given.weight, given.health),
        (minimal.priority, minimal.weight, minimal.health)
    );
    assert_eq!(
        (given.sends, &given.shows, given.follow_redirects),
        (minimal.sends, &minimal.shows, minimal.follow_redirects)
    );
}

#[test]
fn listeners_of_every_kind() {
    let config = Folder::new().read(
        "[sip]\nudp = [\"0.0.0.0:5060\", \"[::1]:5060\"]\ntcp = \"0.0.0.0:5062\"\n\
         tls = \"0.0.0.0:5061\"\nws = [\"127.0.0.1:8090\", \"127.0.0.1:8091\"]\n\
         advertise = \"192.0.2.1\"\norigins = [\"https://phone.example\"]\n\
         [tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n",
    );
    let config = config.expect("good");
    let told: Vec<String> = config
        .sip
        .addresses()
        .iter()
        .map(|(transport, at)| format!("{} {at}", transport.via_name()))
        .collect();
    // IPv6 has no advertised address, so it is told as it is bound.
    assert_eq!(
        told,
        [
            "UDP 192.0.2.1:5060",
            "UDP [::1]:5060",
            "TCP 192.0.2.1:5062",
            "TLS 192.0.2.1:5061",
            "WS 192.0.2.1:8090",
            "WS 192.0.2.1:8091",
        ]
    );
    assert_eq!(
        (config.sip.datagrams().len(), config.sip.streams().len()),
        (2, 4)
    );
    let (certificate, key) = config.tls.setup.identity.expect("given");
    assert!(certificate.ends_with("c.pem") && key.ends_with("k.pem"));
}

#[test]
fn listeners_that_cannot_be() {
    check(
        "[sip]\nudp = [\"127.0.0.1:5060\", \"127.0.0.2:5060\"]\n\
         tcp = [\"[::]:5060\", \"x\"]\ntls = [\"127.0.0.1:5061\"]\n\
         advertise = [\"192.0.2.1\", \"192.0.2.2\"]\norigins = [\"phone.example\"]\n",
        expect![[r#"
            jackfield.toml:2: udp takes one IPv4 and one IPv6 address; 0.0.0.0 and [::] stand for all
            jackfield.toml:3: tcp = "x" is not an address with a port, as in "127.0.0.1:5060"
            jackfield.toml:3: tcp listens on all addresses; add advertise with the one that phones reach
            jackfield.toml:4: tls needs a certificate; add certificate and key under [tls], or self_signed = true to try it out
            jackfield.toml:5: advertise takes one IPv4 and one IPv6 address
            jackfield.toml:6: origins has "phone.example", which is not an origin as in "https://phone.example.com""#]],
    );
    check(
        "[tls]\ncertificate = \"c.pem\"\nself_signed = true\ninsecure = true\n",
        expect![
            "jackfield.toml:2: certificate has no key; add key with the PEM file of its private key"
        ],
    );
    check(
        "[tls]\nself_signed = true\ninsecure = true\n",
        expect![[r#"
            warning: jackfield.toml: no [[tenant]]: every call will be told that the number is unknown
            warning: jackfield.toml:1: insecure = true: connections to carriers can be read along and changed by others; use ca instead"#]],
    );
}

#[test]
fn session_timers() {
    for (text, expected) in [
        ("", Some(1_800)),
        ("[sip]\nsession_interval = 90\n", Some(90)),
        ("[sip]\nsession_interval = 0\n", None),
    ] {
        let config = Folder::new().read(text).expect("good");
        let interval = config.sip.session_interval.map(|it| it.as_secs());
        assert_eq!(interval, expected, "{text}");
        assert!(!config.sip.reliable_provisional);
    }
    let reliable = "[sip]\nreliable_provisional = true\n";
    let config = Folder::new().read(reliable).expect("good");
    assert!(config.sip.reliable_provisional);
    check(
        "[sip]\nsession_interval = 89\nreliable_provisional = 1\n",
        expect![[r#"
            jackfield.toml:2: session_interval = 89 is too short: 90 or more (RFC 4028), or 0 for none
            jackfield.toml:3: reliable_provisional is an integer, not true or false"#]],
    );
    check(
        "[sip]\nsession_interval = 86401\n",
        expect!["jackfield.toml:2: session_interval = 86401 is not a whole number from 0 to 86400"],
    );
}

#[test]
fn the_demo_is_good() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/demo/jackfield.toml"
    );
    let config = read(Path::new(file), &Environment::of(&lookup)).expect("good");
    let tenant = config.node.tenants().values().next().expect("one");
    assert_eq!(
        tenant.catalogue.languages().collect::<Vec<_>>(),
        ["en", "zh-CN"]
    );
    for route in tenant.routes.values() {
        assert!(
            tenant.catalogue.find("en", &route.fallback).is_some(),
            "{}",
            route.fallback
        );
    }
}

#[test]
fn syntax() {
    check(
        "[sip]\nudp = 127.0.0.1\n[http\nbind = \"a\"\n",
        expect![[r#"
            jackfield.toml:2: not TOML: invalid float, expected nothing; a text needs quotes around it
            jackfield.toml:3: not TOML: unclosed table, expected `]`"#]],
    );
    check(
        "data_dir = \"a\"\ndata_dir = \"b\"\n",
        expect!["jackfield.toml:2: not TOML: duplicate key"],
    );
}

#[test]
fn unknown_keys() {
    check(
        "data-dir = \"x\"\nplugins_dir = \"p\"\n[sip]\nupd = \"127.0.0.1:1\"\npassword = \"x\"\n[htpp]\n",
        expect![[r#"
            jackfield.toml:1: unknown key "data-dir" (did you mean "data_dir"?)
            jackfield.toml:2: unknown key "plugins_dir"; known here are data_dir, prompts_dir, sip, tls, media, dns, http, plugins, speech, log, recordings, tenant
            jackfield.toml:4: unknown key "upd" in [sip] (did you mean "udp"?)
            jackfield.toml:5: unknown key "password" in [sip]; known here are trace, hep, udp, tcp, tls, ws, wss, advertise, origins, realm, digest, session_interval, reliable_provisional, guard
            jackfield.toml:6: unknown key "htpp" (did you mean "http"?)"#]],
    );
}

#[test]
fn values_of_the_wrong_kind() {
    check(
        "data_dir = 5\nlog = \"info\"\ntenant = 1\n[sip]\nudp = \"localhost\"\ntcp = true\n\
         advertise = \"example.com\"\nrealm = \"a b\"\ndigest = [\"MD5\", \"SHA-1\"]\n[media]\nthreads = 0\n\
         inactive_after_s = \"30\"\n[plugins]\nruns_max = -1\ndir = \"\"\n[speech]\nenabled = \"yes\"\n",
        expect![[r#"
            jackfield.toml:1: data_dir is an integer, not text in quotes
            jackfield.toml:2: log is a string, not a table: write [log] on its own line
            jackfield.toml:3: tenant is an integer, not a list of tables: write [[tenant]] on its own line
            jackfield.toml:5: udp = "localhost" is not an address with a port, as in "127.0.0.1:5060"
            jackfield.toml:6: tcp is a boolean, not text in quotes
            jackfield.toml:7: advertise = "example.com" is not an IP address, as in "192.0.2.1"
            jackfield.toml:8: realm is not a word without spaces and quotes, as in "example.com"
            jackfield.toml:9: digest = "SHA-1" is not "SHA-256" or "MD5"
            jackfield.toml:11: threads = 0 is not a whole number from 1 to 64
            jackfield.toml:12: inactive_after_s is a string, not a whole number from 5 to 86400
            jackfield.toml:14: runs_max = -1 is not a whole number from 1 to 50000
            jackfield.toml:15: dir is empty; name a path
            jackfield.toml:17: enabled is a string, not true or false"#]],
    );
    check(
        "[log]\nfilter = \"info,=,\"\njson = 1\n",
        expect![[r#"
        jackfield.toml:2: filter = "info,=," is not a filter (invalid filter directive); write a level such as "info" or "debug"
        jackfield.toml:3: json is an integer, not true or false"#]],
    );
}

#[test]
fn ports_of_audio() {
    for (ports, expected) in [
        ("20000-20003", ""),
        (
            "20001-20004",
            "begins odd; RTP takes even ports, so begin at 20000",
        ),
        (
            "20000-20004",
            "ends even; the last RTCP port is odd, so end at 20005",
        ),
        (
            "20000-20001",
            "too few; each party takes 2, so give at least 4 ports",
        ),
        (
            "30000-20001",
            "too few; each party takes 2, so give at least 4 ports",
        ),
        (
            "80-99",
            "not two ports from 1024 to 65535, as in \"20000-21999\"",
        ),
        (
            "20000",
            "not two ports from 1024 to 65535, as in \"20000-21999\"",
        ),
    ] {
        let said = Folder::new().said(&format!("[media]\nrtp_ports = \"{ports}\"\n{TENANT}"));
        let wanted = match expected {
            "" => String::new(),
            why => format!("jackfield.toml:2: rtp_ports = \"{ports}\": {why}"),
        };
        assert_eq!(said, wanted);
    }
    check(
        "[media]\nrtp_ports = \"5000-5999\"\n",
        expect!["jackfield.toml:2: rtp_ports holds 5060, which SIP uses; choose other ports"],
    );
}

#[test]
fn how_audio_is_read_and_sent_is_checked() {
    let read = |text: &str| Folder::new().read(text).expect("good").media;
    let media = read("");
    assert_eq!((media.io, media.dscp), (Way::Auto, 46));
    assert!(media.pin.is_empty());
    let media = read("[media]\nio = \"io_uring\"\npin = [1, 0, 1_023]\ndscp = 0\n");
    assert_eq!((media.io, media.dscp), (Way::Uring, 0));
    assert_eq!(media.pin, [1, 0, 1_023]);
    check(
        "[media]\nio = \"poll\"\npin = [0, 1024, -1, \"2\"]\ndscp = 64\n",
        expect![[r#"
            jackfield.toml:2: io = "poll" is not "auto", "io_uring", "epoll" or "sweep"
            jackfield.toml:3: pin holds 1024, and is a list of whole numbers from 0 to 1023
            jackfield.toml:3: pin holds -1, and is a list of whole numbers from 0 to 1023
            jackfield.toml:3: pin is a string, not a list of whole numbers from 0 to 1023
            jackfield.toml:4: dscp = 64 is not a whole number from 0 to 63"#]],
    );
}

#[test]
fn audio_is_received_where_signalling_is_unless_it_says_otherwise() {
    for (text, expected) in [
        ("", "127.0.0.1 as 127.0.0.1"),
        (
            "[sip]\nudp = [\"192.0.2.1:5060\", \"[2001:db8::1]:5060\"]\n",
            "192.0.2.1 as 192.0.2.1, 2001:db8::1 as 2001:db8::1",
        ),
        (
            "[sip]\nudp = [\"0.0.0.0:5060\", \"[::]:5060\"]\n\
             advertise = [\"2001:db8::1\", \"198.51.100.1\"]\n",
            "0.0.0.0 as 198.51.100.1, :: as 2001:db8::1",
        ),
        (
            "[sip]\nudp = \"192.0.2.1:5060\"\nws = [\"192.0.2.2:80\", \"[2001:db8::1]:80\"]\n",
            "192.0.2.1 as 192.0.2.1, 2001:db8::1 as 2001:db8::1",
        ),
        (
            "[sip]\nudp = \"192.0.2.1:5060\"\nadvertise = \"198.51.100.1\"\n[media]\n\
             bind = [\"192.0.2.9\", \"::\"]\nadvertise = \"2001:db8::9\"\n",
            "192.0.2.9 as 192.0.2.9, :: as 2001:db8::9",
        ),
        (
            "[sip]\nudp = \"192.0.2.1:5060\"\nadvertise = \"198.51.100.1\"\n[media]\n\
             bind = \"192.0.2.1\"\n",
            "192.0.2.1 as 198.51.100.1",
        ),
    ] {
        // Without phones, or they would need long passwords here.
        let config = Folder::new().read(text).expect("good");
        let addresses = config.media.addresses.iter();
        let addresses: Vec<String> = addresses
            .map(|address| format!("{} as {}", address.bind, address.advertise))
            .collect();
        assert_eq!(addresses.join(", "), expected, "{text}");
    }
    check(
        "[media]\nbind = [\"0.0.0.0\", \"127.0.0.1\", \"::\"]\nadvertise = [\"::\", \"x\"]\n",
        expect![[r#"
            jackfield.toml:2: bind takes one IPv4 and one IPv6 address
            jackfield.toml:3: advertise = "x" is not an IP address, as in "192.0.2.1"
            jackfield.toml:3: advertise stands for all addresses; name the one that phones can reach"#]],
    );
    check(
        "[media]\nbind = \"0.0.0.0\"\nadvertise = \"2001:db8::1\"\nrtp_ports = \"5000-5099\"\n",
        expect!["jackfield.toml:3: advertise has an IPv6 address, and bind has none; add one"],
    );
}

#[test]
fn what_is_open_to_others_is_locked() {
    check(
        &format!(
            "[sip]\nudp = \"192.0.2.1:5060\"\n[http]\nbind = \"0.0.0.0:8080\"\n{TENANT}\
             [[tenant.phone]]\nuser = \"1001\"\npassword_env = \"SHORT\"\n"
        ),
        expect![[r#"
            jackfield.toml:4: HTTP on 0.0.0.0:8080 is open to other machines and has no token; add token_env = "JACKFIELD_TOKEN", or bind to 127.0.0.1
            jackfield.toml:11: the password in SHORT is too short while SIP is open to other machines; use 8 random characters or more"#]],
    );
    check(
        "[http]\nbind = \"192.0.2.1:80\"\ntoken_env = \"SHORT\"\n",
        expect![
            "jackfield.toml:3: the token in SHORT is too short for an open address; use 16 random characters or more"
        ],
    );
    check(
        "[http]\ntoken_env = \"SPACES\"\n",
        expect![
            "jackfield.toml:2: the token in SPACES has characters that no header carries; use letters and digits"
        ],
    );
    check(
        "[sip]\nudp = \"0.0.0.0:5060\"\n",
        expect![
            "jackfield.toml:2: udp listens on all addresses; add advertise with the one that phones reach"
        ],
    );
    check(
        "[sip]\nudp = \"0.0.0.0:5060\"\nadvertise = \"0.0.0.0\"\n",
        expect![
            "jackfield.toml:3: advertise stands for all addresses; name the one that phones can reach"
        ],
    );
}

#[test]
fn secrets_that_are_not_there() {
    check(
        &format!(
            "[http]\ntoken_env = \"NO_TOKEN\"\n{TENANT}[[tenant.phone]]\nuser = \"1001\"\n\
             password_env = \"EMPTY\"\n[[tenant.phone]]\nuser = \"1002\"\n"
        ),
        expect![[r#"
            jackfield.toml:2: the API's token: the environment variable NO_TOKEN is not set; set it to the secret and start again
            jackfield.toml:9: the phone's password: the environment variable EMPTY is empty; set it to the secret and start again
            jackfield.toml:10: [[tenant.phone]] has no password_env; without a password anybody could be this phone; add password_env = "PHONE_1002""#]],
    );
    let folder = Folder::new();
    folder.write(
        "jackfield.toml",
        b"[http]\nbind = \"192.0.2.1:80\"\ntoken_env = \"JACKFIELD_TEST_NOT_SET\"\n",
    );
    let config = Config::load_without_secrets(&folder.0.path().join("jackfield.toml"));
    assert_eq!(config.expect("good without them").http.token, None);
}

#[test]
fn tenants() {
    check(
        "[[tenant]]\n",
        expect![[r#"
        jackfield.toml:1: [[tenant]] has no id; name the tenant, as in id = "demo"
        jackfield.toml:1: [[tenant]] has no time_zone; its hours are counted in one, as in time_zone = "Asia/Shanghai"
        jackfield.toml:1: [[tenant]] has no language; name the one its callers hear first, as in language = "zh-CN""#]],
    );
    check(
        "[[tenant]]\nid = \"Demo\"\ntime_zone = \"Asia/Shangai\"\nlanguage = \"zh-CH\"\n",
        expect![[r#"
            jackfield.toml:2: id = "Demo" is not 1 to 63 characters of a-z, 0-9 and -
            jackfield.toml:3: no time zone is called "Asia/Shangai" (did you mean "Asia/Shanghai"?); use an IANA name such as "Asia/Shanghai"
            jackfield.toml:4: no prompts in language "zh-CH" (did you mean "zh-CN"?); make the folder prompts/zh-CH or choose another"#]],
    );
    check(
        "[[tenant]]\nid = \"a\"\ntime_zone = \"UTC\"\nlanguage = \"../x\"\nprompts_dir = \"none\"\n",
        expect![[r#"
            jackfield.toml:4: language = "../x" is not a language tag, as in "zh-CN"
            jackfield.toml:5: no folder none for prompts; make it, or name another as prompts_dir"#]],
    );
}

#[test]
fn what_is_there_twice() {
    let phone = "[[tenant.phone]]\nuser = \"1001\"\npassword_env = \"PHONE_1001\"\n";
    let other = TENANT.replace("demo", "other");
    check(
        &format!("{TENANT}{phone}{ROUTE}{other}{phone}{ROUTE}{TENANT}"),
        expect![[r#"
            jackfield.toml:17: user "1001" is on line 6 already; each may be there once
            jackfield.toml:20: number "1000" is on line 9 already; each may be there once
            jackfield.toml:24: tenant "demo" is on line 2 already; each may be there once"#]],
    );
}

#[test]
fn routes_of_all_kinds_of_wrong() {
    check(
        &format!(
            "{TENANT}[[tenant.route]]\nnumber = \"10 00\"\nplugin = \"ivr-menu.wasm\"\n\
             grant = [\"dail\", \"record\", 1]\nfallback = \"sorri\"\nconfig = \"manu.toml\"\n\
             pubic = true\n[[tenant.route]]\n"
        ),
        expect![[r#"
            jackfield.toml:6: number = "10 00" is not digits, * and # with an optional + before them; write it without spaces
            jackfield.toml:7: plugin = "ivr-menu.wasm" is not a plugin's name; use a-z, 0-9 and -, without .wasm
            jackfield.toml:8: grant is an integer, not a list of texts, as in ["a", "b"]
            jackfield.toml:8: grant: no capability is called "dail"; there are dial, record, kv and http (did you mean "dial"?)
            jackfield.toml:9: no announcement is called "sorri" in zh-CN or common (did you mean "sorry"?); add zh-CN/sorri.wav to the prompts
            jackfield.toml:10: config manu.toml: no such file; check the name
            jackfield.toml:11: unknown key "pubic" in [[tenant.route]] (did you mean "public"?)
            jackfield.toml:12: [[tenant.route]] has no number; say what is dialled, as in number = "1000"
            jackfield.toml:12: [[tenant.route]] has no plugin; say what answers, as in plugin = "ivr-menu"
            jackfield.toml:12: [[tenant.route]] has no fallback; name the announcement that callers hear when the plugin breaks, as in fallback = "sorry""#]],
    );
    check(
        &format!("{TENANT}{}", ROUTE.replace("menu", "manu")),
        expect![[
            r#"warning: jackfield.toml:7: plugin "ivr-manu" is not installed (did you mean "ivr-menu"?); until plugins/ivr-manu.wasm is there, callers hear the fallback"#
        ]],
    );
}

#[test]
fn settings_of_a_plugin_name_their_own_file_and_line() {
    let folder = Folder::new();
    folder.write("menu.toml", b"greeting = \"x\"\n[menu\nkey = 1\n");
    let said = folder.said(&format!("{TENANT}{ROUTE}config = \"menu.toml\"\n"));
    expect!["menu.toml:2: not TOML: unclosed table, expected `]`"].assert_eq(&said);
}

#[test]
fn prompts_that_cannot_be_played() {
    let folder = Folder::new();
    folder.write("prompts/en/broken.wav", b"RIFF");
    folder.write("prompts/en/mp3.wav", b"ID3");
    folder.write("prompts/en/notes.txt", b"not looked at");
    folder.write("prompts/en/a/b/c/d/e/f.wav", b"");
    let clip = media::wav::write(&[0; 800], 1);
    folder.write("prompts/en/twice.mp3", &clip);
    folder.write("prompts/en/twice.wav", &clip);
    expect![[r#"
        prompts/en/a/b/c/d/e: folders more than 4 deep; move the prompts up
        prompts/en/broken.wav: not a WAV file; save it as WAV, MP3, FLAC or Opus
        prompts/en/mp3.wav: broken: unexpected end of file; save it as WAV, MP3, FLAC or Opus
        prompts/en/twice.wav: there are several files for the prompt twice; keep one"#]]
    .assert_eq(&folder.said(&format!("{TENANT}{ROUTE}")));
}

#[test]
fn trunks() {
    check(
        &format!(
            "{TENANT}[[tenant.trunk]]\nid = \"a\"\naddress = \"sip:example.com\"\n\
             prefixes = [\"\", \"+86 21\", \"+\"]\n[[tenant.trunk]]\nid = \"a\"\n"
        ),
        expect![[r#"
            jackfield.toml:7: address = "sip:example.com" is not a host name or an IP address, as in "sip.example.com" or "192.0.2.1:5060"
            jackfield.toml:8: prefix "" allows every number there is; name the countries and areas you call
            jackfield.toml:8: prefix "+86 21" is not digits with an optional + before them, as in "+8621"
            jackfield.toml:8: prefix "+" allows every number there is; name the countries and areas you call
            jackfield.toml:9: [[tenant.trunk]] has no address; say where it is, as in address = "sip.example.com" or "192.0.2.1:5060"
            jackfield.toml:9: [[tenant.trunk]] has no prefixes; name the destinations it may be used for, as in ["+8621"]
            jackfield.toml:10: trunk "a" is on line 6 already; each may be there once"#]],
    );
    let trunk =
        "[[tenant.trunk]]\nid = \"a\"\naddress = \"192.0.2.9:5060\"\nprefixes = [\"+86\"]\n";
    let config = Folder::new()
        .read(&format!("{TENANT}{trunk}"))
        .expect("good");
    let trunks = &config.node.tenants().values().next().expect("one").trunks;
    assert_eq!(
        (
            trunks.len(),
            trunks[0].address.transport,
            trunks[0].prefixes[0].as_str()
        ),
        (1, None, "+86")
    );
    let asked = &trunks[0];
    assert_eq!(asked.health, Duration::from_secs(30));
    assert_eq!((&asked.login, &asked.registration), (&None, &None));
}

#[test]
fn groups_slots_and_what_callers_hear() {
    let phones = "[[tenant.phone]]\nuser = \"1001\"\npassword_env = \"PHONE_1001\"\n\
                  [[tenant.phone]]\nuser = \"1002\"\npassword_env = \"PHONE_1002\"\n";
    let config = Folder::new()
        .read(&format!(
            "{TENANT}early_media = \"ringback\"\nfollow_redirects = true\n{ROUTE}{phones}\
             [[tenant.group]]\nname = \"sales\"\n\
             members = [\"1001\", \"1002\", \"+8613800138000\"]\n\
             order = \"in_turn\"\nring_s = 15\n\
             [[tenant.trunk]]\nid = \"a\"\naddress = \"192.0.2.9:5060\"\n\
             prefixes = [\"+86\"]\n\
             signals = true\n[tenant.park]\nfirst = 801\ntimeout_s = 60\n"
        ))
        .expect("good");
    let tenant = config.node.tenants().values().next().expect("one");
    assert!(tenant.trunks[0].signals && tenant.trunks[0].progress);
    let sales = &tenant.groups["sales"];
    let phone = |user: &str| node::Callee::Phone(user.into());
    let mobile = node::Callee::Number(Pii::new("+8613800138000".into()));
    assert_eq!(sales.members, [phone("1001"), phone("1002"), mobile]);
    assert_eq!((sales.in_order, sales.ring.as_secs()), (true, 15));
    assert_eq!(tenant.park.slots, 801..=820);
    assert_eq!(tenant.park.timeout.as_secs(), 60);
    assert_eq!(tenant.early_media, node::EarlyMedia::Ringback);
    assert!(tenant.follow_redirects);
    check(
        &format!(
            "{TENANT}early_media = \"music\"\n{ROUTE}{phones}\
             [[tenant.group]]\nname = \"1001\"\n\
             members = [\"1003\", \"1002\", \"1002\", \"+86\", \"+49301234567\", \"+8x\"]\n\
             [[tenant.group]]\nname = \"a b\"\norder = \"random\"\n\
             [tenant.park]\nfirst = 900\nlast = 800\n"
        ),
        expect![[r#"
            jackfield.toml:5: early_media = "music" is not "relay" or "ringback"
            jackfield.toml:17: name = "1001" is a phone; choose another
            jackfield.toml:18: no phone of this tenant is called "1003" (did you mean "1001"?); a number outside begins with +
            jackfield.toml:18: "1002" is in the group twice
            jackfield.toml:18: no trunk of this tenant allows "+86": add its prefix to one
            jackfield.toml:18: no trunk of this tenant allows "+49301234567": add its prefix to one
            jackfield.toml:18: "+8x" is not a number in E.164 form, as in "+8613800138000"
            jackfield.toml:19: [[tenant.group]] has no members; list phones and numbers, as in members = ["1001", "+8613800138000"]
            jackfield.toml:20: name = "a b" is not a name of letters, digits and . _ -, as in "sales"
            jackfield.toml:21: order = "random" is not "all" or "in_turn"
            jackfield.toml:22: slots 900 to 800: there are 1 to 100, the first one first"#]],
    );
}

#[test]
fn dns_servers() {
    let good = "[dns]\nservers = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]\ntimeout_s = 1\n";
    let config = Folder::new()
        .read(&format!("{good}{TENANT}"))
        .expect("good");
    let wanted = ["192.0.2.53:53", "[2001:db8::53]:5353"];
    let servers: Vec<String> = config.dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        (servers, config.dns.timeout),
        (wanted.map(String::from).into(), Duration::from_secs(1))
    );
    let bare = Folder::new().read(TENANT).expect("good");
    assert_eq!(bare.dns, Dns::default());
    check(
        &format!("[dns]\nservers = [\"dns.example.com\"]\ntimeout_s = 0\n{TENANT}"),
        expect![[r#"
            jackfield.toml:2: server "dns.example.com" is not an IP address, as in "192.0.2.53"
            jackfield.toml:3: timeout_s = 0 is not a whole number from 1 to 3"#]],
    );
}

#[test]
fn trunks_by_name() {
    let read = |more: &str| {
        let trunk = format!(
            "{TENANT}[[tenant.trunk]]\nid = \"a\"\nprefixes = [\"+86\"]\n\
             address = \"sip.example.com\"\n{more}\n"
        );
        let config = Folder::new().read(&trunk).expect("good");
        let tenant = config.node.tenants().values().next().expect("one");
        let address = tenant.trunks[0].address.clone();
        (address.to_string(), address.transport)
    };
    let name = "sip.example.com".to_owned();
    for (more, transport) in [
        ("", None),
        ("transport = \"udp\"", Some(sip::Transport::Udp)),
        ("transport = \"tls\"\ntls = true", Some(sip::Transport::Tls)),
        ("tcp = true", Some(sip::Transport::Tcp)),
        ("tls = true", Some(sip::Transport::Tls)),
        ("tcp = false", None),
    ] {
        assert_eq!(read(more), (name.clone(), transport), "{more}");
    }
    check(
        &format!(
            "{TENANT}[[tenant.trunk]]\nid = \"a\"\nprefixes = [\"+86\"]\n\
             address = \"a..b\"\ntransport = \"tsl\"\n[[tenant.trunk]]\nid = \"b\"\n\
             prefixes = [\"+86\"]\naddress = \"a.b:5060\"\ntransport = \"udp\"\ntcp = true\n"
        ),
        expect![[r#"
            jackfield.toml:8: address = "a..b" is not a host name or an IP address, as in "sip.example.com" or "192.0.2.1:5060"
            jackfield.toml:9: transport = "tsl" is none of udp, tcp, tls (did you mean "tls"?)
            jackfield.toml:14: transport = "udp" and tcp or tls say different things; keep transport"#]],
    );
}

#[test]
fn what_a_carrier_wants() {
    let trunk = "[[tenant.trunk]]\nid = \"a\"\naddress = \"192.0.2.9:5060\"\n\
                 prefixes = [\"+86\"]\n";
    check(
        &format!(
            "{TENANT}[tenant.numbers]\narea = \"2a\"\n{trunk}domain = \"a b\"\nuser = \"x\"\n\
             register = true\npriority = 5000\nnumbers = \"nation\"\ncodecs = [\"G729\"]\n"
        ),
        expect![[r#"
            jackfield.toml:5: [tenant.numbers] has no country; say which, as in country = "86"
            jackfield.toml:6: area = "2a" is not up to six digits
            jackfield.toml:11: domain = "a b" is not a host name, as in "ims.example.com"
            jackfield.toml:12: a user without a password; add password_env = "CARRIER"
            jackfield.toml:14: priority = 5000 is not a whole number from 0 to 1000
            jackfield.toml:15: numbers = "nation" is none of e164, bare, international, national (did you mean "national"?)
            jackfield.toml:16: codec "G729" is none of opus, G722, PCMU, PCMA, L16/16000, L16/8000 (did you mean "G722"?)"#]],
    );
    check(
        &format!("{TENANT}{trunk}password_env = \"CARRIER\"\nregister = true\n"),
        expect![[r#"
            jackfield.toml:5: [[tenant.trunk]] has no user; register = true needs one; add user and password_env
            jackfield.toml:9: a password without a user; add user = "…", the one the carrier gave you"#]],
    );
    let good = format!(
        "{TENANT}[tenant.numbers]\ncountry = \"86\"\narea = \"21\"\nnational_prefix = \"0\"\n\
         international_prefix = \"00\"\n{trunk}user = \"x\"\npassword_env = \"CARRIER\"\n\
         register = true\nnumbers = \"national\"\ncaller_id = \"+862155501000\"\n"
    );
    let config = Folder::new().read(&good).expect("good");
    let tenant = config.node.tenants().values().next().expect("one");
    assert_eq!(
        tenant.numbers.to_e164("55501234").as_deref(),
        Some("+862155501234")
    );
    let trunk = &tenant.trunks[0];
    assert_eq!(trunk.sends, node::NumberForm::National);
    assert_eq!(
        trunk.shows,
        node::ShownNumber::Own("+862155501000".to_owned())
    );
    let registration = trunk.registration.as_ref().expect("it registers");
    assert_eq!(registration.user, "x");
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = Folder::new();
    for (file, expected) in [
        ("none.toml", "no such file"),
        ("prompts", "this is a folder"),
    ] {
        let path = folder.0.path().join(file);
        let errors = read(&path, &Environment::of(&lookup)).expect_err("it cannot be read");
        let wanted = format!("{}: {expected}", path.display());
        assert!(errors.to_string().starts_with(&wanted), "{errors}");
    }
    folder.write("latin.toml", b"# \xe4\n");
    let path = folder.0.path().join("latin.toml");
    let errors = read(&path, &Environment::of(&lookup)).expect_err("not UTF-8");
    assert!(
        errors
            .to_string()
            .ends_with("not UTF-8 text; save it as UTF-8"),
        "{errors}"
    );
}

#[test]
fn what_a_running_server_cannot_take_over_is_named() {
    let folder = Folder::new();
    let old = folder.read(&format!("{TENANT}{ROUTE}")).expect("good");
    let new = folder
        .read("data_dir = \"d\"\n[http]\nbind = \"127.0.0.1:81\"\n")
        .expect("good");
    assert_eq!(old.restart_needed(&old), [""; 0]);
    assert_eq!(old.restart_needed(&new), ["data_dir", "[http]"]);
}

#[test]
fn nothing_secret_is_shown() {
    let phone = "[[tenant.phone]]\nuser = \"1001\"\npassword_env = \"PHONE_1001\"\n";
    let text = format!("[http]\ntoken_env = \"JACKFIELD_TOKEN\"\n{TENANT}{phone}");
    let config = Folder::new().read(&text).expect("good");
    let shown = format!("{config:?}");
    assert!(!shown.contains("a-long-password") && !shown.contains("0123456789abcdef"));
    let folder: PathBuf = config.file;
    assert!(folder.ends_with("jackfield.toml"));
}

#[test]
fn the_guard_is_on_and_spares_this_machine() {
    let guard = Folder::new().read("").expect("good").sip.guard;
    assert!(guard.enabled);
    assert_eq!(guard.allow.len(), 2);
    assert_eq!(guard.scanners, sip::guard::Config::default().scanners);
    let text = "[sip.guard]\nenabled = false\nallow = []\ndeny = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
                requests_per_s = 7\nscanners = []\nban_s = 1\nban_max_s = 1\nidle_s = 32\n";
    let guard = Folder::new().read(text).expect("good").sip.guard;
    assert!(!guard.enabled && guard.allow.is_empty() && guard.scanners.is_empty());
    assert_eq!(
        (guard.deny.len(), guard.requests),
        (2, sip::guard::Rate::per_second(7))
    );
}

#[test]
fn a_guard_that_makes_no_sense() {
    check(
        "[sip.guard]\nallow = [\"192.0.2.7/24\", \"home\"]\ndeny = \"192.0.2.1\"\nscanners = [\"a\"]\n\
         ban_s = 100\nban_max_s = 10\nidle_s = 1\nrequests = 5\nregisters_per_s = 0\n",
        expect![[r#"
            jackfield.toml:1: ban_max_s is below ban_s; bans grow from the one to the other
            jackfield.toml:2: allow: "192.0.2.7/24" is no address prefix: the address has bits behind its length; write it as in "192.0.2.0/24"
            jackfield.toml:2: allow: "home" is no address prefix: not an IP address; write it as in "192.0.2.0/24"
            jackfield.toml:3: deny is a string, not a list of texts, as in ["a", "b"]
            jackfield.toml:4: scanners: "a" is too short and would ban honest phones; give 4 characters or more
            jackfield.toml:7: idle_s = 1 is not a whole number from 32 to 86400
            jackfield.toml:8: unknown key "requests" in [sip.guard]; known here are enabled, allow, deny, requests_per_s, registers_per_s, invites_per_s, auth_failures_per_min, malformed_per_min, scanners, ban_s, ban_max_s, streams_per_source, message_s, idle_s
            jackfield.toml:9: registers_per_s = 0 is not a whole number from 1 to 1000000"#]],
    );
}

#[test]
fn how_recordings_are_kept() {
    let config = Folder::new().read(TENANT).expect("good");
    assert_eq!(config.recordings, None);
    let demo = "demo".parse().expect("a tenant");
    assert_eq!(config.policies[&demo], crate::archive::Policy::default());

    let text = format!(
        "[recordings.s3]\nbucket = \"calls\"\nendpoint = \"http://127.0.0.1:9000/\"\n\
         access_key_env = \"S3_ACCESS_KEY\"\nsecret_key_env = \"S3_SECRET_KEY\"\n\
         {TENANT}[tenant.recording]\nformat = \"opus\"\nkeep_days = 90\n\
         key_env = \"RECORDING_KEY\"\nold_keys_env = [\"RECORDING_KEY_2025\"]\n\
         beep_s = 15\nmade = false\n"
    );
    let config = Folder::new().read(&text).expect("good");
    let remote = config.recordings.as_ref().expect("it is there");
    assert_eq!(remote.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
    assert_eq!(
        (remote.region.as_str(), remote.prefix.as_str()),
        ("us-east-1", "")
    );
    assert_eq!(remote.keep_local, Duration::from_secs(86_400));
    let policy = &config.policies[&demo];
    assert_eq!(
        (policy.format, policy.keep),
        (store::Format::Opus, Some(Duration::from_secs(90 * 86_400)))
    );
    assert!(policy.key.is_some());
    assert!(!config.node.tenants()[&demo].record_made);
    assert_eq!(
        config.node.tenants()[&demo].beep,
        Some(Duration::from_secs(15))
    );
    let shown = format!("{config:?}");
    assert!(!shown.contains("a-secret-key") && !shown.contains("00112233445566"));
}

#[test]
fn recordings_that_could_not_be_kept() {
    check(
        &format!(
            "[recordings]\nfolder = \"x\"\n[recordings.s3]\nendpoint = \"s3.example.com\"\n\
             prefix = \"/a b\"\nsecret_key_env = \"NOWHERE\"\nkeep_local_h = -1\n\
             {TENANT}[tenant.recording]\nformat = \"mp3\"\nkeep_days = 99999\nkey_env = \"SHORT\"\n\
             old_keys_env = [\"EMPTY\"]\nannounce = \"nothing\"\nconsent_key = \"12\"\n\
             consent_prefixes = [\"49\"]\nbeep_s = 3601\n"
        ),
        expect![[r#"
            jackfield.toml:2: unknown key "folder" in [recordings]; known here are s3
            jackfield.toml:3: [recordings.s3] has no bucket; name the bucket, as in bucket = "recordings"
            jackfield.toml:3: [recordings.s3] has no access_key_env; name the variable that holds it
            jackfield.toml:4: endpoint does not begin with https:// or http://, as in "https://s3.example.com"
            jackfield.toml:5: prefix is not letters, digits and - _ . / as in "jackfield/recordings"
            jackfield.toml:6: the object store's secret key: the environment variable NOWHERE is not set; set it to the secret and start again
            jackfield.toml:7: keep_local_h = -1 is not a whole number from 0 to 87600
            jackfield.toml:13: format = "mp3" is not "wav" or "opus"
            jackfield.toml:14: keep_days = 99999 is not a whole number from 0 to 36500
            jackfield.toml:15: the key of recordings in SHORT is not 64 hexadecimal digits; make one with: openssl rand -hex 32
            jackfield.toml:16: the key of recordings: the environment variable EMPTY is empty; set it to the secret and start again
            jackfield.toml:17: announce = "nothing": there is no such prompt in zh-CN or common; record it, or name another
            jackfield.toml:18: consent_key = "12" is not one of 0-9, * and #
            jackfield.toml:19: "49" is not the beginning of a number, as in "+49"
            jackfield.toml:20: beep_s = 3601 is not a whole number from 0 to 3600"#]],
    );
}
