//! How we show ourselves and our callers to a carrier.

use std::time::Duration;

use sip::locate::{Families, Target};
use sip::message::{Host, SipUri};
use sip::{Config, Transport};
use vocab::call::{Carrier, Login};
use vocab::{Party, Pii};

use crate::caller::Shown;
use crate::config::{ShownNumber, Tenant, Trunk};

/// Our addresses, for `Contact`.
#[derive(Debug)]
pub(crate) struct Contacts(Config);

impl Contacts {
    /// From the settings of signalling.
    pub(crate) fn new(config: &Config) -> Self {
        let (udp, tcp) = (config.udp, config.tcp);
        Self(Config {
            addresses: config.addresses.clone(),
            ..Config::new(udp, tcp, [0; 32])
        })
    }

    /// The families we have addresses of.
    pub(super) fn families(&self) -> Families {
        let more = self.0.addresses.iter().map(|(_, at)| *at);
        let all = more.chain([self.0.udp, self.0.tcp]);
        Families {
            ipv4: all.clone().any(|at| at.is_ipv4()),
            ipv6: all.clone().any(|at| at.is_ipv6()),
        }
    }
}

/// The carrier's domain: what it calls itself, or its address.
fn domain(trunk: &Trunk) -> String {
    trunk
        .domain
        .clone()
        .unwrap_or_else(|| trunk.address.to_string())
}

fn uri(user: &str, trunk: &Trunk) -> String {
    let host = trunk
        .domain
        .as_deref()
        .and_then(|host| Host::parse(host).ok());
    let port = trunk.address.port.filter(|_| host.is_none());
    let host = host.unwrap_or_else(|| trunk.address.host.clone());
    SipUri::new(Some(user), host, port).to_string()
}

fn credentials(trunk: &Trunk) -> Option<sip::Credentials> {
    trunk.login.as_ref().map(|login| sip::Credentials {
        user: login.user.clone(),
        password: login.password.clone(),
    })
}

/// Who we are to this carrier: its customer, if we are one, else just us.
fn ourselves(trunk: &Trunk) -> String {
    let user = trunk
        .registration
        .as_ref()
        .map_or("jackfield", |it| it.user.as_str());
    format!("<{}>", uri(user, trunk))
}

pub(super) fn options(id: sip::RequestId, trunk: &Trunk, at: Target) -> sip::Action {
    let target = format!("sip:{}", domain(trunk));
    sip::Action::Request {
        id,
        method: "OPTIONS".to_owned(),
        to: format!("<{target}>"),
        uri: target,
        hop: at.hop(),
        from: ourselves(trunk),
        headers: vec![("Accept".to_owned(), "application/sdp".to_owned())],
        credentials: credentials(trunk),
    }
}

