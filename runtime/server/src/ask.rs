//! Asks a running server over its API: one request, one answer.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use vocab::Pii;

use crate::config;

/// Longest wait for a server, which is near or not there. An answer may take 10 s.
const WAIT: Duration = Duration::from_secs(12);

/// Longest silence of a stream of events, which has a comment every 10 s.
const SILENCE: Duration = Duration::from_secs(30);

/// Longest wait for the next piece of a file, which may have to come from elsewhere first.
const FETCH: Duration = Duration::from_secs(130);

/// Longest head of an answer.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// Bytes of a file read at a time.
const PIECE: usize = 64 << 10;

/// Longest answer that is read: a trace of 512 KB of messages, told as JSON.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// As a person would write it.
    host: String,
    address: SocketAddr,
    token: Pii<String>,
}

/// Options of each command that asks a running server.
#[derive(Args, Debug)]
pub(crate) struct Api {
    /// Where the server's API is.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,

    /// The environment variable that holds the API's token.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value = "JACKFIELD_TOKEN"
    )]
    token_env: String,
}

impl Api {
    /// The server.
    ///
    /// # Errors
    /// In one line, with what to do.
    pub(crate) fn server(&self) -> anyhow::Result<Server> {
        let token = config::secret(&self.token_env);
        Server::at(
            &self.url,
            token.map_err(|why| anyhow!("the API's token: {why}"))?,
        )
    }
}

