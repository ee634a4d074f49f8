//! Passwords for a while: what a browser is given instead of its phone's own.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use vocab::{Pii, Wall};

use super::digest::hex;

/// Between the user and the second at which the pass ends; no user's name holds it.
const MARK: char = '~';

/// A user name and a password for Digest that are good until a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pass {
    /// The Digest `username`: the user's, and when the pass ends.
    pub login: String,
    /// The Digest password.
    pub password: Pii<String>,
    /// When it ends, in whole seconds.
    pub until: Wall,
}

/// Makes passes, and knows them again without remembering any.
///
/// The password is HMAC-SHA-256 over the login and a hash of the phone's own password, as the
/// time-limited credentials of TURN servers are (draft-uberti-behave-turn-rest §2.2): so all passes of a
/// phone end with a change of its password, and those of all phones with a change of the key.
pub struct Passes {
    key: [u8; 32],
}

impl Passes {
    /// Passes under this key, from operating-system entropy.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A pass for a user with this password.
    pub fn issue(&self, user: &str, password: &str, until: Wall) -> Pass {
        let seconds = until.seconds();
        let login = format!("{user}{MARK}{seconds}");
        Pass {
            password: Pii::new(self.password(&login, password)),
            login,
            until: Wall(seconds.saturating_mul(1_000_000)),
        }
    }

    /// The password of a login whose user's own is this one.
    pub fn password(&self, login: &str, password: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(login.as_bytes());
        mac.update(b"\0");
        mac.update(&Sha256::digest(password.as_bytes()));
        hex(&mac.finalize().into_bytes())
    }
}

/// The user of a login and when it ends; `None` if it is no pass's.
pub(crate) fn read(login: &str) -> Option<(&str, Wall)> {
    let (user, seconds) = login.rsplit_once(MARK)?;
    let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = seconds.parse().ok().filter(|_| digits)?;
    Some((user, Wall(seconds.checked_mul(1_000_000)?)))
}

impl std::fmt::Debug for Passes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Wall = Wall(1_795_270_987_654_321);

    #[test]
    fn a_pass_is_known_again() {
        let passes = Passes::new([7; 32]);
        let pass = passes.issue("1001", "secret", UNTIL);
        assert_eq!(pass.login, "1001~1795270987");
        assert_eq!(pass.until, Wall(1_795_270_987_000_000));
        assert_eq!(read(&pass.login), Some(("1001", pass.until)));
        assert_eq!(
            &passes.password(&pass.login, "secret"),
            pass.password.reveal()
        );
        // 256 bits.
        assert_eq!(pass.password.reveal().len(), 64);
    }

    #[test]
    fn another_key_user_time_or_password_makes_another() {
        let passes = Passes::new([7; 32]);
        let own = passes.issue("1001", "secret", UNTIL).password;
        for other in [
            Passes::new([8; 32]).issue("1001", "secret", UNTIL),
            passes.issue("1002", "secret", UNTIL),
            passes.issue("1001", "secre", UNTIL),
            passes.issue("1001", "secret", Wall(UNTIL.0 + 1_000_000)),
        ] {
            assert_ne!(other.password, own);
        }
    }

    #[test]
    fn other_logins_are_no_passes() {
        for login in [
            "1001",
            "1001~",
            "1001~x",
            "1001~-5",
            "1001~+5",
            "1001~99999999999999",
        ] {
            assert_eq!(read(login), None, "{login}");
        }
        // The last mark counts, so a pass cannot be made for another user than was asked for.
        assert_eq!(read("a~1~2"), Some(("a~1", Wall(2_000_000))));
    }
}
