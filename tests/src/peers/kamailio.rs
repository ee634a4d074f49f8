//! A proxy: Kamailio in front of several nodes, with a configuration of ours.
//!
//! What it did with each request is a line in its log, and so are nodes it lost and found.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::{require, spawn, until};
use crate::shell::{Folder, free_port};

/// A running proxy. Ends when dropped.
#[derive(Debug)]
pub struct Kamailio {
    folder: Folder,
    child: Child,
    /// Where it takes requests, over UDP.
    pub address: SocketAddr,
}

impl Kamailio {
    /// Starts a proxy before these nodes.
    ///
    /// # Errors
    /// If it is missing (with the command that installs it) or does not come up.
    pub fn start(name: &str, nodes: &[SocketAddr]) -> anyhow::Result<Self> {
        require("kamailio", "kamailio")?;
        let folder = Folder::new(name);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let list: String = nodes.iter().map(|node| format!("1 sip:{node}\n")).collect();
        std::fs::write(folder.path().join("nodes.list"), list)?;
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kamailio/kamailio.cfg");
        let text = std::fs::read_to_string(template)?
            .replace("@LISTEN@", &address.to_string())
            .replace("@MODULES@", &format!("{}/", modules()?.display()))
            .replace(
                "@NODES@",
                &folder.path().join("nodes.list").to_string_lossy(),
            );
        std::fs::write(folder.path().join("kamailio.cfg"), text)?;
        let log = std::fs::File::create(folder.path().join("log.txt"))?;
        // -DD and -E: stay, and log to the error output. -m and -M: megabytes shared, and of each
        // process.
        let child = spawn(
            Command::new("kamailio")
                .args([
                    "-f",
                    "kamailio.cfg",
                    "-DD",
                    "-E",
                    "-Y",
                    ".",
                    "-m",
                    "32",
                    "-M",
                    "4",
                ])
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log),
        )
        .context("kamailio")?;
        let mut proxy = Self {
            folder,
            child,
            address,
        };
        proxy.come_up()?;
        Ok(proxy)
    }

    /// Lines of its log with this text, so far.
    ///
    /// # Errors
    /// If there is no log.
    pub fn lines(&self, text: &str) -> anyhow::Result<Vec<String>> {
        let log = std::fs::read_to_string(self.folder.path().join("log.txt"))?;
        let lines = log.lines().filter(|line| line.contains(text));
        Ok(lines.map(str::to_owned).collect())
    }

    /// Waits until its log has `count` lines with this text; gives them.
    ///
    /// # Errors
    /// If it has fewer for too long, or more.
    pub fn logged(&self, text: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let lines = until(&format!("{count} lines with {text:?}"), || {
            let lines = self.lines(text)?;
            Ok((lines.len() >= count).then_some(lines))
        });
        let lines = lines.with_context(|| self.lines("").unwrap_or_default().join("\n"))?;
        ensure!(lines.len() == count, "{count} lines, not {lines:#?}");
        Ok(lines)
    }

    /// Waits until it takes requests: it answers one that nobody may send to it.
    fn come_up(&mut self) -> anyhow::Result<()> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let own = socket.local_addr()?;
        let to = self.address;
        let probe = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKprobe\r\n\
             Max-Forwards: 1\r\nFrom: <sip:probe@{own}>;tag=1\r\nTo: <sip:{to}>\r\n\
             Call-ID: probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let (child, folder) = (&mut self.child, &self.folder);
        until("kamailio takes requests", || {
            if let Some(status) = child.try_wait()? {
                let log = std::fs::read_to_string(folder.path().join("log.txt"));
                bail!("it ended with {status}: {}", log.unwrap_or_default());
            }
            // Refused as long as nobody listens.
            drop(socket.send_to(probe.as_bytes(), to));
            let mut answer = [0; 2_048];
            Ok(socket.recv(&mut answer).ok())
        })?;
        Ok(())
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It has children, and takes them with it when it is asked to end.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-s", "TERM", &pid]).status());
        drop(self.child.wait());
    }
}

/// The folder of its modules, which is named after the processor.
fn modules() -> anyhow::Result<PathBuf> {
    for entry in std::fs::read_dir("/usr/lib")? {
        let folder = entry?.path().join("kamailio/modules");
        if folder.is_dir() {
            return Ok(folder);
        }
    }
    bail!("kamailio has no folder of modules")
}
