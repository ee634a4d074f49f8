//! Goal: whoever signals and takes audio over IPv6, over IPv4, or over one of each, is served: audio
//! comes over the IP version that the caller offered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use jackfield_tests::peers::require;
use jackfield_tests::shell::{Server, Setup, free_port, project};
use media::rtp::Rtp;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// sipp calls the menu and takes audio at this address; gives where that came from, packet by
/// packet.
fn sources(server: &Server, media: IpAddr) -> Vec<SocketAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(media, 0)).expect("a port");
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a socket has a time-out");
    let port = socket.local_addr().expect("bound").port();
    let version = if media.is_ipv4() { "IP4" } else { "IP6" };
    let scenario = project("tests/tests/sipp/versions.xml");
    let output = Command::new("sipp")
        .arg(server.sip.to_string())
        .arg("-sf")
        .arg(scenario)
        .args(["-s", "1000", "-i", &server.sip.ip().to_string()])
        .args(["-p", &free_port().to_string(), "-m", "1"])
        .args(["-key", "media_version", version])
        .args(["-key", "media_host", &media.to_string()])
        .args(["-key", "rtp_port", &port.to_string()])
        .args(["-timeout", "30s", "-timeout_error", "-nostdin"])
        .current_dir(server.folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("sipp runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let mut buffer = [0; 1_500];
    let mut sources = Vec::new();
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if Rtp::parse(&buffer[..length]).is_ok_and(|rtp| rtp.payload.len() == 160) {
            sources.push(from);
        }
    }
    sources
}

fn check(server: &Server, media: IpAddr) {
    let sources = sources(server, media);
    // Two seconds, less what a busy machine leaves out.
    assert!(sources.len() > 50, "{media}: {} packets", sources.len());
    let from = sources[0];
    assert_eq!(from.ip(), media);
    assert!(sources.iter().all(|other| *other == from), "{sources:?}");
}

#[test]
fn audio_comes_over_the_version_that_was_offered() {
    require("sipp", "sip-tester").expect("sipp");
    let both = Setup {
        sip: format!("ws = [\"[::1]:{}\"]", free_port()),
        ..Setup::demo("interop-ipv6-both")
    };
    let server = Server::start(both).expect("a server");
    check(&server, V4);
    check(&server, V6);

    let alone = Setup {
        ip: V6,
        ..Setup::demo("interop-ipv6-alone")
    };
    let server = Server::start(alone).expect("a server");
    check(&server, V6);
}
