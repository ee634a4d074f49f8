//! The sections about the server itself.

use std::time::Duration;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sip::auth::Algorithm;
use sip::limits::SESSION_INTERVAL_MIN;
use vocab::Pii;

use super::reader::{At, Source, Table};
use super::secret::Environment;
use super::{
    Config, Http, Log, Plugins, Sip, Speech, audio, dns, guard, limits, listeners, recordings,
    tenant, trace,
};

/// The port of SIP (RFC 3261 §18.1.1), on this machine only until somebody decides otherwise.
const SIP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);

/// The customary port of services behind a proxy, on this machine only.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Seconds that digits are kept in the vault: longer than a payment takes, with a second try.
const VAULT_KEEP_S: u64 = 900;

/// Reads the whole file. Where something is wrong the defaults stand in: the report decides in the
/// end.
pub(super) fn read(
    mut root: Table<'_>,
    source: &Source<'_>,
    environment: &Environment<'_>,
) -> Config {
    let folder = |root: &mut Table<'_>, key: &'static str, default: &str| {
        let given = root.path(key);
        given.unwrap_or_else(|| At {
            value: root.beside(default),
            at: 0,
        })
    };
    let data_dir = folder(&mut root, "data_dir", "data").value;
    let prompts_dir = folder(&mut root, "prompts_dir", "prompts");
    let mut sip_table = root.table("sip");
    let trace = trace::read(&mut sip_table, environment);
    let (sip, listeners) = sip(sip_table);
    let tls = listeners::tls(root.table("tls"), &listeners);
    let media = audio::read(root.table("media"), &sip);
    let dns = dns::read(root.table("dns"));
    let http = http(root.table("http"), environment);
    let plugins = plugins(root.table("plugins"));
    let speech = speech(root.table("speech"), environment);
    let log = log(root.table("log"));
    let recordings = recordings::read(root.table("recordings"), environment);
    let surroundings = tenant::Surroundings {
        environment,
        prompts_dir: &prompts_dir.value,
        plugins_dir: &plugins.dir,
        open: sip.listeners.iter().any(|(_, at)| !at.ip().is_loopback()),
    };
    let (node, policies) = tenant::read(root.tables("tenant", "[[tenant]]"), source, &surroundings);
    root.finish();
    Config {
        file: source.path.to_owned(),
        warnings: Vec::new(),
        data_dir,
        sip,
        trace,
        tls,
        media,
        dns,
        http,
        plugins,
        speech,
        log,
        recordings,
        policies: Arc::new(policies),
        node: Arc::new(node),
    }
}

fn sip(mut table: Table<'_>) -> (Sip, listeners::Listeners) {
    let listeners = listeners::read(&mut table, SIP);
    let first = |wanted| {
        let mut all = listeners.all.iter();
        let first = all.find(|(transport, _)| *transport == wanted);
        first.map_or(SIP, |(_, at)| *at)
    };
    let (udp, tcp) = (first(sip::Transport::Udp), first(sip::Transport::Tcp));
    let advertised = listeners::advertise(&mut table, &listeners);
    let advertise = advertised.first().copied().unwrap_or(udp.ip());
    let origins = listeners::origins(&mut table);
    let realm = table.text("realm").filter(|realm| {
        let good = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>');
        let fits = (1..=255).contains(&realm.value.len()) && realm.value.chars().all(good);
        if !fits {
            let what = "realm is not a word without spaces and quotes, as in \"example.com\"";
            table.source.error(Some(realm.at), what);
        }
        fits
    });
    let digest = digest(&mut table);
    let defaults = sip::Config::new(udp, tcp, [0; 32]);
    let session_interval = session_interval(&mut table, defaults.session_interval);
    let reliable = table.truth("reliable_provisional");
    let guard = guard::read(table.table("guard"));
    table.finish();
    let sip = Sip {
        udp,
        tcp,
        listeners: listeners.all.clone(),
        advertise,
        advertised,
        origins,
        realm: realm.map_or(defaults.realm, |realm| realm.value.to_owned()),
        digest: digest.unwrap_or(defaults.algorithms),
        session_interval,
        reliable_provisional: reliable.unwrap_or(defaults.reliable_provisional),
        guard,
    };
    (sip, listeners)
}

