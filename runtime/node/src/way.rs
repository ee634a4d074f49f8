//! Where somebody is reached, and whether the rules of the tenant allow it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vocab::flow::{DialTarget, FlowError};
use vocab::{CallId, Mono, Pii};

use crate::config::{Callee, Group, Route, Tenant};
use crate::control::{ControlError, Destination};
use crate::limits::{CALLEES_MAX, RING_MAX};
use crate::node::Node;
use crate::trunk::{NoTrunk, Try};

/// Where somebody is reached.
#[derive(Debug)]
pub(crate) enum Way {
    /// Wherever this user's phones are registered.
    Phone(String),
    /// One device of a user, by the parameter `gr` of its GRUU.
    Device { user: String, gr: String },
    /// By one of these, the best first.
    Trunks { number: String, best: Vec<Try> },
}

impl Way {
    /// The user or the number.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Phone(user) | Self::Device { user, .. } => user,
            Self::Trunks { number, .. } => number,
        }
    }
}

/// Where a target is reached: one, or several of whom the first that answers is wanted.
#[derive(Debug)]
pub(crate) enum Ways {
    One(Way),
    Several(Rounds),
}

/// Who is rung after whom.
#[derive(Debug)]
pub(crate) struct Rounds {
    /// All of a round ring at the same time.
    pub(crate) rounds: VecDeque<Vec<Callee>>,
    /// How long each is rung before it is the next one's turn.
    pub(crate) lasting: Duration,
    /// How long they are rung in all, if whoever asked has said so.
    pub(crate) timeout: Option<Duration>,
}

impl Ways {
    /// How long it is rung by request; `usual` is for one, or for all at once.
    pub(crate) fn timeout(&self, usual: Duration) -> Duration {
        let Self::Several(several) = self else {
            return usual;
        };
        let turns = u32::try_from(several.rounds.len()).unwrap_or(u32::MAX);
        let timeout = several.timeout.unwrap_or(if turns > 1 {
            several.lasting.saturating_mul(turns)
        } else {
            usual
        });
        timeout.clamp(Duration::from_secs(1), RING_MAX)
    }
}

/// Where a call is sent: to somebody, or to a route's plugin.
#[derive(Debug)]
pub(crate) enum Where {
    Person(Ways),
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
    NotRung,
    TooMany,
}

