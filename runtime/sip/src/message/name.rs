//! Header names.

use std::fmt;

use super::scan;

macro_rules! header_names {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, $lower:literal $(| $compact:literal)? ; )*) => {
        /// A header's name. Compared without regard to case; the compact form of a name is the
        /// same name (RFC 3261 §7.3.1, §7.3.3).
        #[derive(Clone, Debug)]
        pub enum HeaderName {
            $( $(#[$doc])* $variant, )*
            /// Any other token, in the spelling it was given.
            Other(Box<str>),
        }

        impl HeaderName {
            /// The name in its usual spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $name, )*
                    Self::Other(name) => name,
                }
            }

            fn known(lower: &[u8]) -> Option<Self> {
                Some(match lower {
                    $( $lower $(| $compact)? => Self::$variant, )*
                    _ => return None,
                })
            }
        }
    };
}

header_names! {
    /// RFC 3261 §20.1.
    Accept = "Accept", b"accept";
    /// RFC 3261 §20.2.
    AcceptEncoding = "Accept-Encoding", b"accept-encoding";
    /// RFC 3261 §20.5.
    Allow = "Allow", b"allow";
    /// RFC 6665.
    AllowEvents = "Allow-Events", b"allow-events" | b"u";
    /// RFC 3261 §20.7.
    Authorization = "Authorization", b"authorization";
    /// RFC 3261 §20.8.
    CallId = "Call-ID", b"call-id" | b"i";
    /// RFC 3261 §20.9.
    CallInfo = "Call-Info", b"call-info";
    /// RFC 3261 §20.10.
    Contact = "Contact", b"contact" | b"m";
    /// RFC 3261 §20.11.
    ContentDisposition = "Content-Disposition", b"content-disposition";
    /// RFC 3261 §20.12.
    ContentEncoding = "Content-Encoding", b"content-encoding" | b"e";
    /// RFC 3261 §20.14.
    ContentLength = "Content-Length", b"content-length" | b"l";
    /// RFC 3261 §20.15.
    ContentType = "Content-Type", b"content-type" | b"c";
    /// RFC 3261 §20.16.
    CSeq = "CSeq", b"cseq";
    /// RFC 3261 §20.17.
    Date = "Date", b"date";
    /// RFC 5806.
    Diversion = "Diversion", b"diversion";
    /// RFC 3261 §20.19.
    Expires = "Expires", b"expires";
    /// RFC 3261 §20.20.
    From = "From", b"from" | b"f";
    /// RFC 3261 §20.22.
    MaxForwards = "Max-Forwards", b"max-forwards";
    /// RFC 3261 §20.23.
    MinExpires = "Min-Expires", b"min-expires";
    /// RFC 4028 §5.
    MinSe = "Min-SE", b"min-se";
    /// RFC 3325 §9.1.
    PAssertedIdentity = "P-Asserted-Identity", b"p-asserted-identity";
    /// RFC 3327.
    Path = "Path", b"path";
    /// RFC 3325 §9.2.
    PPreferredIdentity = "P-Preferred-Identity", b"p-preferred-identity";
    /// RFC 3323 §4.2.
    Privacy = "Privacy", b"privacy";
    /// RFC 3261 §20.27.
    ProxyAuthenticate = "Proxy-Authenticate", b"proxy-authenticate";
    /// RFC 3261 §20.28.
    ProxyAuthorization = "Proxy-Authorization", b"proxy-authorization";
    /// RFC 3261 §20.29.
    ProxyRequire = "Proxy-Require", b"proxy-require";
    /// RFC 3262 §7.2.
    RAck = "RAck", b"rack";
    /// RFC 3326.
    Reason = "Reason", b"reason";
    /// RFC 3261 §20.30.
    RecordRoute = "Record-Route", b"record-route";
    /// RFC 3892.
    ReferredBy = "Referred-By", b"referred-by" | b"b";
    /// RFC 3515.
    ReferTo = "Refer-To", b"refer-to" | b"r";
    /// RFC 3891.
    Replaces = "Replaces", b"replaces";
    /// RFC 3261 §20.32.
    Require = "Require", b"require";
    /// RFC 3261 §20.33.
    RetryAfter = "Retry-After", b"retry-after";
    /// RFC 3261 §20.34.
    Route = "Route", b"route";
    /// RFC 3262 §7.1.
    RSeq = "RSeq", b"rseq";
    /// RFC 3261 §20.35.
    Server = "Server", b"server";
    /// RFC 3608.
    ServiceRoute = "Service-Route", b"service-route";
    /// RFC 4028 §4.
    SessionExpires = "Session-Expires", b"session-expires" | b"x";
    /// RFC 3261 §20.36.
    Subject = "Subject", b"subject" | b"s";
    /// RFC 3261 §20.37.
    Supported = "Supported", b"supported" | b"k";
    /// RFC 3261 §20.38.
    Timestamp = "Timestamp", b"timestamp";
    /// RFC 3261 §20.39.
    To = "To", b"to" | b"t";
    /// RFC 3261 §20.40.
    Unsupported = "Unsupported", b"unsupported";
    /// RFC 3261 §20.41.
    UserAgent = "User-Agent", b"user-agent";
    /// RFC 3261 §20.42.
    Via = "Via", b"via" | b"v";
    /// RFC 3261 §20.43.
    Warning = "Warning", b"warning";
    /// RFC 3261 §20.44.
    WwwAuthenticate = "WWW-Authenticate", b"www-authenticate";
}

/// Longest known name; a longer one is some other name.
const KNOWN_BYTES_MAX: usize = 24;

impl HeaderName {
    /// The header with this long or compact name; `None` if it is not a token (RFC 3261 §25.1).
    pub fn parse(text: &str) -> Option<Self> {
        let mut lower = [0; KNOWN_BYTES_MAX];
        if let Some(lower) = lower.get_mut(..text.len()) {
            lower.copy_from_slice(text.as_bytes());
            lower.make_ascii_lowercase();
            if let Some(known) = Self::known(lower) {
                return Some(known);
            }
        }
        scan::is_token(text).then(|| Self::Other(text.into()))
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