pub(super) fn register(
    id: sip::RequestId,
    trunk: &Trunk,
    at: Target,
    contacts: &Contacts,
    expires: Duration,
) -> sip::Action {
    let user = trunk
        .registration
        .as_ref()
        .map_or("", |it| it.user.as_str());
    let contact = contacts.0.own(at.hop());
    let parameter = match at.transport {
        Transport::Udp => "",
        Transport::Tcp | Transport::Ws | Transport::Wss => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    let contact = SipUri::new(
        Some(user),
        Host::Address(contact.ip()),
        Some(contact.port()),
    );
    let aor = ourselves(trunk);
    sip::Action::Request {
        id,
        method: "REGISTER".to_owned(),
        uri: format!("sip:{}", domain(trunk)),
        hop: at.hop(),
        from: aor.clone(),
        to: aor,
        headers: vec![
            ("Contact".to_owned(), format!("<{contact}{parameter}>")),
            ("Expires".to_owned(), expires.as_secs().to_string()),
        ],
        credentials: credentials(trunk),
    }
}

/// Where a call by this trunk goes, and who we say is calling.
///
/// What is asserted (RFC 3325 §9.1) is between us and the carrier; a caller who hides is anonymous
/// in `From` and asks for privacy (RFC 3323 §4.1.1.3), and is asserted all the same.
pub(crate) fn call(
    tenant: &Tenant,
    (trunk, at): (&Trunk, Target),
    number: &str,
    caller: &Shown,
) -> vocab::call::Target {
    let plan = &tenant.numbers;
    let written = |number: &str| match plan.to_e164(number) {
        Some(number) => plan.write(&number, trunk.sends),
        None => number.to_owned(),
    };
    // UDP and TCP are said apart from the URI.
    let parameter = match at.transport {
        Transport::Udp | Transport::Tcp => "",
        Transport::Tls | Transport::Ws | Transport::Wss => ";transport=tls",
    };
    let target = Pii::new(uri(&written(number), trunk) + parameter);
    let own = match (&trunk.shows, &caller.party) {
        (ShownNumber::Own(number), _) => Some(written(number)),
        (ShownNumber::Caller, Party::E164(number)) => Some(written(number)),
        (ShownNumber::Caller, Party::Sip(address)) => {
            Some(written(address.split('@').next().unwrap_or_default()))
        }
        (ShownNumber::Caller, Party::Anonymous) => None,
    };
    let hidden = caller.to_phones() == Party::Anonymous;
    let mut headers = Vec::new();
    if trunk.asserts
        && let Some(number) = &own
    {
        let value = format!("<{}>", uri(number, trunk));
        headers.push(("P-Asserted-Identity".to_owned(), Pii::new(value)));
    }
    if hidden {
        headers.push(("Privacy".to_owned(), Pii::new("id".to_owned())));
    }
    let from = match own {
        Some(number) if !hidden => format!("<{}>", uri(&number, trunk)),
        Some(_) | None => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
    };
    let carrier = Carrier {
        from: Pii::new(from),
        headers,
        login: trunk.login.as_ref().map(|login| Login {
            user: login.user.clone(),
            password: login.password.clone(),
        }),
        codecs: trunk.codecs.clone(),
        secure_media: trunk.secure_media,
    };
    vocab::call::Target::Uri {
        uri: target,
        next_hop: at.address,
        tcp: at.transport == Transport::Tcp,
        carrier: Some(Box::new(carrier)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use expect_test::expect;

    use super::*;
    use crate::catalogue::Catalogue;
    use crate::config::{EarlyMedia, Park};
    use crate::number::NumberPlan;

    fn tenant() -> Tenant {
        Tenant {
            id: "demo".parse().expect("an id"),
            time_zone: "UTC".into(),
            language: "en".into(),
            phones: BTreeMap::new(),
            routes: BTreeMap::new(),
            trunks: Vec::new(),
            numbers: NumberPlan::default(),
            groups: BTreeMap::new(),
            park: Park::default(),
            early_media: EarlyMedia::default(),
            follow_redirects: false,
            consent: None,
            record_made: false,
            beep: None,
            catalogue: Catalogue::default(),
        }
    }

    /// What the carrier sees of the caller, in a line.
    fn seen(trunk: &Trunk, caller: &Shown) -> String {
        let at = Target {
            transport: Transport::Udp,
            address: SocketAddr::from(([192, 0, 2, 9], 5060)),
        };
        let target = call(&tenant(), (trunk, at), "+8621", caller);
        let vocab::call::Target::Uri {
            carrier: Some(carrier),
            ..
        } = target
        else {
            panic!("a carrier has a URI");
        };
        let mut line = carrier.from.into_inner();
        for (name, value) in carrier.headers {
            line += &format!(" | {name}: {}", value.into_inner());
        }
        line
    }

    #[test]
    fn a_carrier_is_told_who_calls_and_what_to_keep_to_itself() {
        let mut table = String::new();
        let callers = [
            ("known", Party::E164("+13015550100".into()), false),
            ("hides", Party::E164("+13015550100".into()), true),
            ("user", Party::Sip("1001".into()), false),
            ("user hides", Party::Sip("1001".into()), true),
            ("nobody", Party::Anonymous, false),
        ];
        for (shows, own) in [("caller", ""), ("own", "+862155500000")] {
            for asserts in [false, true] {
                let trunk = Trunk {
                    domain: Some("ims".to_owned()),
                    shows: match own {
                        "" => ShownNumber::Caller,
                        own => ShownNumber::Own(own.to_owned()),
                    },
                    asserts,
                    ..Trunk::default()
                };
                for (who, party, withheld) in callers.clone() {
                    let asserted = if asserts { ", asserted" } else { "" };
                    let line = seen(&trunk, &Shown { party, withheld });
                    table += &format!("{shows}{asserted}, {who}: {line}\n");
                }
            }
        }
        expect![[r#"
            caller, known: <sip:+13015550100@ims>
            caller, hides: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            caller, user: <sip:1001@ims>
            caller, user hides: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            caller, nobody: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            caller, asserted, known: <sip:+13015550100@ims> | P-Asserted-Identity: <sip:+13015550100@ims>
            caller, asserted, hides: "Anonymous" <sip:anonymous@anonymous.invalid> | P-Asserted-Identity: <sip:+13015550100@ims> | Privacy: id
            caller, asserted, user: <sip:1001@ims> | P-Asserted-Identity: <sip:1001@ims>
            caller, asserted, user hides: "Anonymous" <sip:anonymous@anonymous.invalid> | P-Asserted-Identity: <sip:1001@ims> | Privacy: id
            caller, asserted, nobody: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            own, known: <sip:+862155500000@ims>
            own, hides: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            own, user: <sip:+862155500000@ims>
            own, user hides: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            own, nobody: "Anonymous" <sip:anonymous@anonymous.invalid> | Privacy: id
            own, asserted, known: <sip:+862155500000@ims> | P-Asserted-Identity: <sip:+862155500000@ims>
            own, asserted, hides: "Anonymous" <sip:anonymous@anonymous.invalid> | P-Asserted-Identity: <sip:+862155500000@ims> | Privacy: id
            own, asserted, user: <sip:+862155500000@ims> | P-Asserted-Identity: <sip:+862155500000@ims>
            own, asserted, user hides: "Anonymous" <sip:anonymous@anonymous.invalid> | P-Asserted-Identity: <sip:+862155500000@ims> | Privacy: id
            own, asserted, nobody: "Anonymous" <sip:anonymous@anonymous.invalid> | P-Asserted-Identity: <sip:+862155500000@ims> | Privacy: id
        "#]].assert_eq(&table);
    }
}
