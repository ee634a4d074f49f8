//! `jackfield serve`: starts everything, keeps the configuration fresh, drains, stops.

// Threads, waits and signals are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use engine::WorkerId;
use media::Capabilities;
use node::Node;
use notify::{RecursiveMode, Watcher};
use plugin::{CacheKey, Host, HostConfig, Registry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use vocab::Rng;

use crate::archive::Archive;
use crate::clock::Clock;
use crate::config::{self, Config, Media};
use crate::control::{Desk, Handle, Hands, Message, Signalling, Status};
use crate::disk;
use crate::dns::{Asker, Servers};
use crate::doors::Doors;
use crate::mailbox::Mailbox;
use crate::media_thread::{self, Ports};
use crate::metrics::Metrics;
use crate::net::tls::{self, Tls};
use crate::net::websocket::Origins;
use crate::plugin_dir::{PluginDir, write_private};
use crate::plugin_pool::PluginPool;
use crate::prompts::Prompts;
use crate::speech::{self, Speaker};
use crate::vault::Vault;
use crate::{http, telemetry};

mod keeping;

use keeping::Keeping;

/// Longest drain: calls that go on after it are cut.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How often a drain reports.
const DRAIN_STEP: Duration = Duration::from_secs(1);

/// Longest wait for carriers to confirm that they forget us, once no call is up: a request over UDP is
/// sent three times by then (RFC 3261 §17.1.2.2).
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// How often that is looked at.
const FAREWELL_STEP: Duration = Duration::from_millis(20);

/// Runs the server until it is told to stop.
///
/// # Errors
/// In one line, with what to do.
pub(crate) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    let _log = telemetry::init(&config.log)?;
    warn(&config);
    raise_file_limit(&config);
    survive_file_size_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tokio")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let code = runtime.block_on(serve(config))?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(code)
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let clock = Clock::start();
    let mut rng = Rng::new(entropy()?);
    let stop = Arc::new(AtomicBool::new(false));
    disk::prepare(&config.data_dir)?;

    let origins = Origins::new(config.sip.origins.clone());
    let tls = load_tls(&config)?;
    let identity = watch::Sender::new(tls.server());
    let (desk, listener) = listen(&config, tls, &origins, &mut rng).await?;
    let control = desk.handle();
    let ports = bind_media(&config.media)?;
    let ports_total = ports.len();
    let (keeping, tap) = Keeping::start(&config, clock, &control).await?;
    let metrics = Arc::new(Metrics::default());
    let status = Arc::new(Status::default());

    let host = Host::new(HostConfig {
        runs_max: config.plugins.runs_max,
        ..HostConfig::new(cache_key(&config.data_dir)?)
    })?;
    let pool = PluginPool::new();
    let mut threads = pool.start_threads(
        config.plugins.threads,
        clock,
        host.clone(),
        &control,
        stop.clone(),
    )?;
    let (mut media, mut browsers) = (Vec::new(), Vec::new());
    for (index, ports) in ports.split(config.media.threads).into_iter().enumerate() {
        let worker = WorkerId(u16::try_from(index).context("too many media threads")?);
        let addresses = ports.addresses();
        let first = config
            .media
            .webrtc_port
            .filter(|_| config.is_for_browsers());
        let doors = first.map(|first| Doors::bind(&config.media, first, index));
        let doors = doors.transpose()?;
        browsers.extend(doors.as_ref().map(|doors| engine::Door {
            fingerprint: doors.identity.fingerprint(),
            doors: Arc::clone(&doors.told),
        }));
        let setup = media_thread::Setup {
            clock,
            worker,
            config: media::Config {
                inactive_after: config.media.inactive_after,
                ..media::Config::default()
            },
            doors,
            ports,
            io: config.media.io,
            core: media_thread::core(&config.media.pin, index),
            rng: rng.fork(),
            control: control.clone(),
            recorder: keeping.recorder.clone(),
            metrics: Arc::clone(&metrics),
            stop: Arc::clone(&stop),
        };
        let mailbox = media_thread::mailbox();
        threads.push(media_thread::start(setup, mailbox.clone())?);
        media.push((worker, addresses, mailbox));
    }

    let (node, mailboxes) = make_node(&config, clock, &mut rng, (media, browsers))?;
    // The system's own authorities vouch for a speech engine, not those of carriers.
    let authorities = Tls::load(&tls::Setup::default())?;
    let speaker = Speaker::new(speech::Setup {
        command: config.speech.enabled.then(|| config.speech.command.clone()),
        remote: config
            .speech
            .remote
            .clone()
            .filter(|_| config.speech.enabled),
        tls: authorities.client(),
        folder: config.data_dir.join("speech"),
        bytes_max: config.speech.cache_bytes,
        clock,
        control: control.clone(),
        metrics: Arc::clone(&metrics),
    });
    let speaker = speaker
        .map_err(|why| anyhow::anyhow!("the speech engine of [speech]: {why}; see its url"))?;
    let dns = Asker::new(
        dns_servers(&config.dns),
        control.clone(),
        tokio::runtime::Handle::current(),
    );
    let vault = Vault::new(config.http.vault_keep);
    let hands = Hands {
        media: mailboxes,
        pool: pool.clone(),
        writer: keeping.writer.clone(),
        speaker,
        dns,
        recorder: keeping.recorder.clone(),
        archive: keeping.archive.clone(),
        vault: vault.clone(),
        tap,
        traces: keeping.traces.clone(),
        disk: Arc::clone(&keeping.disk),
        metrics: Arc::clone(&metrics),
        status: Arc::clone(&status),
        feed: Arc::clone(&keeping.feed),
    };
    let control_thread = desk.start(clock, node, hands)?;
    control.send(Message::Configure(Arc::clone(&config.node)));
    let prompts = open_prompts(&config, &control).await?;
    let plugins = load_plugins(&config, host, &control).await?;
    threads.push(plugins.watch(Arc::clone(&stop))?);

    let app = http::App {
        store: Arc::clone(&keeping.store),
        metrics,
        control: control.clone(),
        token: config.http.token.clone(),
        archive: keeping.archive.clone(),
        prompts,
        uploads: http::App::uploads(),
        vault,
        vault_token: config.http.vault_token.clone(),
        clock,
        traces: keeping.traces.clone(),
        disk: Arc::clone(&keeping.disk),
        status: Arc::clone(&status),
        websocket: config.http.websocket.then_some(origins),
        realm: config.sip.realm.clone(),
        feed: Arc::clone(&keeping.feed),
        listeners: http::App::listeners(),
    };
    let router = http::router(app);
    let door = http::Door::new(listener, identity.subscribe());
    let web = tokio::spawn(async move { axum::serve(door, router).await });
    status.ready.store(true, Ordering::Release);
    tell(&config, ports_total);

    let code = wait(config, &control, &identity, &status, &keeping.archive).await?;

    keeping.feed.close();
    control.send(Message::Stop);
    join(control_thread).await;
    stop.store(true, Ordering::Release);
    pool.shut_down();
    for thread in threads {
        join(thread).await;
    }
    keeping.stop(web).await?;
    tracing::info!("stopped");
    Ok(code)
}

