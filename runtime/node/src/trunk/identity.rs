//! How we show ourselves and our callers to a carrier.

use std::time::Duration;

use sip::message::{Host, SipUri};
use vocab::call::{Carrier, Login};
use vocab::{Party, Pii};

use super::Contacts;
use crate::config::{ShownNumber, Tenant, Trunk};

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
    let port = host.is_none().then(|| trunk.address.port());
    let host = host.unwrap_or(Host::Address(trunk.address.ip()));
    SipUri::new(Some(user), host, port).to_string()
}

fn hop(trunk: &Trunk) -> sip::Hop {
    let transport = if trunk.tls {
        sip::Transport::Tls
    } else if trunk.tcp {
        sip::Transport::Tcp
    } else {
        sip::Transport::Udp
    };
    sip::Hop {
        transport,
        remote: trunk.address,
        conn: None,
    }
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

pub(super) fn options(id: sip::RequestId, trunk: &Trunk) -> sip::Action {
    let target = format!("sip:{}", domain(trunk));
    sip::Action::Request {
        id,
        method: "OPTIONS".to_owned(),
        to: format!("<{target}>"),
        uri: target,
        hop: hop(trunk),
        from: ourselves(trunk),
        headers: vec![("Accept".to_owned(), "application/sdp".to_owned())],
        credentials: credentials(trunk),
    }
}

pub(super) fn register(
    id: sip::RequestId,
    trunk: &Trunk,
    contacts: Contacts,
    expires: Duration,
) -> sip::Action {
    let user = trunk
        .registration
        .as_ref()
        .map_or("", |it| it.user.as_str());
    let (contact, parameter) = if trunk.tls {
        (contacts.tls, ";transport=tls")
    } else if trunk.tcp {
        (contacts.tcp, ";transport=tcp")
    } else {
        (contacts.udp, "")
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
        hop: hop(trunk),
        from: aor.clone(),
        to: aor,
        headers: vec![
            ("Contact".to_owned(), format!("<{contact}{parameter}>")),
            ("Expires".to_owned(), expires.as_secs().to_string()),
        ],
        credentials: credentials(trunk),
    }
}

/// The request URI of a call by this trunk, and who we say is calling.
///
/// What is asserted (RFC 3325 §9.1) is between us and the carrier; a caller who hides is anonymous
/// in `From` and asks for privacy (RFC 3323 §4.1.1.3), and is asserted all the same.
pub(crate) fn call(
    tenant: &Tenant,
    trunk: &Trunk,
    number: &str,
    caller: &Party,
) -> (Pii<String>, Carrier) {
    let plan = &tenant.numbers;
    let written = |number: &str| match plan.to_e164(number) {
        Some(number) => plan.write(&number, trunk.sends),
        None => number.to_owned(),
    };
    let parameter = if trunk.tls { ";transport=tls" } else { "" };
    let target = Pii::new(uri(&written(number), trunk) + parameter);
    let own = match (&trunk.shows, caller) {
        (ShownNumber::Own(number), _) => Some(written(number)),
        (ShownNumber::Caller, Party::E164(number)) => Some(written(number)),
        (ShownNumber::Caller, Party::Sip(address)) => {
            Some(written(address.split('@').next().unwrap_or_default()))
        }
        (ShownNumber::Caller, Party::Anonymous) => None,
    };
    let hidden = *caller == Party::Anonymous;
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
    };
    (target, carrier)
}
