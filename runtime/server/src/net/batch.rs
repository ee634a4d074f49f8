//! Many datagrams in one system call: `recvmmsg` and `sendmmsg`.

// The two calls have no safe wrapper in std; each block states why it is sound.
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

/// Buffers for one call of `recvmmsg`. Made once, used for ever.
pub struct Receiver {
    bytes: Vec<u8>,
    slot_bytes: usize,
    names: Vec<libc::sockaddr_storage>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

// SAFETY: the raw pointers inside point into the vectors beside them, which are never resized and
// move with the struct without moving their contents.
unsafe impl Send for Receiver {}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("slots", &self.headers.len())
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Room for `slots` datagrams of at most `slot_bytes` each; longer ones are cut and dropped.
    pub fn new(slots: usize, slot_bytes: usize) -> Self {
        let mut bytes = vec![0; slots * slot_bytes];
        // SAFETY: all-zero bytes are a valid `sockaddr_storage` and `mmsghdr`: plain C data.
        let (mut names, mut headers) = unsafe {
            (
                vec![std::mem::zeroed::<libc::sockaddr_storage>(); slots],
                vec![std::mem::zeroed::<libc::mmsghdr>(); slots],
            )
        };
        let mut iovecs: Vec<libc::iovec> = bytes
            .chunks_exact_mut(slot_bytes)
            .map(|slot| libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot_bytes,
            })
            .collect();
        for ((header, iovec), name) in headers.iter_mut().zip(&mut iovecs).zip(&mut names) {
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
        }
        Self {
            bytes,
            slot_bytes,
            names,
            iovecs,
            headers,
            received: 0,
        }
    }

    /// Takes what has arrived, without waiting. Read it with [`Receiver::iter`].
    ///
    /// # Errors
    /// What the kernel says, except that nothing has arrived: that is `Ok(0)`.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        self.received = 0;
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_flags = 0;
        }
        debug_assert_eq!(self.iovecs.len(), self.headers.len(), "one buffer a slot");
        // SAFETY: each header points to a live iovec and name of this struct, each iovec to a
        // live slot of `bytes` of the stated length, and the count is the number of headers.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => {
                self.received = count;
                Ok(count)
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                error => Err(error),
            },
        }
    }

    /// The datagrams of the last [`Receiver::receive`], with their senders.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        (0..self.received).filter_map(|at| Some((self.from(at)?, self.bytes(at))))
    }

    /// Who sent one of them; `None` if it was cut, since then it is of no use.
    pub fn from(&self, at: usize) -> Option<SocketAddr> {
        let header = self.headers[..self.received].get(at)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        address(&self.names[at])
    }

    /// One of them.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn bytes(&self, at: usize) -> &[u8] {
        let length = self.headers[..self.received][at].msg_len as usize;
        &self.bytes[at * self.slot_bytes..][..length.min(self.slot_bytes)]
    }

    /// Whether the last call filled every slot, so that more may be waiting.
    pub fn was_full(&self) -> bool {
        self.received == self.headers.len()
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer = std::ptr::from_ref(name);
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a `sockaddr_in`, and it is large and
            // aligned enough for every kind of address.
            let v4 = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(
                ip,
                u16::from_be(v4.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for `sockaddr_in6`.
            let v6 = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(
                ip,
                port,
                0,
                v6.sin6_scope_id,
            )))
        }
        _ => None,
    }
}

/// Sends datagrams from one socket, as many in one call as the kernel takes.
///
/// A datagram that the kernel refuses (no buffer, no route) is dropped, as a full network would;
/// the protocols above retransmit.
///
/// Returns how many were sent.
pub fn send<B: AsRef<[u8]>>(socket: &impl AsRawFd, datagrams: &[(SocketAddr, B)]) -> usize {
    const BATCH: usize = 64;
    let mut sent = 0;
    for batch in datagrams.chunks(BATCH) {
        sent += send_batch(socket, batch);
    }
    sent
}

fn send_batch<B: AsRef<[u8]>>(socket: &impl AsRawFd, batch: &[(SocketAddr, B)]) -> usize {
    let mut names: Vec<(socket2::SockAddr, libc::iovec)> = batch
        .iter()
        .map(|(to, bytes)| {
            let bytes = bytes.as_ref();
            let iovec = libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            };
            (socket2::SockAddr::from(*to), iovec)
        })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = names
        .iter_mut()
        .map(|(name, iovec)| {
            // SAFETY: all-zero bytes are a valid `mmsghdr`: plain C data.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    let (mut at, mut sent) = (0, 0);
    while at < headers.len() {
        let rest = &mut headers[at..];
        // SAFETY: each header points to a name and an iovec in `names`, which outlives the call
        // and is not resized; each iovec covers bytes of `batch`, which the kernel only reads.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                rest.as_mut_ptr(),
                rest.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        match usize::try_from(count) {
            Ok(0) => break,
            Ok(count) => {
                at += count;
                sent += count;
            }
            // The first of the rest was refused: leave it out.
            Err(_) => at += 1,
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_batch_arrives_with_its_senders() {
        let a = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let b = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let to = b.local_addr().expect("bound");
        let datagrams: Vec<_> = (0..100u8).map(|n| (to, vec![n; usize::from(n)])).collect();
        assert_eq!(send(&a, &datagrams), 100);
        let mut receiver = Receiver::new(16, 64);
        let mut heard = Vec::new();
        while receiver.receive(&b).expect("receive") > 0 {
            heard.extend(receiver.iter().map(|(from, bytes)| (from, bytes.to_vec())));
        }
        // What does not fit a slot is dropped whole, not cut.
        assert_eq!(heard.len(), 65);
        let from = a.local_addr().expect("bound");
        for (n, (sender, bytes)) in heard.into_iter().enumerate() {
            assert_eq!((sender, bytes), (from, vec![n as u8; n]));
        }
    }

    #[test]
    fn ipv6_addresses_are_read() {
        let Ok(a) = UdpSocket::bind("[::1]:0") else {
            return;
        };
        let to = a.local_addr().expect("bound");
        assert_eq!(send(&a, &[(to, b"x")]), 1);
        let mut receiver = Receiver::new(2, 16);
        assert_eq!(receiver.receive(&a).expect("receive"), 1);
        assert_eq!(receiver.iter().next(), Some((to, &b"x"[..])));
    }
}
