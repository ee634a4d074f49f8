//! The same for every way: what is sent arrives with its sender, once, in order, and nobody gets
//! what was meant for the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::clock::Clock;

/// Longest wait for something that is sent on this machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bound sockets, their addresses, and somebody who sends to them.
struct Bench {
    io: Io,
    at: Vec<SocketAddr>,
    peer: UdpSocket,
}

impl Bench {
    fn new(way: Way, count: usize, host: &str) -> Self {
        let sockets: Vec<UdpSocket> = (0..count).map(|_| socket(host)).collect();
        let at = sockets.iter().map(|it| it.local_addr().expect("bound"));
        let at = at.collect();
        Self {
            io: Io::new(sockets, way),
            at,
            peer: socket(host),
        }
    }

    fn say(&self, number: usize, what: &[u8]) {
        let sent = self.peer.send_to(what, self.at[number]).expect("sent");
        assert_eq!(sent, what.len());
    }

    /// What came in one turn, by socket, the sender checked.
    fn turn(&mut self, batches: usize) -> Vec<(usize, Vec<u8>)> {
        let peer = self.peer.local_addr().expect("bound");
        let mut heard = Vec::new();
        self.io.begin(batches, true);
        while let Some(datagram) = self.io.take_next() {
            assert_eq!(datagram.from, peer);
            heard.push((datagram.socket, datagram.bytes.to_vec()));
        }
        heard
    }

    /// What came in as many turns as it takes to hear so much.
    fn hear(&mut self, count: usize) -> BTreeMap<usize, Vec<Vec<u8>>> {
        let clock = Clock::start();
        let begun = clock.now().mono;
        let (mut heard, mut total) = (BTreeMap::<_, Vec<_>>::new(), 0);
        while total < count {
            assert!(
                clock.now().mono.since(begun) < PATIENCE,
                "{total} of {count} came"
            );
            for (number, bytes) in self.turn(1) {
                total += 1;
                heard.entry(number).or_default().push(bytes);
            }
        }
        assert_eq!(self.turn(1), [], "nothing comes twice");
        heard
    }
}

