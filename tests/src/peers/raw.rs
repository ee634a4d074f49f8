//! A peer that sends what it is told, byte for byte: for what sipp does not know (digests other than
//! MD5), and for what no honest program would send.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use anyhow::{Context as _, bail, ensure};
use md5::Digest as _;

use super::scenario::header;
use crate::shell::PATIENCE;

/// Longest datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// A UDP or TCP end of SIP.
#[derive(Debug)]
pub struct Raw {
    way: Way,
    /// Its own address.
    pub own: SocketAddr,
    server: SocketAddr,
    /// What came over TCP and is no whole message yet.
    read: Vec<u8>,
}

#[derive(Debug)]
enum Way {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Raw {
    /// An end over UDP, at any port.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn udp(server: SocketAddr) -> anyhow::Result<Self> {
        Self::udp_at(server, 0)
    }

    /// The same at this port.
    ///
    /// # Errors
    /// If it is taken.
    pub fn udp_at(server: SocketAddr, port: u16) -> anyhow::Result<Self> {
        let ip = if server.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        Self::udp_from(server, SocketAddr::new(ip, port))
    }

    /// The same at an address that nobody else has.
    ///
    /// # Errors
    /// If the machine has no such address, or the port is taken.
    pub fn udp_from(server: SocketAddr, own: SocketAddr) -> anyhow::Result<Self> {
        Self::of(UdpSocket::bind(own)?, server)
    }

    /// The same with a socket that was there before the server.
    ///
    /// # Errors
    /// If it cannot reach the server.
    pub fn of(socket: UdpSocket, server: SocketAddr) -> anyhow::Result<Self> {
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let own = socket.local_addr()?;
        Ok(Self {
            way: Way::Udp(socket),
            own,
            server,
            read: Vec::new(),
        })
    }

    /// A connection over TCP.
    ///
    /// # Errors
    /// If the server takes none.
    pub fn tcp(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let own = stream.local_addr()?;
        Ok(Self {
            way: Way::Tcp(stream),
            own,
            server,
            read: Vec::new(),
        })
    }

