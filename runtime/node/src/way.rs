//! Where somebody is reached, and whether the rules of the tenant allow it.

use std::sync::Arc;

use vocab::call::RingGroup;
use vocab::flow::{DialTarget, FlowError};
use vocab::{CallId, Mono};

use crate::config::{Group, Route, Tenant};
use crate::control::{ControlError, Destination};
use crate::node::Node;
use crate::trunk::{NoTrunk, Try};

/// Where a target is reached.
#[derive(Debug)]
pub(crate) enum Way {
    /// Wherever this user's phones are registered.
    Phone(String),
    /// One device of a user, by the parameter `gr` of its GRUU.
    Device { user: String, gr: String },
    /// The registered users of a ring group, as they are rung.
    Group { name: String, rings: Vec<RingGroup> },
    /// By one of these, the best first.
    Trunks { number: String, best: Vec<Try> },
}

/// Where a call is sent: to somebody, or to a route's plugin.
#[derive(Debug)]
pub(crate) enum Where {
    Person(Way),
    Route(Arc<Route>),
}

/// Why there is no way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoWay {
    NotRegistered,
    NobodyThere,
    UnknownPhone,
    UnknownGroup,
    UnknownRoute,
    Outside,
    NotANumber,
    Full,
    Unresolved,
    Resting,
    Forbidden,
    Unproven,
}

impl NoWay {
    fn text(self) -> &'static str {
        match self {
            Self::NotRegistered => "the phone is not registered",
            Self::NobodyThere => "no phone of the ring group is registered",
            Self::UnknownPhone => "no such phone in this tenant",
            Self::UnknownGroup => "no such ring group in this tenant",
            Self::UnknownRoute => "no such route in this tenant",
            Self::Outside => "addresses outside are not dialled: use a number and a trunk",
            Self::NotANumber => "not a number: digits with an optional +",
            Self::Full => "all lines of the trunks to this destination are in use",
            Self::Unresolved => "the names of the trunks to this destination have no address now",
            Self::Resting => "the trunks to this destination take no calls for now",
            Self::Forbidden => {
                "no trunk of this tenant allows this destination: add its prefix to one"
            }
            Self::Unproven => {
                "a caller from a trunk reaches phones and ring groups of the tenant: numbers \
                 outside are for callers with credentials"
            }
        }
    }
}

impl From<NoWay> for FlowError {
    fn from(why: NoWay) -> Self {
        let text = why.text().to_owned();
        match why {
            NoWay::NotRegistered | NoWay::NobodyThere | NoWay::Unresolved | NoWay::Resting => {
                Self::Unavailable(text)
            }
            NoWay::UnknownPhone | NoWay::UnknownGroup | NoWay::UnknownRoute => Self::NotFound(text),
            NoWay::Outside | NoWay::Forbidden | NoWay::Unproven => Self::Denied(text),
            NoWay::NotANumber => Self::Invalid(text),
            NoWay::Full => Self::Limit(text),
        }
    }
}

impl From<NoWay> for ControlError {
    fn from(why: NoWay) -> Self {
        let text = why.text();
        match why {
            NoWay::NotRegistered | NoWay::NobodyThere | NoWay::Unresolved | NoWay::Resting => {
                Self::Unavailable(text)
            }
            NoWay::UnknownPhone | NoWay::UnknownGroup | NoWay::UnknownRoute => Self::NotFound(text),
            NoWay::Outside | NoWay::Forbidden | NoWay::Unproven => Self::Denied(text),
            NoWay::NotANumber => Self::Invalid(text),
            NoWay::Full => Self::Limit(text),
        }
    }
}

impl Node {
    /// Where a flow's target is reached, if this caller may reach it.
    pub(crate) fn way_to(
        &mut self,
        now: Mono,
        id: CallId,
        target: &DialTarget,
    ) -> Result<Way, FlowError> {
        let call = &self.calls[&id];
        let proven = call.flow_user().is_some();
        if !proven && !self.trunks.carries(call.leg) {
            let why =
                "the caller is not authenticated: only registered phones may cause a call out";
            return Err(FlowError::Denied(why.to_owned()));
        }
        let tenant = Arc::clone(&call.tenant);
        match target {
            DialTarget::Agent(_) => Err(FlowError::Unsupported(
                "this version has no agents".to_owned(),
            )),
            DialTarget::Queue(_) => Err(FlowError::Unsupported(
                "this version has no queues".to_owned(),
            )),
            DialTarget::E164(address) | DialTarget::Sip(address) if proven => {
                Ok(self.way_of(now, &tenant, address)?)
            }
            DialTarget::E164(address) | DialTarget::Sip(address) => {
                Ok(self.way_inside(&tenant, address)?)
            }
        }
    }

