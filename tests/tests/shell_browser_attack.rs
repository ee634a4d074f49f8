//! Goal: hostile browsers hurt nobody but themselves. Floods, garbage, wrong certificates, huge offers and
//! thousands of candidates come to a real server, while honest browsers hear every packet of theirs.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jackfield_tests::load::browsers::{Browsers, JOIN_PATIENCE, Plan};
use jackfield_tests::load::voice;
use jackfield_tests::shell::{Server, Setup, project};
use media::Codec;
use vocab::Rng;

/// Browsers that are in a call and stay there.
const HONEST: usize = 5;

/// How long the attack lasts.
const ATTACK: Duration = Duration::from_secs(8);

/// Datagrams of the flood in one burst, and the pause behind it.
const BURST: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Connections by TCP that say nothing of use.
const CONNECTIONS: usize = 300;

/// A menu that goes on speaking.
const SPEAKING: &str = "start = \"main\"\n[menu.main]\n\
    prompt = [\"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\"]\n\
    timeout_s = 60\ntries = 2\n[menu.main.option]\n1 = \"hangup\"\n";

fn server() -> (Server, SocketAddr) {
    let mut setup = Setup::demo("browser-attack");
    setup.browsers = true;
    setup.http = "websocket = true".to_owned();
    setup
        .files
        .insert("menu.toml".to_owned(), SPEAKING.to_owned());
    let server = Server::start(setup).expect("a server");
    let config = std::fs::read_to_string(server.folder.path().join("jackfield.toml"));
    let config = config.expect("its configuration");
    let port = config.split("webrtc_port = ").nth(1).expect("a port");
    let port = port
        .lines()
        .next()
        .expect("a line")
        .parse()
        .expect("a number");
    (server, (Ipv4Addr::LOCALHOST, port).into())
}

fn browsers(server: &Server, mangle: fn(String) -> String) -> Browsers {
    let plan = Plan {
        server: server.http,
        number: "1000",
        user: None,
        codec: Codec::Pcmu,
        speech: voice(&project("examples/demo/prompts/en/hello.wav")).expect("speech"),
        mangle,
    };
    Browsers::new(plan).expect("browsers")
}

/// What a stranger sends to the port of browsers.
fn datagram(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0; 20 + (rng.u64() % 1_200) as usize];
    rng.fill(&mut bytes);
    match rng.u64() % 5 {
        // A check for nobody (RFC 8489 §5), then one that ends early.
        0 => {
            let name = format!("{}:nobody", rng.token(16));
            let padded = name.len().next_multiple_of(4);
            bytes = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42].to_vec();
            bytes.extend([7; 12]);
            bytes.extend([0, 6]);
            bytes.extend(u16::try_from(name.len()).expect("short").to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.resize(20 + 4 + padded, 0);
            bytes[3] = u8::try_from(4 + padded).expect("short");
        }
        1 => bytes[..4].copy_from_slice(&[0, 1, 0xff, 0xff]),
        // The start of a handshake, and the middle of one.
        2 => bytes[..3].copy_from_slice(&[22, 0xfe, 0xfd]),
        3 => bytes[0] = 0x80,
        _ => {}
    }
    bytes
}

/// Floods a port until told to stop; counts what it sent.
fn flood(to: SocketAddr, stop: &Arc<AtomicBool>, sent: &Arc<AtomicU64>) -> JoinHandle<()> {
    let (stop, sent) = (Arc::clone(stop), Arc::clone(sent));
    #[allow(clippy::disallowed_methods)] // A thread of the test.
    std::thread::spawn(move || {
        let mut rng = Rng::from_u64(5);
        let bind = |_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let sockets: Vec<UdpSocket> = (0..32).map(bind).collect();
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..BURST {
                let socket = &sockets[(rng.u64() % 32) as usize];
                drop(socket.send_to(&datagram(&mut rng), to));
                sent.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::park_timeout(PAUSE);
        }
    })
}

/// Another certificate than the browser has.
fn forged(offer: String) -> String {
    let mark = "a=fingerprint:sha-256 ";
    let (before, behind) = offer.split_once(mark).expect("a fingerprint");
    let (first, rest) = behind.split_at(2);
    let other = if first == "00" { "11" } else { "00" };
    format!("{before}{mark}{other}{rest}")
}

