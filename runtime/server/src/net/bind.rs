//! Binding the sockets of signalling and of audio.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Bytes the kernel should keep for us: a burst of calls is some hundred datagrams of 1 KB between
/// two turns of the loop.
const BUFFER_BYTES: usize = 4 << 20;

/// Bytes the kernel should keep of one party's audio: what comes in 500 ms at 100 packets a second,
/// each counted with some 2 KB. Linux gives 208 KB unless it is told otherwise.
const AUDIO_BYTES: usize = 128 << 10;

/// A socket for datagrams that does not block.
///
/// # Errors
/// What the kernel says.
pub fn udp(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    one_family(&socket, at)?;
    socket.bind(&at.into())?;
    socket.set_nonblocking(true)?;
    drop(socket.set_recv_buffer_size(BUFFER_BYTES));
    drop(socket.set_send_buffer_size(BUFFER_BYTES));
    if socket.recv_buffer_size().unwrap_or(0) < 1 << 20 {
        tracing::warn!(
            "the kernel gives the SIP socket a small receive buffer: raise net.core.rmem_max \
             to 4194304, or bursts of calls lose packets"
        );
    }
    Ok(socket.into())
}

/// A socket for audio that does not block. What it sends is marked with a code point (RFC 2474), 0 to
/// 63.
///
/// # Errors
/// What the kernel says.
pub fn media(at: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    marked(at, dscp, AUDIO_BYTES)
}

/// One for the audio of many.
///
/// # Errors
/// What the kernel says.
pub fn doors(at: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    marked(at, dscp, BUFFER_BYTES)
}

fn marked(at: SocketAddr, dscp: u8, bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    one_family(&socket, at)?;
    socket.bind(&at.into())?;
    socket.set_nonblocking(true)?;
    // The upper six bits of a byte whose others belong to routers (RFC 3168). Where the system
    // refuses, audio is sent like everything else.
    let class = u32::from(dscp) << 2;
    drop(match at {
        SocketAddr::V4(_) => socket.set_tos_v4(class),
        SocketAddr::V6(_) => socket.set_tclass_v6(class),
    });
    if socket.recv_buffer_size().unwrap_or(0) < bytes {
        drop(socket.set_recv_buffer_size(bytes));
    }
    Ok(socket.into())
}

/// A listener that does not block.
///
/// # Errors
/// What the kernel says.
pub fn tcp(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    one_family(&socket, at)?;
    // A restart is not to wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// `[::]` takes IPv6 alone: through it IPv4 would come with addresses that look like IPv6, and fit
/// neither `Via` nor `Contact`. Both families are two listeners.
fn one_family(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use socket2::SockRef;

    use super::*;

    #[test]
    fn audio_is_marked_and_has_room() {
        let socket = media((Ipv4Addr::LOCALHOST, 0).into(), 46).expect("a port");
        assert_eq!(SockRef::from(&socket).tos_v4().expect("read"), 0xb8);
        let room = SockRef::from(&socket).recv_buffer_size().expect("read");
        assert!(room >= AUDIO_BYTES, "{room}");
        let plain = media((Ipv4Addr::LOCALHOST, 0).into(), 0).expect("a port");
        assert_eq!(SockRef::from(&plain).tos_v4().expect("read"), 0);
        let Ok(socket) = media((Ipv6Addr::LOCALHOST, 0).into(), 34) else {
            return;
        };
        assert_eq!(SockRef::from(&socket).tclass_v6().expect("read"), 0x88);
    }
}