/// Binds signalling and HTTP.
async fn listen(
    config: &Config,
    tls: Tls,
    origins: &Origins,
    rng: &mut Rng,
) -> anyhow::Result<(Desk, tokio::net::TcpListener)> {
    let desk = Desk::bind(Signalling {
        udp: config.sip.datagrams(),
        streams: config.sip.streams(),
        tls,
        origins: origins.clone(),
        rng: rng.fork(),
    })?;
    let http = config.http.bind;
    let listener = tokio::net::TcpListener::bind(http).await;
    let listener = listener.with_context(|| {
        format!(
            "cannot listen on http {http}: stop the program that uses this port, or set another \
             address under [http]"
        )
    })?;
    Ok((desk, listener))
}

/// The node with the ports of its media threads, and how to reach those.
/// A media thread, its ports, and what takes its commands.
type MediaWorker = (WorkerId, Vec<SocketAddr>, Mailbox<media::Command>);

fn make_node(
    config: &Config,
    clock: Clock,
    rng: &mut Rng,
    (media, browsers): (Vec<MediaWorker>, Vec<engine::Door>),
) -> anyhow::Result<(Node, Vec<Mailbox<media::Command>>)> {
    let engine = engine::Config {
        browsers,
        ..engine_config(config, rng)?
    };
    let mut node = Node::new(engine, Registry::new(), rng.fork());
    let now = clock.now();
    let mut mailboxes = Vec::new();
    for (worker, ports, mailbox) in media {
        node.handle(now, node::Input::Ports { worker, ports });
        assert!(node.poll().is_none(), "ports ask for nothing");
        mailboxes.push(mailbox);
    }
    Ok((node, mailboxes))
}