    /// Where a call can be sent by request.
    pub(crate) fn find(
        &mut self,
        now: Mono,
        tenant: &Arc<Tenant>,
        to: &Destination,
    ) -> Result<Where, NoWay> {
        let person = match to {
            Destination::Dialled(address) => {
                let address = address.reveal();
                let person = self.way_of(now, tenant, address);
                let route = tenant.routes.get(plain(address).0);
                // Numbers outside may look like routes; what is in the house is nearer.
                match (&person, route) {
                    (Ok(Way::Phone(_) | Way::Group { .. }) | Err(NoWay::NotRegistered), _)
                    | (_, None) => person,
                    (_, Some(route)) => return Ok(Where::Route(Arc::clone(route))),
                }
            }
            Destination::Phone(user) if tenant.phones.contains_key(user) => self.phone(user),
            Destination::Phone(_) => Err(NoWay::UnknownPhone),
            Destination::Group(name) => match tenant.groups.get(name) {
                Some(group) => self.group(name, group),
                None => Err(NoWay::UnknownGroup),
            },
            Destination::Route(number) => match tenant.routes.get(number) {
                Some(route) => return Ok(Where::Route(Arc::clone(route))),
                None => Err(NoWay::UnknownRoute),
            },
            Destination::Number(number) => self.outside(now, tenant, number.reveal()),
        };
        person.map(Where::Person)
    }

    /// A phone, a ring group or a number, by what is dialled for it.
    fn way_of(&mut self, now: Mono, tenant: &Arc<Tenant>, address: &str) -> Result<Way, NoWay> {
        match self.way_inside(tenant, address) {
            Err(NoWay::Unproven | NoWay::UnknownPhone) => {
                self.outside(now, tenant, plain(address).0)
            }
            found => found,
        }
    }

    /// A phone or a ring group of the house. Whoever comes by a trunk may not go out by one: calls
    /// that others pay for are what such a caller is after.
    fn way_inside(&self, tenant: &Tenant, address: &str) -> Result<Way, NoWay> {
        let (user, host) = plain(address);
        if host.is_some() {
            return Err(NoWay::Outside);
        }
        if tenant.phones.contains_key(user) {
            return self.phone(user);
        }
        match tenant.groups.get(user) {
            Some(group) => self.group(user, group),
            None if is_number(user) => Err(NoWay::Unproven),
            None => Err(NoWay::UnknownPhone),
        }
    }

    fn phone(&self, user: &str) -> Result<Way, NoWay> {
        if self.registered(user) {
            Ok(Way::Phone(user.to_owned()))
        } else {
            Err(NoWay::NotRegistered)
        }
    }

    fn group(&self, name: &str, group: &Group) -> Result<Way, NoWay> {
        let there: Vec<String> = group
            .members
            .iter()
            .filter(|user| self.registered(user))
            .cloned()
            .collect();
        if there.is_empty() {
            return Err(NoWay::NobodyThere);
        }
        let rounds: Vec<Vec<String>> = if group.in_order {
            there.into_iter().map(|user| vec![user]).collect()
        } else {
            vec![there]
        };
        let lasting = group.ring;
        let rings = rounds
            .into_iter()
            .map(|users| RingGroup { users, lasting })
            .collect();
        let name = name.to_owned();
        Ok(Way::Group { name, rings })
    }

    fn outside(&mut self, now: Mono, tenant: &Arc<Tenant>, written: &str) -> Result<Way, NoWay> {
        let number = tenant.numbers.to_e164(written);
        let number = number.unwrap_or_else(|| written.to_owned());
        if !is_number(&number) {
            return Err(NoWay::NotANumber);
        }
        match self.trunks.candidates(now, &tenant.id, &number) {
            Ok(best) => Ok(Way::Trunks { number, best }),
            Err(NoTrunk::Full) => Err(NoWay::Full),
            Err(NoTrunk::Unresolved) => Err(NoWay::Unresolved),
            Err(NoTrunk::Resting) => Err(NoWay::Resting),
            Err(NoTrunk::Forbidden) => Err(NoWay::Forbidden),
        }
    }
}

/// Whether it could be dialled outside.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The user and the host of an address with or without scheme.
fn plain(address: &str) -> (&str, Option<&str>) {
    let address = address.strip_prefix("sip:").unwrap_or(address);
    match address.split_once('@') {
        Some((user, host)) => (user, Some(host)),
        None => (address, None),
    }
}