fn socket(host: &str) -> UdpSocket {
    let socket = UdpSocket::bind((host, 0)).expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

/// Runs a test with every way that this kernel allows.
fn check(test: impl Fn(Way)) {
    for way in [Way::Sweep, Way::Epoll, Way::Uring] {
        let io = Io::new(vec![socket("127.0.0.1")], way);
        match io.refused() {
            None => test(way),
            // A kernel before 6.1, or one that forbids it.
            Some(why) => println!("{way:?} is left out: {why}"),
        }
    }
}

#[test]
fn datagrams_of_many_sockets_arrive_in_order_with_their_senders() {
    check(|way| {
        let mut bench = Bench::new(way, 60, "127.0.0.1");
        (0..60).for_each(|number| bench.io.open(number));
        assert_eq!(bench.turn(1), []);
        for n in 0..7u8 {
            (0..60).for_each(|number| bench.say(number, &[n; 172]));
        }
        let heard = bench.hear(60 * 7);
        for (number, all) in heard {
            let wanted: Vec<Vec<u8>> = (0..7).map(|n| vec![n; 172]).collect();
            assert_eq!(all, wanted, "{way:?}, socket {number}");
        }
    });
}

#[test]
fn every_length_up_to_the_longest_in_both_families() {
    lengths("127.0.0.1");
    // A machine may have no IPv6.
    if UdpSocket::bind("[::1]:0").is_ok() {
        lengths("::1");
    }
}

fn lengths(host: &str) {
    check(|way| {
        let mut bench = Bench::new(way, 2, host);
        bench.io.open(0);
        for length in [0, 1, 1_499, 1_500, 1_501, 9_000, 12] {
            bench.say(0, &vec![9; length]);
        }
        // What is too long is left out, not cut.
        let heard = bench.hear(5).remove(&0).expect("all");
        let lengths: Vec<usize> = heard.iter().map(Vec::len).collect();
        assert_eq!(lengths, [0, 1, 1_499, 1_500, 12], "{way:?}");
    });
}

#[test]
fn a_burst_beyond_all_buffers_arrives_whole() {
    check(|way| {
        let mut bench = Bench::new(way, 12, "127.0.0.1");
        (0..12).for_each(|number| bench.io.open(number));
        for round in 0..3u8 {
            for n in 0..100u8 {
                (0..12).for_each(|number| bench.say(number, &[round, n]));
            }
            let heard = bench.hear(12 * 100);
            for all in heard.values() {
                let wanted: Vec<Vec<u8>> = (0..100).map(|n| vec![round, n]).collect();
                assert_eq!(all, &wanted, "{way:?}");
            }
        }
    });
}

/// The media thread reads after a stall with more batches, and the clock goes on at once.
#[test]
fn after_a_stall_one_turn_takes_all_that_waits() {
    check(|way| {
        let mut bench = Bench::new(way, 40, "127.0.0.1");
        (0..40).for_each(|number| bench.io.open(number));
        for n in 0..50u8 {
            (0..40).for_each(|number| bench.say(number, &[n; 172]));
        }
        assert_eq!(bench.turn(6).len(), 40 * 50, "{way:?}");
    });
}

#[test]
fn a_flood_of_one_leaves_time_for_the_others() {
    check(|way| {
        let mut bench = Bench::new(way, 2, "127.0.0.1");
        let big = socket2::SockRef::from(&bench.io.sockets[0]).set_recv_buffer_size(4 << 20);
        big.expect("room");
        (0..2).for_each(|number| bench.io.open(number));
        for n in 0..2_000u16 {
            bench.say(0, &n.to_be_bytes());
        }
        bench.say(1, b"quiet");
        let first = bench.turn(1);
        assert!(first.len() < 400, "{way:?}: {} in one turn", first.len());
        assert!(first.contains(&(1, b"quiet".to_vec())), "{way:?}");
        let mut flood = first.into_iter().filter(|(number, _)| *number == 0);
        let mut flood: Vec<Vec<u8>> = flood.by_ref().map(|(_, bytes)| bytes).collect();
        let held = (0..2_000).any(|_| {
            flood.extend(bench.turn(1).into_iter().map(|(_, bytes)| bytes));
            flood
                .last()
                .is_some_and(|last| *last == 1_999u16.to_be_bytes())
        });
        assert!(held, "{way:?}: the rest comes in time");
        let mut sorted = flood.clone();
        sorted.sort();
        assert_eq!(flood, sorted, "{way:?}: in order");
    });
}

#[test]
fn a_session_gets_nothing_of_the_one_before() {
    check(|way| {
        let mut bench = Bench::new(way, 4, "127.0.0.1");
        bench.say(0, b"stranger");
        bench.io.open(0);
        assert_eq!(bench.turn(1), [], "{way:?}: before the first");
        for n in 0..200u8 {
            bench.say(0, &[n]);
            assert_eq!(bench.turn(1), [(0, vec![n])], "{way:?}: {n}");
            // One that nobody has looked at, one that comes in between, and one for the next.
            bench.say(0, b"last words");
            bench.io.close(0);
            bench.say(0, b"too late");
            if n.is_multiple_of(2) {
                assert_eq!(bench.turn(1), [], "{way:?}: closed");
            }
            bench.io.open(0);
            bench.say(0, b"hello");
            assert_eq!(bench.turn(1), [(0, b"hello".to_vec())], "{way:?}: reopened");
        }
        bench.io.close(0);
        bench.io.close(0);
        bench.io.close(3);
        assert_eq!(bench.turn(1), []);
    });
}

#[test]
fn sending_reaches_everybody_and_survives_who_is_not_there() {
    check(|way| {
        let mut bench = Bench::new(way, 8, "127.0.0.1");
        let to = bench.peer.local_addr().expect("bound");
        let gone = socket("127.0.0.1").local_addr().expect("bound");
        bench.io.open(3);
        // Open or closed, and more than are handed over at once.
        for n in 0..100u8 {
            bench.io.send(usize::from(n % 8), to, &[n; 300]);
            bench.io.send(3, gone, b"nobody is here");
            bench.io.send(
                3,
                ([0, 0, 0, 0, 0, 0, 0, 1], 9).into(),
                b"of another family",
            );
        }
        bench.io.send(5, to, &[1; 1_600]);
        bench.io.flush();
        let mut bytes = [0; 2_000];
        for n in 0..=100u8 {
            let (length, from) = bench.peer.recv_from(&mut bytes).expect("it has come");
            let longest = n == 100;
            let number = if longest { 5 } else { usize::from(n % 8) };
            assert_eq!(from, bench.at[number], "{way:?}");
            assert_eq!(length, if longest { 1_600 } else { 300 });
        }
        // The errors that this brought back keep nothing from being heard.
        bench.say(3, b"still here");
        assert_eq!(bench.hear(1)[&3], [b"still here"], "{way:?}");
    });
}

#[test]
fn ports_are_free_once_it_is_gone() {
    check(|way| {
        let mut bench = Bench::new(way, 32, "127.0.0.1");
        (0..32).for_each(|number| bench.io.open(number));
        bench.say(7, b"unread");
        let at = bench.at;
        drop(bench.io);
        for at in at {
            assert!(UdpSocket::bind(at).is_ok(), "{way:?}");
        }
    });
}

#[test]
fn who_gets_no_ring_gets_the_next_best() {
    // As in most containers.
    let forbidden = |_: &[UdpSocket]| Err(io::Error::from_raw_os_error(libc::EPERM));
    let mut io = Io::with(vec![socket("127.0.0.1")], Way::Uring, forbidden);
    assert_eq!(io.way(), Way::Epoll);
    let why = io.refused().expect("a reason");
    assert_eq!(why.raw_os_error(), Some(libc::EPERM));
    io.open(0);
    io.begin(1, true);
    assert!(io.take_next().is_none());
    let io = Io::new(Vec::new(), Way::Auto);
    assert_eq!(io.way(), Way::Epoll);
    assert!(io.refused().is_none());
}