impl NoWay {
    fn text(self) -> &'static str {
        match self {
            Self::NotRegistered => "the phone is not registered",
            Self::NobodyThere => "nobody who is to ring can be reached: no phone is registered",
            Self::NotRung => "a route's flow cannot be rung along with others: name it alone",
            Self::TooMany => "name 1 to 32 phones and numbers, those of ring groups counted",
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
            NoWay::NotANumber | NoWay::NotRung | NoWay::TooMany => Self::Invalid(text),
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
            NoWay::NotANumber | NoWay::NotRung | NoWay::TooMany => Self::Invalid(text),
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
    ) -> Result<Ways, FlowError> {
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
                Ok(self.way_inside(now, &tenant, address)?)
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
                    (Ok(Ways::One(Way::Phone(_)) | Ways::Several(_)), _)
                    | (Err(NoWay::NotRegistered), _)
                    | (_, None) => person,
                    (_, Some(route)) => return Ok(Where::Route(Arc::clone(route))),
                }
            }
            Destination::Phone(user) if tenant.phones.contains_key(user) => {
                self.phone(user).map(Ways::One)
            }
            Destination::Phone(_) => Err(NoWay::UnknownPhone),
            Destination::Group(name) => match tenant.groups.get(name) {
                Some(group) => self.group(now, tenant, group),
                None => Err(NoWay::UnknownGroup),
            },
            Destination::Route(number) => match tenant.routes.get(number) {
                Some(route) => return Ok(Where::Route(Arc::clone(route))),
                None => Err(NoWay::UnknownRoute),
            },
            Destination::Number(number) => {
                self.outside(now, tenant, number.reveal()).map(Ways::One)
            }
            Destination::Several {
                targets,
                in_order,
                each,
                timeout,
            } => match rounds(tenant, targets, *in_order) {
                Ok(rounds) => {
                    let rounds = Rounds {
                        rounds,
                        lasting: *each,
                        timeout: *timeout,
                    };
                    self.asked_for(now, tenant, rounds)
                }
                Err(why) => Err(why),
            },
        };
        person.map(Where::Person)
    }

    /// A phone, a ring group or a number, by what is dialled for it.
    fn way_of(&mut self, now: Mono, tenant: &Arc<Tenant>, address: &str) -> Result<Ways, NoWay> {
        match self.way_inside(now, tenant, address) {
            Err(NoWay::Unproven | NoWay::UnknownPhone) => {
                self.outside(now, tenant, plain(address).0).map(Ways::One)
            }
            found => found,
        }
    }

    /// A phone or a ring group of the house. Whoever comes by a trunk may not go out by one: calls
    /// that others pay for are what such a caller is after.
    fn way_inside(
        &mut self,
        now: Mono,
        tenant: &Arc<Tenant>,
        address: &str,
    ) -> Result<Ways, NoWay> {
        let (user, host) = plain(address);
        if host.is_some() {
            return Err(NoWay::Outside);
        }
        if tenant.phones.contains_key(user) {
            return self.phone(user).map(Ways::One);
        }
        match tenant.groups.get(user) {
            Some(group) => self.group(now, tenant, group),
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

    fn group(&mut self, now: Mono, tenant: &Arc<Tenant>, group: &Group) -> Result<Ways, NoWay> {
        let rounds = Rounds {
            rounds: turns(&group.members, group.in_order).into(),
            lasting: group.ring,
            timeout: None,
        };
        self.several(now, tenant, rounds)
    }

    /// Those whom a request names. A number that no trunk allows is a mistake in it.
    fn asked_for(
        &mut self,
        now: Mono,
        tenant: &Arc<Tenant>,
        rounds: Rounds,
    ) -> Result<Ways, NoWay> {
        for callee in rounds.rounds.iter().flatten() {
            if let Err(why @ (NoWay::Forbidden | NoWay::NotANumber)) =
                self.reach(now, tenant, callee)
            {
                return Err(why);
            }
        }
        self.several(now, tenant, rounds)
    }

    /// Several, if one of them can be reached now.
    fn several(&mut self, now: Mono, tenant: &Arc<Tenant>, rounds: Rounds) -> Result<Ways, NoWay> {
        let mut why = None;
        for callee in rounds.rounds.iter().flatten() {
            match self.reach(now, tenant, callee) {
                Ok(_) => return Ok(Ways::Several(rounds)),
                // What is wrong with a number says more than that nobody is there.
                Err(NoWay::NotRegistered) => {}
                Err(other) => why = why.or(Some(other)),
            }
        }
        Err(why.unwrap_or(NoWay::NobodyThere))
    }

    /// Where one of several is reached now.
    pub(crate) fn reach(
        &mut self,
        now: Mono,
        tenant: &Arc<Tenant>,
        callee: &Callee,
    ) -> Result<Way, NoWay> {
        match callee {
            Callee::Phone(user) => self.phone(user),
            Callee::Number(number) => self.outside(now, tenant, number.reveal()),
        }
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

/// The turns of those who are rung together or after each other.
fn turns(members: &[Callee], in_order: bool) -> Vec<Vec<Callee>> {
    if in_order {
        members.iter().map(|callee| vec![callee.clone()]).collect()
    } else {
        vec![members.to_vec()]
    }
}

/// Who is rung when, of targets that a request names.
fn rounds(
    tenant: &Tenant,
    targets: &[Destination],
    in_order: bool,
) -> Result<VecDeque<Vec<Callee>>, NoWay> {
    let mut rounds: Vec<Vec<Callee>> = Vec::new();
    for target in targets {
        rounds.extend(callees(tenant, target)?);
    }
    let mut seen = BTreeSet::new();
    for round in &mut rounds {
        round.retain(|callee| seen.insert(callee.clone()));
    }
    if !(1..=CALLEES_MAX).contains(&seen.len()) {
        return Err(NoWay::TooMany);
    }
    if !in_order {
        rounds = vec![rounds.into_iter().flatten().collect()];
    }
    rounds.retain(|round| !round.is_empty());
    Ok(rounds.into())
}

/// One of several targets: whom it means, and in which turns.
fn callees(tenant: &Tenant, target: &Destination) -> Result<Vec<Vec<Callee>>, NoWay> {
    let group = |name: &str| {
        let group = tenant.groups.get(name).ok_or(NoWay::UnknownGroup)?;
        Ok(turns(&group.members, group.in_order))
    };
    let number = |written: &str| {
        let number = tenant.numbers.to_e164(written);
        let number = number.unwrap_or_else(|| written.to_owned());
        if !is_number(&number) {
            return Err(NoWay::NotANumber);
        }
        Ok(vec![vec![Callee::Number(Pii::new(number))]])
    };
    match target {
        Destination::Phone(user) if tenant.phones.contains_key(user) => {
            Ok(vec![vec![Callee::Phone(user.clone())]])
        }
        Destination::Phone(_) => Err(NoWay::UnknownPhone),
        Destination::Group(name) => group(name),
        Destination::Number(written) => number(written.reveal()),
        Destination::Dialled(address) => {
            let (user, host) = plain(address.reveal());
            if host.is_some() {
                Err(NoWay::Outside)
            } else if tenant.phones.contains_key(user) {
                Ok(vec![vec![Callee::Phone(user.to_owned())]])
            } else if tenant.groups.contains_key(user) {
                group(user)
            } else if tenant.routes.contains_key(user) {
                Err(NoWay::NotRung)
            } else {
                number(user)
            }
        }
        Destination::Route(_) | Destination::Several { .. } => Err(NoWay::NotRung),
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
