//! Header names.

use std::fmt;

use super::scan;

macro_rules! header_names {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal $(, $compact:literal)? ; )*) => {
        /// A header's name. Compared without regard to case; the compact form of a name is the
        /// same name (RFC 3261 §7.3.1, §7.3.3).
        #[derive(Clone, Debug)]
        pub enum HeaderName {
            $( $(#[$doc])* $variant, )*
            /// Any other token, in the spelling it was given.
            Other(Box<str>),
        }

        /// The [`Key`] of each known name.
        #[allow(non_upper_case_globals)]
        mod keys {
            $( pub(super) const $variant: super::Key = super::key($name.as_bytes()); )*
        }

        impl HeaderName {
            /// The name in its usual spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $name, )*
                    Self::Other(name) => name,
                }
            }

            fn known(text: &str) -> Option<Self> {
                if let &[byte] = text.as_bytes() {
                    return match byte.to_ascii_lowercase() {
                        $( $( $compact => Some(Self::$variant), )? )*
                        _ => None,
                    };
                }
                let name = match key(text.as_bytes()) {
                    $( keys::$variant => Self::$variant, )*
                    _ => return None,
                };
                name.as_str().eq_ignore_ascii_case(text).then_some(name)
            }
        }
    };
}

/// Length and first eight bytes of a name, with which names are told apart at the cost of comparing
/// two numbers. Letters of either case have the same key, and so have some other characters: a
/// match is compared in full.
type Key = (usize, u64);

const fn key(name: &[u8]) -> Key {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let word = match name.first_chunk::<8>() {
        Some(start) => u64::from_le_bytes(*start),
        None => {
            let mut start = [0; 8];
            let mut at = 0;
            while at < name.len() {
                start[at] = name[at];
                at += 1;
            }
            u64::from_le_bytes(start)
        }
    };
    (name.len(), word | CASE)
}

header_names! {
    /// RFC 3261 §20.1.
    Accept = "Accept";
    /// RFC 3261 §20.2.
    AcceptEncoding = "Accept-Encoding";
    /// RFC 3261 §20.5.
    Allow = "Allow";
    /// RFC 6665.
    AllowEvents = "Allow-Events", b'u';
    /// RFC 3261 §20.7.
    Authorization = "Authorization";
    /// RFC 3261 §20.8.
    CallId = "Call-ID", b'i';
    /// RFC 3261 §20.9.
    CallInfo = "Call-Info";
    /// RFC 3261 §20.10.
    Contact = "Contact", b'm';
    /// RFC 3261 §20.11.
    ContentDisposition = "Content-Disposition";
    /// RFC 3261 §20.12.
    ContentEncoding = "Content-Encoding", b'e';
    /// RFC 3261 §20.14.
    ContentLength = "Content-Length", b'l';
    /// RFC 3261 §20.15.
    ContentType = "Content-Type", b'c';
    /// RFC 3261 §20.16.
    CSeq = "CSeq";
    /// RFC 3261 §20.17.
    Date = "Date";
    /// RFC 5806.
    Diversion = "Diversion";
    /// RFC 3261 §20.19.
    Expires = "Expires";
    /// RFC 3261 §20.20.
    From = "From", b'f';
    /// RFC 6086 §7.2.
    InfoPackage = "Info-Package";
    /// RFC 3261 §20.22.
    MaxForwards = "Max-Forwards";
    /// RFC 3261 §20.23.
    MinExpires = "Min-Expires";
    /// RFC 4028 §5.
    MinSe = "Min-SE";
    /// RFC 3325 §9.1.
    PAssertedIdentity = "P-Asserted-Identity";
    /// RFC 3327.
    Path = "Path";
    /// RFC 3325 §9.2.
    PPreferredIdentity = "P-Preferred-Identity";
    /// RFC 3323 §4.2.
    Privacy = "Privacy";
    /// RFC 3261 §20.27.
    ProxyAuthenticate = "Proxy-Authenticate";
    /// RFC 3261 §20.28.
    ProxyAuthorization = "Proxy-Authorization";
    /// RFC 3261 §20.29.
    ProxyRequire = "Proxy-Require";
    /// RFC 3262 §7.2.
    RAck = "RAck";
    /// RFC 3326.
    Reason = "Reason";
    /// RFC 3261 §20.30.
    RecordRoute = "Record-Route";
    /// RFC 3892.
    ReferredBy = "Referred-By", b'b';
    /// RFC 3515.
    ReferTo = "Refer-To", b'r';
    /// RFC 3891.
    Replaces = "Replaces";
    /// RFC 3261 §20.32.
    Require = "Require";
    /// RFC 3261 §20.33.
    RetryAfter = "Retry-After";
    /// RFC 3261 §20.34.
    Route = "Route";
    /// RFC 3262 §7.1.
    RSeq = "RSeq";
    /// RFC 3261 §20.35.
    Server = "Server";
    /// RFC 3608.
    ServiceRoute = "Service-Route";
    /// RFC 4028 §4.
    SessionExpires = "Session-Expires", b'x';
    /// RFC 3261 §20.36.
    Subject = "Subject", b's';
    /// RFC 3261 §20.37.
    Supported = "Supported", b'k';
    /// RFC 3261 §20.38.
    Timestamp = "Timestamp";
    /// RFC 3261 §20.39.
    To = "To", b't';
    /// RFC 3261 §20.40.
    Unsupported = "Unsupported";
    /// RFC 3261 §20.41.
    UserAgent = "User-Agent";
    /// RFC 3261 §20.42.
    Via = "Via", b'v';
    /// RFC 3261 §20.43.
    Warning = "Warning";
    /// RFC 3261 §20.44.
    WwwAuthenticate = "WWW-Authenticate";
}

impl HeaderName {
    /// The header with this long or compact name; `None` if it is not a token (RFC 3261 §25.1).
    pub fn parse(text: &str) -> Option<Self> {
        Self::known(text).or_else(|| scan::is_token(text).then(|| Self::Other(text.into())))
    }

    /// Several fields of this name may be written as one, joined by commas, and mean the same
    /// (RFC 3261 §7.3.1). Only those whose elements are read one by one are listed.
    pub(super) fn splits(&self) -> bool {
        matches!(
            self,
            Self::Via
                | Self::Route
                | Self::RecordRoute
                | Self::Contact
                | Self::Path
                | Self::ServiceRoute
        )
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