/// What it said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// A server by its URL, as in `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// In one line, with what to do.
    pub(crate) fn at(url: &str, token: Pii<String>) -> anyhow::Result<Self> {
        let host = url.strip_prefix("http://").ok_or_else(|| {
            anyhow!(
                "{url} does not begin with http://; a server behind TLS is asked where it listens"
            )
        })?;
        let host = host.trim_end_matches('/');
        ensure!(
            !host.contains('/'),
            "{url} has a path; give the server alone"
        );
        let numbered = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let place = if numbered {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let address = place
            .to_socket_addrs()
            .with_context(|| format!("cannot find {host}"))?
            .next();
        Ok(Self {
            address: address.ok_or_else(|| anyhow!("{host} has no address"))?,
            host: host.to_owned(),
            token,
        })
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// In one line, if there is no answer.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Wish {
            method: "GET",
            path,
            body: Body::None,
        })
    }

    /// Wants something done, with a JSON object that says what.
    ///
    /// # Errors
    /// In one line, if there is no answer.
    pub(crate) fn post(&self, path: &str, body: &str) -> anyhow::Result<Answer> {
        self.ask(Wish {
            method: "POST",
            path,
            body: Body::Json(body),
        })
    }

    /// Wants something to be as a JSON object says.
    ///
    /// # Errors
    /// In one line, if there is no answer.
    pub(crate) fn put(&self, path: &str, body: &str) -> anyhow::Result<Answer> {
        self.ask(Wish {
            method: "PUT",
            path,
            body: Body::Json(body),
        })
    }

    /// Wants something to be what a file says.
    ///
    /// # Errors
    /// In one line, if there is no answer.
    pub(crate) fn put_file(&self, path: &str, file: &[u8]) -> anyhow::Result<Answer> {
        self.ask(Wish {
            method: "PUT",
            path,
            body: Body::File(file),
        })
    }

    /// Asks for a file of any length and copies it; `told` hears how much of how much is there. Gives
    /// the answer without its body, or with it if it is no file.
    ///
    /// # Errors
    /// In one line, if there is no answer, it breaks off, or the copy cannot be written.
    pub(crate) fn download(
        &self,
        path: &str,
        out: &mut impl io::Write,
        mut told: impl FnMut(u64, u64),
    ) -> anyhow::Result<Answer> {
        let wish = Wish {
            method: "GET",
            path,
            body: Body::None,
        };
        let no_answer = |error| self.no_answer(&error);
        // What is fetched from an object store takes its time.
        let stream = open(self.address, &self.host, wish, &self.token, FETCH).map_err(no_answer)?;
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let before = head.len();
            let line = stream
                .by_ref()
                .take(HEAD_BYTES_MAX)
                .read_until(b'\n', &mut head);
            line.map_err(no_answer)?;
            ensure!(
                head.len() > before && head.len() as u64 <= HEAD_BYTES_MAX,
                "{} is no server of ours",
                self.host
            );
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let mut lines = text.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length:"));
        let length: Option<u64> = length.and_then(|length| length.trim().parse().ok());
        let mut answer = self.admitted(&head)?;
        if answer.status != 200 {
            let mut body = stream.take(ANSWER_BYTES_MAX);
            body.read_to_end(&mut answer.body)?;
            return Ok(answer);
        }
        let length = length.context("the server does not say how long the file is")?;
        let mut done = 0;
        let mut piece = vec![0; PIECE];
        while done < length {
            let count = stream.read(&mut piece).context("the connection broke")?;
            ensure!(
                count > 0,
                "the server broke off after {done} of {length} bytes"
            );
            out.write_all(&piece[..count])
                .context("the file cannot be written")?;
            done += count as u64;
            told(done, length);
        }
        Ok(answer)
    }

    /// Wants something ended.
    ///
    /// # Errors
    /// In one line, if there is no answer.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Wish {
            method: "DELETE",
            path,
            body: Body::None,
        })
    }

    /// Listens to a stream of lines until `take` says enough or the server ends it. Silence is no
    /// error for three times as long as the server is ever silent.
    ///
    /// # Errors
    /// In one line, if there is no answer or the connection breaks.
    pub(crate) fn listen(
        &self,
        path: &str,
        mut take: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<()> {
        let wish = Wish {
            method: "GET",
            path,
            body: Body::None,
        };
        let no_answer = |error| self.no_answer(&error);
        let stream =
            open(self.address, &self.host, wish, &self.token, SILENCE).map_err(no_answer)?;
        let mut lines = BufReader::new(stream).lines();
        let mut head = String::new();
        for line in lines.by_ref() {
            let line = line.map_err(no_answer)?;
            head += &line;
            head += "\r\n";
            if line.is_empty() {
                break;
            }
        }
        let answer = self.admitted(head.as_bytes())?;
        if answer.status != 200 {
            bail!("{} answers with status {}", self.host, answer.status);
        }
        for line in lines {
            let line = line.context("the connection to the server broke")?;
            if !take(&line) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn ask(&self, wish: Wish<'_>) -> anyhow::Result<Answer> {
        let bounds = (WAIT, ANSWER_BYTES_MAX);
        let answer = send(self.address, &self.host, wish, &self.token, bounds);
        self.admitted(&answer.map_err(|error| self.no_answer(&error))?)
    }

    fn no_answer(&self, error: &io::Error) -> anyhow::Error {
        let host = &self.host;
        anyhow!("no server answers on {host} ({error}): start it, or say where by --url")
    }

    /// An answer, unless it is that our token is not taken.
    fn admitted(&self, answer: &[u8]) -> anyhow::Result<Answer> {
        let answer = read(answer).with_context(|| format!("{} is no server of ours", self.host))?;
        match answer.status {
            401 => bail!("{} does not take this token: see --token-env", self.host),
            403 => bail!(
                "the API of {} is closed: give it a token_env under [http]",
                self.host
            ),
            _ => Ok(answer),
        }
    }
}

/// Asks for a path over a connection of its own; gives the answer as it came. Each step waits for
/// so long at most, and so many bytes are read.
pub(crate) fn exchange(
    address: SocketAddr,
    host: &str,
    path: &str,
    token: &Pii<String>,
    bounds: (Duration, u64),
) -> io::Result<Vec<u8>> {
    let wish = Wish {
        method: "GET",
        path,
        body: Body::None,
    };
    send(address, host, wish, token, bounds)
}

/// One request.
struct Wish<'a> {
    method: &'static str,
    path: &'a str,
    body: Body<'a>,
}

/// What is sent with it.
enum Body<'a> {
    None,
    Json(&'a str),
    File(&'a [u8]),
}

fn send(
    address: SocketAddr,
    host: &str,
    wish: Wish<'_>,
    token: &Pii<String>,
    (wait, bytes_max): (Duration, u64),
) -> io::Result<Vec<u8>> {
    let stream = open(address, host, wish, token, wait)?;
    let mut answer = Vec::new();
    stream.take(bytes_max).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Sends a request over a connection of its own.
fn open(
    address: SocketAddr,
    host: &str,
    Wish { method, path, body }: Wish<'_>,
    token: &Pii<String>,
    wait: Duration,
) -> io::Result<TcpStream> {
    let (kind, body) = match body {
        Body::None => ("", &b""[..]),
        Body::Json(body) => ("application/json", body.as_bytes()),
        Body::File(body) => ("application/octet-stream", body),
    };
    let about = if kind.is_empty() {
        String::new()
    } else {
        let length = body.len();
        format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n")
    };
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\
         Authorization: Bearer {}\r\n{about}\r\n",
        token.reveal()
    );
    let mut stream = TcpStream::connect_timeout(&address, wait)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    stream.write_all(head.as_bytes())?;
    // A server that refuses a file may not read it to its end: what it says counts.
    match stream.write_all(body) {
        Err(error) if !is_cut(&error) => Err(error),
        Ok(()) | Err(_) => Ok(stream),
    }
}

fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl Answer {
    /// The `code` of a problem.
    pub(crate) fn problem(&self) -> (String, String) {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("detail"))
    }
}

fn read(answer: &[u8]) -> anyhow::Result<Answer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.context("the answer is not HTTP")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut words = head.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse().ok());
    let status = status.filter(|_| version.starts_with("HTTP/1."));
    Ok(Answer {
        status: status.context("the answer is not HTTP")?,
        body: answer[end + 4..].to_vec(),
    })
}