/// Reads the prompts that were uploaded.
async fn open_prompts(config: &Config, control: &Handle) -> anyhow::Result<Prompts> {
    let (folder, control) = (config.data_dir.join("prompts"), control.clone());
    let shown = folder.display().to_string();
    let opened = tokio::task::spawn_blocking(move || Prompts::open(folder, control));
    let opened = opened.await?;
    opened.with_context(|| format!("reading the uploaded prompts in {shown}"))
}

/// Loads the plugins of the folder.
async fn load_plugins(config: &Config, host: Host, control: &Handle) -> anyhow::Result<PluginDir> {
    let dir = &config.plugins.dir;
    let mut plugins = PluginDir::new(
        dir.clone(),
        config.data_dir.join("plugin-cache"),
        host,
        control.clone(),
    )
    .with_context(|| format!("making the plugins' folder {}", dir.display()))?;
    let loaded = tokio::task::spawn_blocking(move || {
        plugins.load_all();
        plugins
    });
    Ok(loaded.await?)
}

/// Says that it serves, and where.
fn tell(config: &Config, ports_total: usize) {
    for (transport, at) in &config.sip.listeners {
        let transport = transport.via_name();
        tracing::debug!(transport, %at, "listening");
    }
    tracing::info!(
        sip.udp = %config.sip.udp, sip.tcp = %config.sip.tcp, http = %config.http.bind,
        rtp_ports = ports_total, "serving"
    );
    if config.http.websocket {
        let at = config.http_address();
        let scheme = if at.ip().is_loopback() {
            "http"
        } else {
            "https"
        };
        tracing::info!("a phone for browsers: {scheme}://{at}/phone");
    }
}

