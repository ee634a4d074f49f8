//! Typed readers of headers, one method each. Nothing is parsed before it is asked for.

use std::time::Duration;

use super::{
    CSeq, Contacts, ContentType, HeaderError, HeaderName, Headers, NameAddr, Reason, RetryAfter,
    SyntaxError, Via, scan,
};

impl Headers {
    /// The top `Via`.
    ///
    /// # Errors
    /// Missing or bad.
    pub fn via(&self) -> Result<Via, HeaderError> {
        self.required(HeaderName::Via, Via::parse)
    }

    /// All `Via` values, the top one first.
    ///
    /// # Errors
    /// One of them is bad.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        self.every(HeaderName::Via, Via::parse)
    }

    /// `From`.
    ///
    /// # Errors
    /// Missing or bad.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.required(HeaderName::From, NameAddr::parse)
    }

    /// `To`.
    ///
    /// # Errors
    /// Missing or bad.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.required(HeaderName::To, NameAddr::parse)
    }

    /// `Call-ID`, compared byte by byte (RFC 3261 §20.8).
    ///
    /// # Errors
    /// Missing, empty, or with white space within.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        let name = HeaderName::CallId;
        let value = self
            .first(&HeaderName::CallId)
            .ok_or(HeaderError::Missing(name.clone()))?;
        if value.is_empty() || value.contains([' ', '\t']) {
            let why = SyntaxError("no single word");
            return Err(HeaderError::Invalid { header: name, why });
        }
        Ok(value)
    }

    /// `CSeq`.
    ///
    /// # Errors
    /// Missing or bad.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.required(HeaderName::CSeq, CSeq::parse)
    }

    /// All contacts.
    ///
    /// # Errors
    /// One of them is bad, or `*` is not alone (RFC 3261 §10.3, step 6).
    pub fn contacts(&self) -> Result<Contacts, HeaderError> {
        let name = HeaderName::Contact;
        if self.all(&name).any(|value| value == "*") {
            return match self.count(&name) {
                1 => Ok(Contacts::All),
                _ => Err(HeaderError::Invalid {
                    header: name,
                    why: SyntaxError("* is not alone"),
                }),
            };
        }
        self.every(name, NameAddr::parse).map(Contacts::List)
    }

    /// The first contact: where further requests of a dialog go.
    ///
    /// # Errors
    /// Missing or bad; `*` is bad.
    pub fn contact(&self) -> Result<NameAddr, HeaderError> {
        self.required(HeaderName::Contact, NameAddr::parse)
    }

    /// All `Route` values in order.
    ///
    /// # Errors
    /// One of them is bad.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.every(HeaderName::Route, NameAddr::parse)
    }

    /// All `Record-Route` values in order.
    ///
    /// # Errors
    /// One of them is bad.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.every(HeaderName::RecordRoute, NameAddr::parse)
    }

    /// `Max-Forwards`, 0 to 255.
    ///
    /// # Errors
    /// Bad or out of range.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.optional(HeaderName::MaxForwards, |text| {
            let number = scan::number(text).ok_or(SyntaxError("not a number"))?;
            u8::try_from(number).map_err(|_| SyntaxError("number out of range"))
        })
    }

    /// `Content-Length`.
    ///
    /// # Errors
    /// Bad, or several that differ.
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        let name = HeaderName::ContentLength;
        let mut lengths = self.all(&name).map(scan::number);
        let bad = |why| HeaderError::Invalid {
            header: HeaderName::ContentLength,
            why,
        };
        let first = match lengths.next() {
            None => return Ok(None),
            Some(None) => return Err(bad(SyntaxError("not a number"))),
            Some(Some(length)) => length,
        };
        if lengths.any(|other| other != Some(first)) {
            return Err(bad(SyntaxError("lengths differ")));
        }
        Ok(Some(first as usize))
    }

    /// `Content-Type`.
    ///
    /// # Errors
    /// Bad.
    pub fn content_type(&self) -> Result<Option<ContentType>, HeaderError> {
        self.optional(HeaderName::ContentType, ContentType::parse)
    }

    /// `Expires` in whole seconds. A number too large for 32 bits reads as the largest
    /// (RFC 3261 §20.19).
    ///
    /// # Errors
    /// Not a number. RFC 3261 §10.2.1.1 lets a registrar read that as 3,600 s.
    pub fn expires(&self) -> Result<Option<Duration>, HeaderError> {
        self.optional(HeaderName::Expires, seconds)
    }

    /// `Min-Expires` in whole seconds.
    ///
    /// # Errors
    /// Not a number.
    pub fn min_expires(&self) -> Result<Option<Duration>, HeaderError> {
        self.optional(HeaderName::MinExpires, seconds)
    }

    /// All `Reason` values in order.
    ///
    /// # Errors
    /// One of them is bad.
    pub fn reasons(&self) -> Result<Vec<Reason>, HeaderError> {
        let name = HeaderName::Reason;
        self.all(&name)
            .flat_map(|value| scan::split_outside(value, b','))
            .map(Reason::parse)
            .collect::<Result<_, _>>()
            .map_err(|why| HeaderError::Invalid {
                header: HeaderName::Reason,
                why,
            })
    }

    /// `Retry-After`.
    ///
    /// # Errors
    /// Bad.
    pub fn retry_after(&self) -> Result<Option<RetryAfter>, HeaderError> {
        self.optional(HeaderName::RetryAfter, RetryAfter::parse)
    }

    fn required<T>(
        &self,
        name: HeaderName,
        parse: impl Fn(&str) -> Result<T, SyntaxError>,
    ) -> Result<T, HeaderError> {
        match self.optional(name.clone(), parse) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(HeaderError::Missing(name)),
            Err(error) => Err(error),
        }
    }

    fn optional<T>(
        &self,
        name: HeaderName,
        parse: impl Fn(&str) -> Result<T, SyntaxError>,
    ) -> Result<Option<T>, HeaderError> {
        match self.first(&name).map(parse) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(why)) => Err(HeaderError::Invalid { header: name, why }),
        }
    }

    fn every<T>(
        &self,
        name: HeaderName,
        parse: impl Fn(&str) -> Result<T, SyntaxError>,
    ) -> Result<Vec<T>, HeaderError> {
        let values: Result<Vec<T>, SyntaxError> = self.all(&name).map(parse).collect();
        values.map_err(|why| HeaderError::Invalid { header: name, why })
    }
}

fn seconds(text: &str) -> Result<Duration, SyntaxError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SyntaxError("not a number"));
    }
    Ok(Duration::from_secs(
        scan::number(text).unwrap_or(u32::MAX).into(),
    ))
}
