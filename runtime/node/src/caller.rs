//! Who calls, and whom that is shown to.
//!
//! | who | what it says of itself | what counts |
//! |---|---|---|
//! | a phone of ours | its credentials | the user; what it asserts is not read |
//! | a carrier | `From`, and `P-Asserted-Identity` where `From` names no number | the number |
//! | anybody else | `From` | `From`, as claimed |
//!
//! Whoever asks not to be shown (RFC 3323, RFC 3325) is anonymous to phones, flows and other
//! carriers; the record keeps what is known. Only where one of our phones calls out, a carrier that
//! is told who calls is told this too, with the wish to keep it to itself.

use vocab::Party;

use crate::number::NumberPlan;

/// Whom a called party sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    pub(crate) party: Party,
    /// It asks not to be shown.
    pub(crate) withheld: bool,
}

impl Shown {
    /// Somebody who does not hide.
    pub(crate) fn plainly(party: Party) -> Self {
        Self {
            party,
            withheld: false,
        }
    }

    /// What is shown to whoever does not have to know.
    pub(crate) fn to_phones(&self) -> Party {
        if self.withheld {
            Party::Anonymous
        } else {
            self.party.clone()
        }
    }
}

/// Who calls by a carrier. Carriers write numbers in forms of their own, and put the number that
/// they vouch for where others do not see it (RFC 3325 §6).
pub(crate) fn by_carrier(numbers: &NumberPlan, from: Party, asserted: Option<Party>) -> Party {
    let number = |party: &Party| match party {
        Party::E164(number) => Some(number.clone()),
        Party::Sip(address) => numbers.to_e164(user(address)),
        Party::Anonymous => None,
    };
    // A short number, such as that of a bank, is one too.
    let asserted = asserted.filter(|_| !is_number(&from));
    let known = number(&from).or_else(|| asserted.as_ref().and_then(number));
    known.map_or(from, Party::E164)
}

fn is_number(party: &Party) -> bool {
    match party {
        Party::E164(_) => true,
        Party::Sip(address) => {
            let user = user(address);
            !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit())
        }
        Party::Anonymous => false,
    }
}

/// The user of an address.
pub(crate) fn user(address: &str) -> &str {
    address.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carriers_caller_has_the_number_it_shows_or_else_the_one_that_is_asserted() {
        let numbers = NumberPlan {
            country: "86".into(),
            area: "21".into(),
            national: "0".into(),
            international: "00".into(),
        };
        let sip = |user: &str| Party::Sip(format!("{user}@ims.example"));
        let e164 = |number: &str| Party::E164(number.to_owned());
        let shown = e164("+862155501234");
        let other = Some(e164("+862155509999"));
        for (from, asserted, wanted) in [
            (shown.clone(), None, shown.clone()),
            (shown.clone(), other.clone(), shown.clone()),
            (sip("02155501234"), None, shown.clone()),
            (sip("02155501234"), other.clone(), shown.clone()),
            (Party::Anonymous, Some(shown.clone()), shown.clone()),
            (Party::Anonymous, Some(sip("02155501234")), shown.clone()),
            (sip("unavailable"), Some(shown.clone()), shown.clone()),
            // Neither has a number: what the caller says is as good.
            (Party::Anonymous, Some(sip("ann")), Party::Anonymous),
            (sip("bob"), Some(sip("ann")), sip("bob")),
            (Party::Anonymous, None, Party::Anonymous),
            // A short number is no worse than a long one.
            (sip("95588"), other, sip("95588")),
        ] {
            let found = by_carrier(&numbers, from.clone(), asserted.clone());
            let why = (from.reveal().to_owned(), asserted);
            assert_eq!(found.reveal(), wanted.reveal(), "{why:?}");
            assert_eq!(found, wanted);
        }
    }
}
