//! Telephone numbers: from what people and carriers write to E.164, and back.

/// How numbers are written where a tenant is (ITU-T E.123, E.164).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NumberPlan {
    /// Country calling code, such as `86`. Empty: numbers are left as they are written.
    pub country: String,
    /// Area code of numbers dialled without one, such as `21`. Empty: there are none.
    pub area: String,
    /// What is dialled before an area code, such as `0`. Empty: nothing is.
    pub national: String,
    /// What is dialled before a country code, such as `00`. Empty: `+` alone.
    pub international: String,
}

/// How a carrier wants numbers written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NumberForm {
    /// `+862155501234`.
    #[default]
    E164,
    /// `862155501234`.
    Bare,
    /// `00862155501234`, with the international prefix of the plan.
    International,
    /// `02155501234` within the country of the plan, international elsewhere.
    National,
}

impl NumberForm {
    /// Every form with its name in configurations.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("e164", Self::E164),
        ("bare", Self::Bare),
        ("international", Self::International),
        ("national", Self::National),
    ];
}

/// Most digits of a number that is dialled as it is: emergency and service numbers such as 110 and
/// 95588. In no country is a subscriber's number with its area code as short.
const SHORT_DIGITS: usize = 6;

/// Fewest and most digits of an E.164 number (ITU-T E.164 §6.2.1; the fewest are in use on islands).
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Most digits of a subscriber's number without its area code.
const LOCAL_DIGITS: usize = 8;

impl NumberPlan {
    /// The number in E.164 form with its `+`, or `None` if it is none: a name, a short number, too
    /// many digits.
    pub fn to_e164(&self, written: &str) -> Option<String> {
        let (plus, digits) = digits(written)?;
        let whole = if plus {
            digits
        } else if let Some(rest) = after(&digits, &self.international) {
            rest.to_owned()
        } else if self.country.is_empty() || digits.len() <= SHORT_DIGITS {
            return None;
        } else if let Some(rest) = after(&digits, &self.national) {
            format!("{}{rest}", self.country)
        } else if !self.area.is_empty() && digits.len() <= LOCAL_DIGITS {
            format!("{}{}{digits}", self.country, self.area)
        } else if digits.starts_with(&self.country) && digits.len() > 10 + self.country.len() - 1 {
            // With its country code, and without anything before it.
            digits
        } else {
            format!("{}{digits}", self.country)
        };
        E164_DIGITS
            .contains(&whole.len())
            .then(|| format!("+{whole}"))
    }

    /// An E.164 number as a carrier wants it; anything else as it is.
    pub fn write(&self, number: &str, form: NumberForm) -> String {
        let Some(bare) = number.strip_prefix('+') else {
            return number.to_owned();
        };
        let at_home = after(bare, &self.country);
        match (form, at_home) {
            (NumberForm::E164, _) => number.to_owned(),
            (NumberForm::Bare, _) => bare.to_owned(),
            (NumberForm::National, Some(rest)) => format!("{}{rest}", self.national),
            (NumberForm::International | NumberForm::National, _)
                if self.international.is_empty() =>
            {
                number.to_owned()
            }
            (NumberForm::International | NumberForm::National, _) => {
                format!("{}{bare}", self.international)
            }
        }
    }
}

/// The digits of a number without visual separators (RFC 3966 §5.1.1), and whether a `+` leads.
fn digits(written: &str) -> Option<(bool, String)> {
    let written = written.trim();
    let (plus, rest) = match written.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let digits: String = rest
        .chars()
        .filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' '))
        .collect();
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then_some((plus, digits))
}

/// What follows a prefix; nothing follows an empty one.
fn after<'a>(digits: &'a str, prefix: &str) -> Option<&'a str> {
    (!prefix.is_empty())
        .then(|| digits.strip_prefix(prefix))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(country: &str, area: &str, national: &str, international: &str) -> NumberPlan {
        NumberPlan {
            country: country.into(),
            area: area.into(),
            national: national.into(),
            international: international.into(),
        }
    }

    #[test]
    fn to_e164() {
        let shanghai = plan("86", "21", "0", "00");
        let us = plan("1", "", "1", "011");
        let uk = plan("44", "", "0", "00");
        for (plan, written, expected) in [
            (&shanghai, "+86 21 5550-1234", Some("+862155501234")),
            (&shanghai, "00862155501234", Some("+862155501234")),
            (&shanghai, "02155501234", Some("+862155501234")),
            (&shanghai, "55501234", Some("+862155501234")),
            (&shanghai, "13912345678", Some("+8613912345678")),
            (&shanghai, "8613912345678", Some("+8613912345678")),
            (&shanghai, "0013015550100", Some("+13015550100")),
            (&shanghai, "4008001234", Some("+864008001234")),
            (&shanghai, "95588", None),
            (&shanghai, "110", None),
            (&shanghai, "ann", None),
            (&shanghai, "+", None),
            (&shanghai, "+1234567890123456", None),
            (&us, "(301) 555-0100", Some("+13015550100")),
            (&us, "13015550100", Some("+13015550100")),
            (&us, "011862155501234", Some("+862155501234")),
            (&uk, "020 7946 0018", Some("+442079460018")),
            (
                &NumberPlan::default(),
                "+862155501234",
                Some("+862155501234"),
            ),
            (&NumberPlan::default(), "02155501234", None),
        ] {
            let found = plan.to_e164(written);
            assert_eq!(found.as_deref(), expected, "{written} with {plan:?}");
        }
    }

    #[test]
    fn as_carriers_want_them() {
        let shanghai = plan("86", "21", "0", "00");
        let (home, abroad) = ("+862155501234", "+13015550100");
        for (form, at_home, far) in [
            (NumberForm::E164, home, abroad),
            (NumberForm::Bare, "862155501234", "13015550100"),
            (NumberForm::International, "00862155501234", "0013015550100"),
            (NumberForm::National, "02155501234", "0013015550100"),
        ] {
            assert_eq!(shanghai.write(home, form), at_home);
            assert_eq!(shanghai.write(abroad, form), far);
            assert_eq!(shanghai.write("95588", form), "95588");
        }
        let plain = NumberPlan::default();
        assert_eq!(plain.write(home, NumberForm::National), home);
    }

    #[test]
    fn what_is_written_reads_as_the_same_number() {
        let shanghai = plan("86", "21", "0", "00");
        for number in ["+862155501234", "+13015550100", "+442079460018"] {
            for (_, form) in NumberForm::NAMES {
                if form == NumberForm::Bare && !number.starts_with("+86") {
                    continue; // Nothing tells it from a national number.
                }
                let written = shanghai.write(number, form);
                assert_eq!(
                    shanghai.to_e164(&written).as_deref(),
                    Some(number),
                    "{form:?}"
                );
            }
        }
    }
}