/// Until a signal says stop; meanwhile a changed configuration is applied.
async fn wait(
    config: Config,
    control: &Handle,
    identity: &Identity,
    status: &Status,
    archive: &Archive,
) -> anyhow::Result<ExitCode> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    let (changes, mut changed) = mpsc::channel(1);
    let _watcher = watch(&config, changes);
    let mut config = config;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => config = reload(config, control, identity, archive).await,
            Some(()) = changed.recv() => {
                // An editor writes in several steps.
                tokio::time::sleep(Duration::from_millis(100)).await;
                while changed.try_recv().is_ok() {}
                config = reload(config, control, identity, archive).await;
            }
        }
    }
    control.send(Message::Drain);
    status.draining.store(true, Ordering::Release);
    let mut waited = Duration::ZERO;
    loop {
        let live = control.query(|node| node.counts().calls).await.unwrap_or(0);
        if live == 0 {
            farewell(control).await;
            tracing::info!("drained: no call is up");
            return Ok(ExitCode::SUCCESS);
        }
        if waited >= DRAIN_MAX {
            tracing::warn!(
                calls = live,
                "the drain took too long: the calls that are left are cut"
            );
            return Ok(ExitCode::SUCCESS);
        }
        tracing::info!(
            calls = live,
            seconds_left = (DRAIN_MAX - waited).as_secs(),
            "draining: waiting for calls to end; stop again to cut them"
        );
        tokio::select! {
            () = tokio::time::sleep(DRAIN_STEP) => waited += DRAIN_STEP,
            _ = term.recv() => return Ok(ExitCode::SUCCESS),
            _ = int.recv() => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// Waits until the carriers that we registered with have taken leave of us.
async fn farewell(control: &Handle) {
    let mut waited = Duration::ZERO;
    while control.query(Node::farewells).await.unwrap_or(0) > 0 {
        if waited >= FAREWELL_MAX {
            tracing::warn!("a carrier does not say whether it forgets us: it will in time");
            return;
        }
        tokio::time::sleep(FAREWELL_STEP).await;
        waited += FAREWELL_STEP;
    }
}

/// Whom to ask for the addresses of trunks. A server whose trunks are all addresses needs nobody.
fn dns_servers(dns: &config::Dns) -> Option<Servers> {
    match Servers::new(dns) {
        Ok(servers) => Some(servers),
        Err(error) => {
            tracing::warn!("{error:#}; trunks by name are not found: name servers under [dns]");
            None
        }
    }
}

/// Binds the ports of audio at every address.
fn bind_media(config: &Media) -> anyhow::Result<Ports> {
    let mut all = Ports::default();
    for address in &config.addresses {
        let ports = Ports::bind(*address, &config.rtp_ports, config.dscp);
        anyhow::ensure!(
            ports.len() > 0,
            "none of the RTP ports {}-{} is free on {}: set another range or address under [media]",
            config.rtp_ports.start(),
            config.rtp_ports.end(),
            address.bind
        );
        all = all.and(ports);
    }
    Ok(all)
}

/// The certificate and who is believed; makes the certificate if that is asked for.
fn load_tls(config: &Config) -> anyhow::Result<Tls> {
    let mut setup = config.tls.setup.clone();
    // Browsers give no page the microphone that came without TLS from another machine.
    let needed = config.http.websocket && !config.http.bind.ip().is_loopback();
    let made = setup.identity.is_none() && needed;
    if made && !config.tls.self_signed {
        tracing::warn!(
            "there is no certificate, and phones in browsers on other machines need one: made one that \
             vouches for itself; browsers ask once whether to go on, until you name a real one under [tls]"
        );
    }
    if config.tls.self_signed || made {
        let told = config.sip.addresses();
        let mut names: Vec<_> = told.iter().map(|(_, at)| at.ip()).collect();
        names.push(config.http_address().ip());
        names.sort();
        names.dedup();
        setup.identity = Some(tls::self_signed(&config.data_dir, &names)?);
    }
    Tls::load(&setup)
}

/// Watches the folder of the configuration file: editors replace the file, they do not write it.
/// The certificate's folder too: it is renewed every few weeks.
fn watch(config: &Config, changes: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let folder = config
        .file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let identity = config.tls.setup.identity.clone();
    let certificates: Vec<PathBuf> = identity.into_iter().flat_map(<[_; 2]>::from).collect();
    let mut folders: Vec<PathBuf> = certificates
        .iter()
        .filter_map(|file| Some(file.parent()?.to_owned()))
        .collect();
    folders.push(folder);
    folders.sort();
    folders.dedup();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let named = |path: &PathBuf| {
            let mut names = certificates.iter().map(|file| file.file_name());
            names.any(|name| name == path.file_name())
        };
        let ours =
            |path: &PathBuf| path.extension().is_some_and(|ending| ending == "toml") || named(path);
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(ours)) {
            let _ = changes.try_send(());
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    match watched {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "configuration changes are seen on SIGHUP only");
            None
        }
    }
}

/// What deserves a look and keeps nothing from working.
fn warn(config: &Config) {
    for problem in &config.warnings {
        tracing::warn!(%problem, "configuration");
    }
}

/// The certificate that HTTP shows, to be changed.
type Identity = watch::Sender<Option<Arc<rustls::ServerConfig>>>;