    /// Sends bytes: a datagram, or a piece of the stream.
    ///
    /// # Errors
    /// If they cannot be sent.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        match &mut self.way {
            Way::Udp(socket) => drop(socket.send(bytes.as_ref())?),
            Way::Tcp(stream) => stream.write_all(bytes.as_ref())?,
        }
        Ok(())
    }

    /// The next message.
    ///
    /// # Errors
    /// If none comes, or the connection is closed.
    pub fn receive(&mut self) -> anyhow::Result<String> {
        match &mut self.way {
            Way::Udp(socket) => {
                let mut bytes = vec![0; DATAGRAM_BYTES];
                let length = socket.recv(&mut bytes)?;
                Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
            }
            Way::Tcp(stream) => loop {
                if let Some(message) = framed(&mut self.read) {
                    return Ok(message);
                }
                let mut bytes = [0; 4_096];
                let length = stream.read(&mut bytes)?;
                ensure!(length > 0, "the connection was closed");
                self.read.extend_from_slice(&bytes[..length]);
            },
        }
    }

    /// The next final answer to a request of ours, by `Call-ID` and method; what else comes is
    /// dropped.
    ///
    /// # Errors
    /// If none comes.
    pub fn answer(&mut self, call_id: &str, method: &str) -> anyhow::Result<String> {
        loop {
            let message = self.receive()?;
            let ours = header(&message, "Call-ID") == Some(call_id)
                && header(&message, "CSeq").is_some_and(|cseq| cseq.ends_with(method));
            if ours && status(&message).is_some_and(|status| status >= 200) {
                return Ok(message);
            }
        }
    }

    /// What has come already, if anything has.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn received(&mut self) -> anyhow::Result<Option<String>> {
        let Way::Udp(socket) = &mut self.way else {
            bail!("only asked of datagrams");
        };
        socket.set_nonblocking(true)?;
        let mut bytes = vec![0; DATAGRAM_BYTES];
        let came = socket.recv(&mut bytes);
        socket.set_nonblocking(false)?;
        match came {
            Ok(length) => Ok(Some(String::from_utf8_lossy(&bytes[..length]).into_owned())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the server closes the connection instead of saying anything more.
    ///
    /// # Errors
    /// If it says something, or nothing happens.
    pub fn is_closed(&mut self) -> anyhow::Result<bool> {
        let Way::Tcp(stream) = &mut self.way else {
            bail!("only a stream is closed");
        };
        match stream.read(&mut [0; 1]) {
            Ok(length) => Ok(length == 0),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// How `Via` calls this way.
    pub fn transport(&self) -> &'static str {
        match self.way {
            Way::Udp(_) => "UDP",
            Way::Tcp(_) => "TCP",
        }
    }

    /// A request as an honest phone writes it; `more` is further headers, each with its line end.
    pub fn request(&self, line: &Line<'_>, more: &str, body: &str) -> String {
        let Line {
            method,
            number,
            user,
            call_id,
            cseq,
        } = line;
        let (transport, own, server) = (self.transport(), self.own, self.server);
        let to = if *method == "REGISTER" { user } else { number };
        let target = match *number {
            "" => format!("sip:{server}"),
            number => format!("sip:{number}@{server}"),
        };
        // A device says more of itself where it registers.
        let contact = match more.contains("Contact:") {
            true => String::new(),
            false => self.contact(user, ""),
        };
        let length = body.len();
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {own};branch=z9hG4bK{call_id}x{cseq}{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=f{call_id}\r\n\
             To: <sip:{to}@{server}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             {contact}{more}{kind}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn contact(&self, user: &str, params: &str) -> String {
        let (transport, own) = (self.transport(), self.own);
        format!("Contact: <sip:{user}@{own};transport={transport}>{params}\r\n")
    }

    /// Registers a user's device for this address, by MD5. The device's name goes into its instance:
    /// `urn:x-device:NAME`.
    ///
    /// # Errors
    /// If the server does not take it.
    pub fn register(&mut self, user: &str, password: &str, device: &str) -> anyhow::Result<()> {
        let call_id = format!("register-{user}-{}", self.own.port());
        let mut line = Line {
            method: "REGISTER",
            number: "",
            user,
            call_id: &call_id,
            cseq: 1,
        };
        let more = format!(
            "Expires: 600\r\n{}",
            self.contact(user, &format!(";+sip.instance=\"<urn:x-device:{device}>\""))
        );
        self.send(self.request(&line, &more, ""))?;
        let challenge = Challenge::of(&self.answer(&call_id, "REGISTER")?)?;
        let uri = format!("sip:{}", self.server);
        let proof = challenge.answer(Hash::Md5, user, password, "REGISTER", &uri, 1, "c");
        line.cseq = 2;
        self.send(self.request(&line, &format!("{more}Authorization: {proof}\r\n"), ""))?;
        let answer = self.answer(&call_id, "REGISTER")?;
        ensure!(status(&answer) == Some(200), "{answer}");
        Ok(())
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its method.
    pub method: &'static str,
    /// The user of its target; none for the server itself.
    pub number: &'a str,
    /// Who sends it.
    pub user: &'a str,
    /// Its `Call-ID`, which makes its tag and branch too.
    pub call_id: &'a str,
    /// Its number.
    pub cseq: u32,
}

/// The status of an answer.
pub fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// Takes the first whole message.
fn framed(read: &mut Vec<u8>) -> Option<String> {
    let head = read.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&read[..head]).into_owned();
    let length: usize = header(&text, "Content-Length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    if read.len() < head + length {
        return None;
    }
    let message: Vec<u8> = read.drain(..head + length).collect();
    Some(String::from_utf8_lossy(&message).into_owned())
}

/// A digest algorithm, from its own crate and not from the server's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hash {
    /// RFC 2617.
    Md5,
    /// Its session variant.
    Md5Session,
    /// RFC 7616.
    Sha256,
    /// Its session variant.
    Sha256Session,
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Session => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Session => "SHA-256-sess",
        }
    }

    fn of(self, text: &str) -> String {
        let bytes = match self {
            Self::Md5 | Self::Md5Session => md5::Md5::digest(text).to_vec(),
            Self::Sha256 | Self::Sha256Session => sha2::Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A challenge of the server's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    realm: String,
    /// Its nonce.
    pub nonce: String,
    opaque: Option<String>,
    /// The last answer was right, but its nonce too old.
    pub stale: bool,
}

impl Challenge {
    /// Out of a 401 or 407.
    ///
    /// # Errors
    /// If it is neither.
    pub fn of(answer: &str) -> anyhow::Result<Self> {
        let name = match status(answer) {
            Some(401) => "WWW-Authenticate",
            Some(407) => "Proxy-Authenticate",
            _ => bail!("not a 401 or 407: {answer}"),
        };
        let value = header(answer, name).context("a challenge")?;
        let text = |name: &str| {
            let (_, rest) = value.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        Ok(Self {
            realm: text("realm").context("a realm")?,
            nonce: text("nonce").context("a nonce")?,
            opaque: text("opaque"),
            stale: value.to_ascii_lowercase().contains("stale=true"),
        })
    }

    /// That a value of `Authorization` proves, by MD5 and for the first time with this nonce, that its
    /// sender has the password; by other code than the server's.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(
        &self,
        proof: &str,
        (user, password): (&str, &str),
        method: &str,
        uri: &str,
    ) -> anyhow::Result<()> {
        let value = |key: &str| {
            let (_, rest) = proof.split_once(&format!("{key}="))?;
            let end = rest.trim_start_matches('"').find(['"', ',']);
            let rest = rest.trim_start_matches('"');
            Some(&rest[..end.unwrap_or(rest.len())])
        };
        ensure!(value("uri") == Some(uri), "{proof}");
        ensure!(value("nc") == Some("00000001"), "{proof}");
        ensure!(value(" nonce") == Some(&self.nonce), "{proof}");
        let cnonce = value("cnonce").context("a cnonce")?;
        let right = self.answer(Hash::Md5, user, password, method, uri, 1, cnonce);
        let response = format!("response=\"{}\"", value("response").context("a response")?);
        ensure!(right.contains(&response), "{proof} is not {right}");
        Ok(())
    }

    /// The value of `Authorization` (RFC 7616 §3.4), the `count`-th with this nonce.
    #[allow(clippy::too_many_arguments)] // They are what the digest is made of.
    pub fn answer(
        &self,
        hash: Hash,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let Self { realm, nonce, .. } = self;
        let mut secret = hash.of(&format!("{user}:{realm}:{password}"));
        if matches!(hash, Hash::Md5Session | Hash::Sha256Session) {
            secret = hash.of(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let request = hash.of(&format!("{method}:{uri}"));
        let response = hash.of(&format!(
            "{secret}:{nonce}:{count:08x}:{cnonce}:auth:{request}"
        ));
        let opaque = match &self.opaque {
            Some(opaque) => format!(", opaque=\"{opaque}\""),
            None => String::new(),
        };
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={}, qop=auth, nc={count:08x}, cnonce=\"{cnonce}\"\
             {opaque}",
            hash.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7616 §3.9.1.
    #[test]
    fn the_standards_own_examples() {
        let challenge = Challenge {
            realm: "http-auth@example.org".to_owned(),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".to_owned(),
            opaque: None,
            stale: false,
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (hash, response) in [
            (Hash::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Hash::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let answer = challenge.answer(
                hash,
                "Mufasa",
                "Circle of Life",
                "GET",
                "/dir/index.html",
                1,
                cnonce,
            );
            assert!(answer.contains(response), "{answer}");
        }
    }
}
