//! Asks DNS servers what the machines want to know; what it means is theirs to say.

// Tasks and a runtime of its own are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use sip::limits::{LOOKUP_WAIT, LOOKUPS_MAX};
use sip::locate::{
    Answer, Config, Families, Input, Kind, LocateId, Locator, LookupId, Naptr, NoAnswer, Output,
    Place, Question, Record, Srv, Target,
};
use tokio::sync::Semaphore;
use vocab::Rng;

use crate::clock::Clock;
use crate::config::Dns;
use crate::control::{Handle, Message};

/// How often a server is asked again that did not answer.
const RETRIES: usize = 1;

/// DNS servers.
#[derive(Clone)]
pub(crate) struct Servers {
    resolver: TokioResolver,
}

impl Servers {
    /// Those of the settings, or else the system's.
    ///
    /// # Errors
    /// The system names none, or not in a way that is understood.
    pub(crate) fn new(dns: &Dns) -> anyhow::Result<Self> {
        let provider = TokioRuntimeProvider::default;
        let mut builder = if dns.servers.is_empty() {
            let system = TokioResolver::builder(provider());
            system.context("reading the system's DNS servers in /etc/resolv.conf")?
        } else {
            let servers = dns.servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, provider())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        // The locator keeps answers, and knows for how long.
        options.cache_size = 0;
        options.timeout = dns.timeout;
        options.attempts = RETRIES;
        options.try_tcp_on_error = true;
        let resolver = builder.build().context("setting up DNS")?;
        Ok(Self { resolver })
    }

    /// Asks one question.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Answer, NoAnswer> {
        let kind = match question.kind {
            Kind::Naptr => RecordType::NAPTR,
            Kind::Srv => RecordType::SRV,
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
        };
        let mut name = Name::from_ascii(&question.name).map_err(|_| NoAnswer)?;
        // A name alone, such as `pbx`, may be one of this network's; others are whole.
        name.set_fqdn(question.name.contains('.'));
        let lookup = tokio::time::timeout(LOOKUP_WAIT, self.resolver.lookup(name, kind)).await;
        match lookup {
            Ok(Ok(lookup)) => {
                let ttl = lookup.answers().iter().map(|record| record.ttl).min();
                let records = lookup.answers().iter();
                Ok(Answer {
                    records: records.filter_map(|it| record(&it.data)).collect(),
                    ttl: ttl.map(|seconds| std::time::Duration::from_secs(seconds.into())),
                })
            }
            Ok(Err(error)) => negative(&error).inspect_err(|_| {
                tracing::debug!(%question, %error, "no answer of a DNS server");
            }),
            Err(_elapsed) => {
                tracing::debug!(%question, "no answer of a DNS server in time");
                Err(NoAnswer)
            }
        }
    }
}

fn server(at: &SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = at.port();
        connection
    });
    NameServerConfig::new(at.ip(), true, connections.into())
}

fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // The library may learn of more kinds; aliases it has followed itself.
    #[allow(clippy::wildcard_enum_match_arm)]
    match data {
        RData::A(ip) => Some(Record::Address(ip.0.into())),
        RData::AAAA(ip) => Some(Record::Address(ip.0.into())),
        RData::SRV(srv) => Some(Record::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii(),
        })),
        RData::NAPTR(naptr) => Some(Record::Naptr(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            service: text(&naptr.services),
            regexp: text(&naptr.regexp),
            replacement: naptr.replacement.to_ascii(),
        })),
        _ => None,
    }
}

/// An answer that there is nothing is an answer.
fn negative(error: &NetError) -> Result<Answer, NoAnswer> {
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error
        && matches!(
            none.response_code,
            ResponseCode::NoError | ResponseCode::NXDomain
        )
    {
        let ttl = none.negative_ttl.map(u64::from);
        return Ok(Answer {
            records: Vec::new(),
            ttl: ttl.map(std::time::Duration::from_secs),
        });
    }
    Err(NoAnswer)
}

/// Answers the control thread's questions.
#[derive(Clone)]
pub(crate) struct Asker {
    /// `None`: nobody to ask.
    servers: Option<Servers>,
    control: Handle,
    runtime: tokio::runtime::Handle,
    places: Arc<Semaphore>,
}

impl Asker {
    pub(crate) fn new(
        servers: Option<Servers>,
        control: Handle,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self {
            servers,
            control,
            runtime,
            places: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// Asks one question. Answered on the control thread.
    pub(crate) fn ask(&self, id: LookupId, question: Question) {
        let asker = self.clone();
        self.runtime.spawn(async move {
            // The locator asks no more at a time, unless it gave some up.
            let answer = match (&asker.servers, asker.places.try_acquire()) {
                (Some(servers), Ok(_place)) => servers.ask(&question).await,
                (None, _) | (_, Err(_)) => Err(NoAnswer),
            };
            asker.control.send(Message::LookedUp { id, answer });
        });
    }
}

/// Finds a place and waits for it: IPv4 first, which works nearly everywhere.
///
/// # Errors
/// In one line.
pub(crate) fn find(place: &Place, dns: &Dns, clock: Clock) -> anyhow::Result<Vec<Target>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let mut servers = None;
    let mut why = None;
    for ipv4 in [true, false] {
        let families = Families { ipv4, ipv6: !ipv4 };
        let config = Config {
            families,
            ..Config::default()
        };
        let mut locator = Locator::new(config, Rng::from_u64(clock.now().mono.0));
        let id = LocateId(1);
        let place = place.clone();
        locator.handle(clock.now().mono, Input::Locate { id, place });
        let mut asked = std::collections::VecDeque::new();
        loop {
            while let Some(output) = locator.poll() {
                match output {
                    Output::Lookup { id, question } => asked.push_back((id, question)),
                    Output::Located { result, .. } => match result {
                        Ok(located) => return Ok(located.targets),
                        Err(nothing) => why = why.or(Some(nothing.why())),
                    },
                }
            }
            let Some((id, question)) = asked.pop_front() else {
                break;
            };
            if servers.is_none() {
                let _inside = runtime.enter();
                servers = Some(Servers::new(dns)?);
            }
            let servers = servers.as_ref().expect("just made");
            let answer = runtime.block_on(servers.ask(&question));
            locator.handle(clock.now().mono, Input::Answer { id, answer });
        }
    }
    Err(anyhow!("{}", why.unwrap_or("it is nowhere")))
}
