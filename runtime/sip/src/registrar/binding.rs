//! One contact as it is kept.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use vocab::{Mono, Now, Wall};

use crate::border::{Contact, Hop};
use crate::limits::{CONTACT_BYTES_MAX, USER_AGENT_BYTES_MAX};
use crate::message::{Contacts, NameAddr, Uri};

/// See the module's documentation.
pub(super) struct Binding {
    pub(super) uri: Uri,
    pub(super) hop: Hop,
    pub(super) registered_at: Mono,
    pub(super) expires_at: Mono,
    expires: Wall,
    call_id: Arc<str>,
    cseq: u32,
    pub(super) q_thousandths: u16,
    pub(super) instance: Option<Box<str>>,
    reg_id: Option<u32>,
    path: Box<[Box<str>]>,
    user_agent: Box<str>,
}

/// One REGISTER, as far as the registrar cares.
#[derive(Clone, Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) user: &'a str,
    pub(crate) contacts: &'a Contacts,
    /// The `Expires` header.
    pub(crate) expires: Option<Duration>,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// Where it came from: where requests for its contacts go.
    pub(crate) hop: Hop,
    /// `Path` values.
    pub(crate) path: &'a [&'a str],
    pub(crate) user_agent: &'a str,
    /// Device and flow make the binding, not the URI (RFC 5626 §6).
    pub(crate) outbound: bool,
    /// How long its sender may be registered at most, where that is less than others may.
    pub(crate) longest: Option<Duration>,
}

/// The device of a contact and which of its flows this is, as far as they can be used: without a
/// device a flow's number means nothing (RFC 5626 §6).
pub(crate) fn device_of(contact: &NameAddr) -> (Option<String>, Option<u32>) {
    let instance = contact
        .params
        .unquoted("+sip.instance")
        .and_then(|value| {
            let urn = value.strip_prefix('<')?.strip_suffix('>')?;
            Some(urn.to_owned())
        })
        .filter(|urn| urn.len() <= CONTACT_BYTES_MAX && urn.bytes().all(is_urn_byte));
    let reg_id = contact.params.value("reg-id");
    let reg_id = reg_id.and_then(|digits| digits.parse().ok());
    let reg_id = reg_id.filter(|number| *number > 0 && instance.is_some());
    (instance, reg_id)
}

/// Characters of a URN that stand in a URI's parameter as they are (RFC 3261 §25.1, `pvalue`).
fn is_urn_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'():+$/%".contains(&byte)
}

impl Registration<'_> {
    pub(super) fn is_newer_than(&self, binding: &Binding) -> bool {
        *binding.call_id != *self.call_id || binding.cseq < self.cseq
    }

    /// A contact of this takes the place of a binding.
    pub(super) fn replaces(&self, contact: &NameAddr, binding: &Binding) -> bool {
        if self.outbound
            && let (Some(instance), Some(reg_id)) = device_of(contact)
            && binding.reg_id.is_some()
        {
            return binding.instance.as_deref() == Some(&*instance)
                && binding.reg_id == Some(reg_id);
        }
        binding.uri.matches(&contact.uri)
    }

    pub(super) fn binding(&self, now: Now, contact: &NameAddr, lifetime: Duration) -> Binding {
        let (instance, reg_id) = device_of(contact);
        let mut end = self.user_agent.len().min(USER_AGENT_BYTES_MAX);
        while !self.user_agent.is_char_boundary(end) {
            end -= 1;
        }
        Binding {
            uri: contact.uri.clone(),
            hop: self.hop,
            registered_at: now.mono,
            expires_at: now.mono + lifetime,
            expires: now.wall + lifetime,
            call_id: self.call_id.into(),
            cseq: self.cseq,
            q_thousandths: contact.q_thousandths(),
            instance: instance.map(Into::into),
            reg_id: reg_id.filter(|_| self.outbound),
            path: self.path.iter().map(|&value| value.into()).collect(),
            user_agent: self.user_agent[..end].into(),
        }
    }
}

impl Binding {
    pub(super) fn contact(&self) -> Contact {
        Contact {
            uri: self.uri.to_string(),
            hop: self.hop,
            path: self.path.iter().map(|value| (**value).to_owned()).collect(),
            q_thousandths: self.q_thousandths,
            instance: self.instance.as_deref().map(str::to_owned),
            reg_id: self.reg_id,
            user_agent: (*self.user_agent).to_owned(),
            expires: self.expires,
        }
    }

    /// Its value in a 200.
    pub(super) fn listed(&self, now: Now, aor: Option<&str>) -> String {
        let left = self.expires_at.since(now.mono).as_secs();
        let mut text = format!("<{}>;expires={left}", self.uri);
        if let Some(instance) = &self.instance {
            let _ = write!(text, ";+sip.instance=\"<{instance}>\"");
            if let Some(reg_id) = self.reg_id {
                let _ = write!(text, ";reg-id={reg_id}");
            }
            if let Some(aor) = aor {
                let _ = write!(text, ";pub-gruu=\"{aor};gr={instance}\"");
            }
        }
        text
    }
}