/// Seconds, or 0 for none.
fn session_interval(table: &mut Table<'_>, default: Option<Duration>) -> Option<Duration> {
    let at = table.place("session_interval");
    let Some(seconds) = table.whole("session_interval", 0..=limits::SESSION_S_MAX) else {
        return default;
    };
    let interval = Duration::from_secs(seconds);
    if (1..SESSION_INTERVAL_MIN.as_secs()).contains(&seconds) {
        let least = SESSION_INTERVAL_MIN.as_secs();
        let what = format!(
            "session_interval = {seconds} is too short: {least} or more (RFC 4028), or 0 for none"
        );
        table.source.error(at, what);
        return default;
    }
    (seconds > 0).then_some(interval)
}

/// The hashes of a challenge, strongest first; those for sessions are taken but never offered.
fn digest(table: &mut Table<'_>) -> Option<Vec<Algorithm>> {
    let names = table.texts("digest");
    let mut chosen = Vec::new();
    for name in &names {
        let known = [Algorithm::Sha256, Algorithm::Md5].into_iter();
        match known.into_iter().find(|known| known.as_str() == name.value) {
            Some(algorithm) => chosen.push(algorithm),
            None => {
                let what = format!("digest = \"{}\" is not \"SHA-256\" or \"MD5\"", name.value);
                table.source.error(Some(name.at), what);
            }
        }
    }
    chosen.sort_by_key(|algorithm| std::cmp::Reverse(*algorithm));
    chosen.dedup();
    (!chosen.is_empty()).then_some(chosen)
}

fn http(mut table: Table<'_>, environment: &Environment<'_>) -> Http {
    let bind =
        table.parsed::<SocketAddr>("bind", "an address with a port, as in \"127.0.0.1:8080\"");
    let bound = bind.map_or(HTTP, |bind| bind.value);
    let open = !bound.ip().is_loopback();
    let name = table.text("token_env");
    let token = name.and_then(|name| match environment.secret(name.value) {
        Ok(token) => {
            if environment.is_real()
                && let Err(why) = check_token(name.value, &token, open)
            {
                table.source.error(Some(name.at), why);
            }
            Some(token)
        }
        Err(why) => {
            table
                .source
                .error(Some(name.at), format!("the API's token: {why}"));
            None
        }
    });
    if open && name.is_none() {
        let what = format!(
            "HTTP on {bound} is open to other machines and has no token; add token_env = \
             \"JACKFIELD_TOKEN\", or bind to 127.0.0.1"
        );
        table.source.error(bind.map(|bind| bind.at), what);
    }
    let vault_name = table.text("vault_token_env");
    let vault_token = vault_name.and_then(|name| match environment.secret(name.value) {
        Ok(secret) => {
            let same = token
                .as_ref()
                .is_some_and(|token| token.reveal() == secret.reveal());
            let why = match check_token(name.value, &secret, open) {
                // Who may look at calls is not to look at cards.
                Ok(()) if same => {
                    Some("the vault's token is that of the API; give it its own".to_owned())
                }
                Ok(()) => None,
                Err(why) => Some(why),
            };
            if let Some(why) = why.filter(|_| environment.is_real()) {
                table.source.error(Some(name.at), why);
            }
            Some(secret)
        }
        Err(why) => {
            let what = format!("the vault's token: {why}");
            table.source.error(Some(name.at), what);
            None
        }
    });
    let vault_keep = table
        .whole("vault_keep_s", 10..=3_600)
        .unwrap_or(VAULT_KEEP_S);
    let websocket = table.truth("websocket").unwrap_or(false);
    table.finish();
    Http {
        vault_token: vault_token.filter(|token| !token.reveal().is_empty()),
        vault_keep: Duration::from_secs(vault_keep),
        bind: bound,
        websocket,
        token: token.filter(|token| !token.reveal().is_empty()),
    }
}

fn check_token(name: &str, token: &Pii<String>, open: bool) -> Result<(), String> {
    let token = token.reveal();
    // RFC 6750 §2.1 allows fewer characters; these are what a header carries unchanged.
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "the token in {name} has characters that no header carries; use letters and digits"
        ));
    }
    if open && token.len() < limits::TOKEN_CHARS_MIN {
        let least = limits::TOKEN_CHARS_MIN;
        return Err(format!(
            "the token in {name} is too short for an open address; use {least} random characters \
             or more"
        ));
    }
    Ok(())
}