/// Reads the configuration again; what is wrong with it is said, and the old one stays.
async fn reload(old: Config, control: &Handle, identity: &Identity, archive: &Archive) -> Config {
    let file = old.file.clone();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&file)).await;
    match loaded {
        Ok(Ok(new)) => {
            warn(&new);
            let restart = old.restart_needed(&new);
            if !restart.is_empty() {
                tracing::warn!(sections = ?restart, "these changes take effect at the next start");
            }
            control.send(Message::Configure(Arc::clone(&new.node)));
            archive.set_policies(Arc::clone(&new.policies));
            // The files may be new even where their names are not.
            match load_tls(&new) {
                Ok(tls) => {
                    identity.send_replace(tls.server());
                    control.send(Message::Tls(tls));
                }
                Err(error) => tracing::error!("{error:#}; the old certificate stays"),
            }
            tracing::info!("configuration applied; live calls keep theirs");
            Config {
                node: new.node,
                policies: new.policies,
                tls: new.tls,
                ..old
            }
        }
        Ok(Err(errors)) => {
            for problem in errors.problems() {
                tracing::error!(%problem, "configuration refused; the old one stays");
            }
            old
        }
        Err(error) => {
            tracing::error!(%error, "configuration could not be read; the old one stays");
            old
        }
    }
}

fn engine_config(config: &Config, rng: &mut Rng) -> anyhow::Result<engine::Config> {
    let mut nonce_key = [0; 32];
    rng.fill(&mut nonce_key);
    let at = |port| SocketAddr::new(config.sip.advertise, port);
    let mut sip = sip::Config::new(
        at(config.sip.udp.port()),
        at(config.sip.tcp.port()),
        nonce_key,
    );
    sip.pass_key = Some(own_key(&config.data_dir.join("phone-credentials.key"))?);
    sip.addresses = config.sip.addresses();
    if config.http.websocket {
        let http = config.http_address();
        sip.addresses.push((sip::Transport::Ws, http));
        sip.addresses.push((sip::Transport::Wss, http));
    }
    sip.realm.clone_from(&config.sip.realm);
    sip.algorithms.clone_from(&config.sip.digest);
    sip.session_interval = config.sip.session_interval;
    sip.reliable_provisional = config.sip.reliable_provisional;
    sip.guard.clone_from(&config.sip.guard);
    Ok(engine::Config {
        sip,
        capabilities: Capabilities {
            codecs: config.media.codecs.clone(),
            opus: config.media.opus,
            srtp: config.media.srtp,
            ..Capabilities::default()
        },
        credentials: None,
        browsers: Vec::new(),
    })
}

/// The key that signs compiled plugins: made once, kept beside the data.
fn cache_key(data_dir: &Path) -> anyhow::Result<CacheKey> {
    own_key(&data_dir.join("plugin-cache.key")).map(CacheKey::new)
}

/// A key of our own: made once, kept in this file.
fn own_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    if let Ok(bytes) = std::fs::read(path)
        && let Ok(key) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(key);
    }
    let key = entropy()?;
    write_private(path, &key).with_context(|| format!("writing {}", path.display()))?;
    Ok(key)
}

fn entropy() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(seed)
}

/// Two sockets a call, and some for everything else.
fn raise_file_limit(config: &Config) {
    let range = &config.media.rtp_ports;
    let ports = u64::from(range.end() - range.start()) * config.media.addresses.len() as u64;
    let wanted = ports + 4_096 + 1_024;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls are given a live `rlimit` of this frame.
    #[allow(unsafe_code)]
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_cur.max(wanted.min(limit.rlim_max));
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    if !raised || limit.rlim_cur < wanted {
        tracing::warn!(
            limit = limit.rlim_cur,
            wanted,
            "too few open files are allowed for all RTP ports: raise the hard limit (ulimit -Hn)"
        );
    }
}

/// Past a limit on the size of files (`ulimit -f`) a write is to fail, like on a full disk: by
/// default the system ends the process, and with it every call.
fn survive_file_size_limit() {
    // SAFETY: to ignore a signal runs none of our code.
    #[allow(unsafe_code)]
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

async fn join(thread: JoinHandle<()>) {
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        tracing::error!("a thread ended by a panic: this is a bug");
    }
}