/// An answer, unless it is that something is wrong.
///
/// # Errors
/// What the server says is wrong.
pub(crate) fn fine(answer: Answer) -> anyhow::Result<Answer> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let (_, detail) = answer.problem();
    if detail.is_empty() {
        bail!("the server answers with status {}", answer.status);
    }
    bail!("{detail}")
}

/// A path with the parameters that are there.
pub(crate) fn with_query(path: &str, wanted: &[(&str, &Option<String>)]) -> String {
    let given = wanted
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    let query: Vec<_> = given.collect();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

/// For a query (RFC 3986 §2.1).
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_url() {
        let at = |url| Server::at(url, Pii::new(String::new()));
        let good = at("http://127.0.0.1:8080/").unwrap();
        assert_eq!(
            (good.host.as_str(), good.address),
            ("127.0.0.1:8080", "127.0.0.1:8080".parse().unwrap())
        );
        assert_eq!(
            at("http://[::1]:80").unwrap().address,
            "[::1]:80".parse().unwrap()
        );
        assert_eq!(at("http://127.0.0.1").unwrap().address.port(), 80);
        for bad in [
            "127.0.0.1:8080",
            "https://127.0.0.1",
            "http://127.0.0.1/api",
            "http://",
        ] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_are_read() {
        let good = read(b"HTTP/1.0 404 Not Found\r\nX: y\r\n\r\n{\"code\":\"a\",\"detail\":\"b\"}")
            .unwrap();
        assert_eq!(
            (good.status, good.problem()),
            (404, ("a".into(), "b".into()))
        );
        for bad in [
            &b""[..],
            b"HTTP/1.0 200 OK",
            b"SSH-2.0 200\r\n\r\n",
            b"HTTP/1.1 x\r\n\r\n",
        ] {
            assert!(read(bad).is_err());
        }
    }

    #[test]
    fn paths_have_the_parameters_that_are_there() {
        let none = [("call", &None)];
        assert_eq!(with_query("/a", &none), "/a");
        let some = [
            ("call", &None),
            ("b", &Some("1 2".to_owned())),
            ("c", &Some("3".to_owned())),
        ];
        assert_eq!(with_query("/a", &some), "/a?b=1%202&c=3");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("张 1&x=+"), "%E5%BC%A0%201%26x%3D%2B");
        assert_eq!(escaped("a-b._~9"), "a-b._~9");
    }
}
