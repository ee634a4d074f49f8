//! The real server on its own core, with its log in a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::usage::{self, Usage};
use super::{LOAD_CORE, SERVER_CORE};
use crate::shell::{self, Folder, TOKEN, free_port};

/// First RTP port; below the ports that the system gives to others by itself. Pairs that are taken
/// are left out by the server.
const RTP_FIRST: u16 = 10_000;

/// Where browsers bring their audio.
const WEBRTC_PORT: u16 = RTP_FIRST - 10;

/// Longest wait for the server to come up or to become quiet.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a server is started with.
pub(super) struct Plan {
    /// Pairs of RTP ports.
    pub(super) rtp_pairs: u16,
    /// Plugin runs at the same time.
    pub(super) runs_max: u32,
    /// Plugins, by package name.
    pub(super) plugins: &'static [&'static str],
    /// TOML of the tenants.
    pub(super) tenants: String,
    /// Further files of its folder.
    pub(super) files: BTreeMap<String, String>,
    /// Environment.
    pub(super) env: BTreeMap<String, String>,
    /// Browsers may come, as WebSockets to its HTTP.
    pub(super) browsers: bool,
}

impl Plan {
    /// One public number, 1000, whose flow is `hello-ivr`: a greeting of 3.4 s, one digit, which
    /// one it was, good-bye. Calls leave a record, and no recording.
    pub(super) fn hello(rtp_pairs: u16) -> Self {
        Self {
            rtp_pairs,
            runs_max: 2 * u32::from(rtp_pairs),
            plugins: &["hello-ivr"],
            tenants: "[[tenant]]\nid = \"bench\"\ntime_zone = \"UTC\"\nlanguage = \"en\"\n\
                      [[tenant.route]]\nnumber = \"1000\"\npublic = true\nplugin = \"hello-ivr\"\n\
                      grant = []\nfallback = \"sorry\"\nrecord = false\n"
                .to_owned(),
            files: BTreeMap::new(),
            env: BTreeMap::new(),
            browsers: false,
        }
    }

    /// The demo as it is shipped: menu with recording on 1000, `hello-ivr` on 1010.
    pub(super) fn demo(rtp_pairs: u16) -> Self {
        let demo = shell::Setup::demo("bench");
        Self {
            rtp_pairs,
            runs_max: 2 * u32::from(rtp_pairs),
            plugins: &["ivr-menu", "hello-ivr"],
            tenants: demo.tenants,
            files: demo.files,
            env: demo.env,
            browsers: false,
        }
    }
}

/// A running server. Killed when dropped.
pub(super) struct Process {
    /// Its folder; goes with it.
    pub(super) folder: Folder,
    /// Where it takes calls.
    pub(super) sip: SocketAddr,
    /// Where it serves HTTP.
    pub(super) http: SocketAddr,
    child: Child,
}

impl Process {
    /// Starts a server on its core and waits until it takes calls.
    pub(super) fn start(plan: &Plan) -> anyhow::Result<Self> {
        let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cores = cores
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        ensure!(
            cores > LOAD_CORE,
            "the server and its load need a core each; there is {cores}"
        );
        let folder = Folder::new("bench-server");
        let sip = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        write_folder(&folder, plan, sip, http)?;
        let child = Command::new("taskset")
            .args(["-c", &SERVER_CORE.to_string()])
            .arg(shell::binary()?)
            .args(["serve", "--config", "jackfield.toml"])
            .current_dir(folder.path())
            .env("JACKFIELD_TOKEN", TOKEN)
            .envs(&plan.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log/server"))?)
            .spawn()
            .context("taskset cannot be run; install util-linux")?;
        let mut process = Self {
            folder,
            sip,
            http,
            child,
        };
        process.wait_until_ready()?;
        Ok(process)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !matches!(
            shell::request(self.http, "GET", "/readyz", None),
            Ok((200, _))
        ) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.log_tail());
            }
            ensure!(begun.elapsed() < PATIENCE, "not ready: {}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its last words.
    fn log_tail(&self) -> String {
        let log = self.folder.path().join("log/server");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    /// What it holds open.
    pub(super) fn open_files(&self) -> anyhow::Result<Vec<String>> {
        usage::open_files(self.child.id())
    }

    /// What it has used and holds. `taskset` becomes the server, so the process is the same.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id()).with_context(|| format!("it ended: {}", self.log_tail()))
    }

    /// GET of JSON.
    pub(super) fn json(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let (status, body) = shell::request(self.http, "GET", path, Some(TOKEN))?;
        ensure!(
            status == 200,
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    }

    /// What is alive inside, by name.
    pub(super) fn counts(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let status = self.json("/api/v1/status")?;
        let counts = status["counts"]
            .as_object()
            .context("the status has counts")?;
        let count = |(name, value): (&String, &serde_json::Value)| {
            value.as_f64().map(|value| (name.clone(), value))
        };
        Ok(counts.iter().filter_map(count).collect())
    }

    /// A metric, summed over its labels.
    pub(super) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (_, body) = shell::request(self.http, "GET", "/metrics", Some(TOKEN))?;
        let text = String::from_utf8(body)?;
        let values = text.lines().filter_map(|line| {
            let (found, value) = line.rsplit_once(' ')?;
            let named = found.split('{').next() == Some(name);
            named.then(|| value.parse::<f64>().ok()).flatten()
        });
        Ok(values.sum())
    }

    /// Waits until no call is left and what a call leaves behind for a while is gone as far as
    /// `quiet` says; gives the last counts either way.
    pub(super) fn settle(
        &self,
        patience: Duration,
        quiet: impl Fn(&BTreeMap<String, f64>) -> bool,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let begun = Instant::now();
        loop {
            let counts = self.counts()?;
            if quiet(&counts) || begun.elapsed() > patience {
                return Ok(counts);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn write_folder(
    folder: &Folder,
    plan: &Plan,
    sip: SocketAddr,
    http: SocketAddr,
) -> anyhow::Result<()> {
    let prompts = shell::project("examples/demo/prompts");
    let last = RTP_FIRST + 2 * plan.rtp_pairs - 1;
    let config = format!(
        "data_dir = \"data\"\nprompts_dir = \"{}\"\n\
         [sip]\nudp = \"{sip}\"\ntcp = \"{sip}\"\n\
         [media]\nrtp_ports = \"{RTP_FIRST}-{last}\"\nwebrtc_port = {WEBRTC_PORT}\n{}\
         [plugins]\ndir = \"plugins\"\nruns_max = {}\n\
         [http]\nbind = \"{http}\"\ntoken_env = \"JACKFIELD_TOKEN\"\n\
         websocket = {}\n\n{}",
        prompts.display(),
        shell::media_io(),
        plan.runs_max,
        plan.browsers,
        plan.tenants,
    );
    let plugins = folder.path().join("plugins");
    std::fs::create_dir_all(&plugins)?;
    // Not beside the configuration, which the server watches.
    std::fs::create_dir_all(folder.path().join("log"))?;
    for plugin in plan.plugins {
        std::fs::copy(
            shell::guest(plugin)?,
            plugins.join(format!("{plugin}.wasm")),
        )?;
    }
    std::fs::write(folder.path().join("jackfield.toml"), config)?;
    for (name, text) in &plan.files {
        std::fs::write(folder.path().join(name), text)?;
    }
    Ok(())
}