fn plugins(mut table: Table<'_>) -> Plugins {
    let dir = table
        .path("dir")
        .map_or_else(|| table.beside("plugins"), |dir| dir.value);
    let threads = table
        .whole("threads", 0..=limits::PLUGIN_THREADS_MAX)
        .unwrap_or(0);
    let runs_max = table.whole("runs_max", 1..=limits::RUNS_MAX);
    table.finish();
    let defaults = plugin::HostConfig::new(plugin::CacheKey::new([0; 32]));
    Plugins {
        dir,
        threads: match usize::try_from(threads) {
            Ok(threads) if threads > 0 => threads,
            // One core is left to the control and media threads.
            _ => std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1)),
        },
        runs_max: runs_max
            .and_then(|runs| u32::try_from(runs).ok())
            .unwrap_or(defaults.runs_max),
    }
}

/// Megabytes of speech on the disk: four hours of it.
const SPEECH_CACHE_MB: u64 = 256;

/// Milliseconds that a speech engine has, and may have: the command speaks within the second that is left
/// before a flow hears that there is no speech.
const SPEECH_TIMEOUT_MS: u64 = 2_500;
const SPEECH_TIMEOUT_MS_MAX: u64 = 4_000;

/// The engine that is asked first.
fn speech_engine(
    table: &mut Table<'_>,
    environment: &Environment<'_>,
) -> Option<crate::speech::RemoteSetup> {
    let url = table.text("url").filter(|url| {
        let kinds = ["http://", "https://", "ws://", "wss://"];
        let good = kinds.iter().any(|kind| url.value.starts_with(kind));
        if !good {
            let what = "url does not begin with http://, https://, ws:// or wss://";
            table.source.error(Some(url.at), what);
        }
        good
    });
    let key = table.text("key_env").and_then(|name| {
        let why = |why| {
            let what = format!("the speech engine's key: {why}");
            table.source.error(Some(name.at), what);
        };
        environment.secret(name.value).map_err(why).ok()
    });
    let body = table.text("body").and_then(|body| {
        let read: Result<serde_json::Value, _> = serde_json::from_str(body.value);
        let good = read.ok().filter(|body| body.to_string().contains("{text}"));
        if good.is_none() {
            let what = "body is not JSON with {text} in one of its texts";
            table.source.error(Some(body.at), what);
        }
        good
    });
    let timeout = table.whole("timeout_ms", 100..=SPEECH_TIMEOUT_MS_MAX);
    Some(crate::speech::RemoteSetup {
        url: url?.value.to_owned(),
        key: key.filter(|key| !key.reveal().is_empty()),
        body: body.unwrap_or_else(crate::speech::RemoteSetup::usual_body),
        timeout: Duration::from_millis(timeout.unwrap_or(SPEECH_TIMEOUT_MS)),
    })
}

fn speech(mut table: Table<'_>, environment: &Environment<'_>) -> Speech {
    let command = table.text("command").map(|command| command.value);
    let command = match command {
        // Without a slash it is looked for where the system looks for programs.
        Some(command) if command.contains('/') => table.beside(command),
        Some(command) => PathBuf::from(command),
        None => Path::new("espeak-ng").to_owned(),
    };
    let remote = speech_engine(&mut table, environment);
    let cache_mb = table
        .whole("cache_mb", 0..=1_000_000)
        .unwrap_or(SPEECH_CACHE_MB);
    let enabled = table.truth("enabled").unwrap_or(true);
    table.finish();
    Speech {
        command,
        remote,
        cache_bytes: cache_mb << 20,
        enabled,
    }
}

fn log(mut table: Table<'_>) -> Log {
    let json = table.truth("json").unwrap_or(false);
    let filter = table.text("filter");
    if let Some(filter) = filter
        && let Err(error) = tracing_subscriber::EnvFilter::try_new(filter.value)
    {
        let what = format!(
            "filter = {:?} is not a filter ({error}); write a level such as \"info\" or \"debug\"",
            filter.value
        );
        table.source.error(Some(filter.at), what);
    }
    table.finish();
    Log {
        json,
        filter: filter.map_or("info", |filter| filter.value).to_owned(),
    }
}
