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
            body: "",
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
            body,
        })
    }

    /// Wants something ended.
    ///
    /// # Errors
    /// In one line, if there is no answer.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Wish {
            method: "DELETE",
            path,
            body: "",
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
            body: "",
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
        body: "",
    };
    send(address, host, wish, token, bounds)
}

/// One request.
struct Wish<'a> {
    method: &'static str,
    path: &'a str,
    /// JSON; empty for none.
    body: &'a str,
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
    let about = if body.is_empty() {
        String::new()
    } else {
        format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        )
    };
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\
         Authorization: Bearer {}\r\n{about}\r\n{body}",
        token.reveal()
    );
    let mut stream = TcpStream::connect_timeout(&address, wait)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    stream.write_all(head.as_bytes())?;
    Ok(stream)
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
}