/// So many ways to it that nobody could try them.
fn crowded(offer: String, candidates: usize) -> String {
    let line = |n: usize| {
        let (high, low) = (n / 250, n % 250 + 1);
        format!("a=candidate:{n} 1 udp 2130706431 203.0.{high}.{low} 4242 typ host\r\n")
    };
    offer + &(0..candidates).map(line).collect::<String>()
}

#[test]
fn honest_calls_go_on_among_hostile_browsers() {
    let (server, door) = server();
    let mut honest = browsers(&server, |offer| offer);
    honest
        .run(Duration::from_secs(4), (HONEST, 10.0))
        .expect("they run");
    assert_eq!(
        honest.standing().joined.len(),
        HONEST,
        "{:?}",
        honest.standing()
    );

    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let attacker = flood(door, &stop, &sent);
    let connections: Vec<TcpStream> = (0..CONNECTIONS)
        .filter_map(|n| {
            let mut stream = TcpStream::connect(door).ok()?;
            let words: [&[u8]; 3] = [b"\xff\xff", b"\0\x04\0\x01\0\0", b"GET / HTTP/1.1\r\n\r\n"];
            stream.write_all(words[n % 3]).ok()?;
            Some(stream)
        })
        .collect();
    let mut wrong = browsers(&server, forged);
    let mut many = browsers(&server, |offer| crowded(offer, 400));
    let mut long = browsers(&server, |offer| crowded(offer, 700));
    let mut huge = browsers(&server, |offer| crowded(offer, 5_000));
    let before = honest.heard();
    let mut time = Duration::ZERO;
    let turn = Duration::from_millis(100);
    while time < ATTACK {
        // They share a thread: each has its turn often enough that none is late.
        honest.run(turn, (0, 0.0)).expect("they run");
        wrong
            .run(Duration::from_millis(5), (8, 1_000.0))
            .expect("they run");
        many.run(Duration::from_millis(5), (3, 1_000.0))
            .expect("they run");
        huge.run(Duration::from_millis(5), (3, 1_000.0))
            .expect("they run");
        long.run(Duration::from_millis(5), (3, 1_000.0))
            .expect("they run");
        time += turn + Duration::from_millis(20);
    }
    let heard = honest.heard() - before;
    stop.store(true, Ordering::Relaxed);
    attacker.join().expect("it ends");
    drop(connections);

    let standing = honest.standing();
    assert_eq!(
        (standing.joined.len(), standing.failed),
        (HONEST, Vec::new())
    );
    let expected = HONEST as f64 * ATTACK.as_secs_f64() * 50.0;
    assert!(
        heard as f64 > 0.97 * expected,
        "of some {expected} packets {heard} came"
    );

    // Who shows another certificate hears nothing, and its call ends.
    for _ in 0..100 {
        if wrong.standing().waiting + many.standing().waiting == 0 {
            break;
        }
        wrong
            .run(Duration::from_millis(50), (0, 0.0))
            .expect("they run");
        many.run(Duration::from_millis(50), (0, 0.0))
            .expect("they run");
        honest
            .run(Duration::from_millis(100), (0, 0.0))
            .expect("they run");
    }
    let standing = wrong.standing();
    assert_eq!(
        (standing.joined.len(), standing.failed.len()),
        (0, 8),
        "{standing:?}"
    );
    // Of thousands of candidates some are looked at, and none is asked: such a call is like any other.
    assert_eq!(many.standing().joined.len(), 3, "{:?}", many.standing());
    // More lines than are read of a description.
    let standing = long.standing();
    assert_eq!(standing.failed, ["it was answered 400"; 3], "{standing:?}");
    // An offer of 350 KB is more than is read of a message.
    assert_eq!(huge.standing().failed.len(), 3, "{:?}", huge.standing());

    let strangers = server
        .metric("jackfield_media_strangers_total{worker=\"0\"}")
        .expect("a metric");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > 10_000, "{sent}");
    assert!(
        strangers > 0.5 * sent as f64,
        "{strangers} of {sent} are counted"
    );
    let late = browsers(&server, |offer| offer);
    let mut late = late;
    late.run(JOIN_PATIENCE / 4, (1, 10.0)).expect("it runs");
    assert_eq!(late.standing().joined.len(), 1, "{:?}", late.standing());
    for all in [&mut honest, &mut many, &mut late] {
        all.leave(Duration::from_secs(10)).expect("they leave");
    }
}
