//! A call's trace as one row of the database: packed small, because each call has one.
//!
//! The messages of a call repeat each other, so LZ4 halves them at least, for some 10 µs a call.
//! The first byte is the version of what follows.

use std::net::SocketAddr;

use vocab::Wall;

use super::limits::UNPACKED_BYTES_MAX;
use super::message::{Carrier, Leg, Message, Trace, Way};

/// The version that is written.
const VERSION: u8 = 1;

/// A row that this release cannot have written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a kept trace is damaged, or was written by a newer release")]
pub(crate) struct Damaged;

/// Packs a trace.
pub(crate) fn pack(trace: &Trace) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(trace.left_out.to_le_bytes());
    number(&mut out, trace.legs.len());
    for leg in &trace.legs {
        out.extend(leg.n.to_le_bytes());
        text(&mut out, leg.sip_call_id.as_bytes());
    }
    number(&mut out, trace.messages.len());
    for message in &trace.messages {
        out.extend(message.at.0.to_le_bytes());
        let way = match message.way {
            Way::In => 0,
            Way::Out => 1,
        };
        out.push(way);
        text(&mut out, message.carrier.name().as_bytes());
        text(&mut out, message.local.to_string().as_bytes());
        text(&mut out, message.remote.to_string().as_bytes());
        out.extend(message.cut.to_le_bytes());
        text(&mut out, &message.bytes);
    }
    let mut packed = vec![VERSION];
    packed.extend(lz4_flex::compress_prepend_size(&out));
    packed
}

fn number(out: &mut Vec<u8>, number: usize) {
    out.extend(
        u32::try_from(number)
            .expect("traces are bounded")
            .to_le_bytes(),
    );
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    number(out, text.len());
    out.extend(text);
}

/// Unpacks one.
///
/// # Errors
/// If it is none.
pub(crate) fn unpack(packed: &[u8]) -> Result<Trace, Damaged> {
    let Some((&VERSION, rest)) = packed.split_first() else {
        return Err(Damaged);
    };
    // The size is read first: it says how much memory is taken.
    let size = rest.first_chunk().map(|size| u32::from_le_bytes(*size));
    if size.is_none_or(|size| size as usize > UNPACKED_BYTES_MAX) {
        return Err(Damaged);
    }
    let bytes = lz4_flex::decompress_size_prepended(rest).map_err(|_| Damaged)?;
    let mut from = Reader(&bytes);
    let mut trace = Trace {
        left_out: u64::from_le_bytes(from.array()?),
        ..Trace::default()
    };
    for _ in 0..u32::from_le_bytes(from.array()?) {
        let n = u16::from_le_bytes(from.array()?);
        let sip_call_id = from.word()?.into();
        trace.legs.push(Leg { n, sip_call_id });
    }
    for _ in 0..u32::from_le_bytes(from.array()?) {
        trace.messages.push(from.message()?);
    }
    if from.0.is_empty() {
        Ok(trace)
    } else {
        Err(Damaged)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*array)
    }

    fn text(&mut self) -> Result<&'a [u8], Damaged> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
        self.0 = rest;
        Ok(text)
    }

    fn word(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.text()?).map_err(|_| Damaged)
    }

    fn address(&mut self) -> Result<SocketAddr, Damaged> {
        self.word()?.parse().map_err(|_| Damaged)
    }

    fn message(&mut self) -> Result<Message, Damaged> {
        let at = Wall(i64::from_le_bytes(self.array()?));
        let way = match self.array()? {
            [0] => Way::In,
            [1] => Way::Out,
            [_] => return Err(Damaged),
        };
        let name = self.word()?;
        let carrier = Carrier::named(name).ok_or(Damaged)?;
        let (local, remote) = (self.address()?, self.address()?);
        let cut = u32::from_le_bytes(self.array()?);
        let bytes = self.text()?.into();
        Ok(Message {
            at,
            way,
            carrier,
            local,
            remote,
            bytes,
            cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let ends = (
            "192.0.2.1:5060".parse().unwrap(),
            "[2001:db8::1]:5062".parse().unwrap(),
        );
        let message = |at, way, carrier, text: &str| {
            Message::new((Wall(at), way, carrier), ends, text.repeat(40).into_bytes())
        };
        let mut trace = Trace {
            legs: vec![Leg {
                n: 2,
                sip_call_id: "a@b".into(),
            }],
            messages: vec![
                message(
                    -5,
                    Way::In,
                    Carrier::Udp,
                    "INVITE sip:1000@h SIP/2.0\r\nCall-ID: a\r\n",
                ),
                message(
                    i64::MAX,
                    Way::Out,
                    Carrier::Tcp,
                    "SIP/2.0 200 OK\r\nCall-ID: a\r\n",
                ),
            ],
            left_out: 3,
        };
        trace.messages[1].cut = 9;
        trace
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let trace = trace();
        let packed = pack(&trace);
        assert_eq!(unpack(&packed), Ok(trace.clone()));
        let bytes: usize = trace
            .messages
            .iter()
            .map(|message| message.bytes.len())
            .sum();
        assert!(packed.len() * 2 < bytes, "{} of {bytes}", packed.len());
        assert_eq!(unpack(&pack(&Trace::default())), Ok(Trace::default()));
    }

    #[test]
    fn damage_is_noticed() {
        let packed = pack(&trace());
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end]), Err(Damaged), "{end}");
        }
        let mut newer = packed.clone();
        newer[0] = 2;
        assert_eq!(unpack(&newer), Err(Damaged));
        let mut huge = packed;
        huge[1..5].fill(0xff);
        assert_eq!(unpack(&huge), Err(Damaged));
    }
}
