//! Encoders and decoders of every codec, behind one pair of types.

use std::fmt;

use crate::g711::{self, Law};
use crate::rate::Rate;
use crate::{Codec, OpusParams, g722};

/// Most bytes of one Opus frame of ours; more than 60 ms of speech at 64 kbit/s need.
/// (RFC 6716 §3.2.1 allows 1,275.)
pub(crate) const OPUS_BYTES_MAX: usize = 640;

/// An Opus packet that says nothing but that nothing is said (RFC 6716 §2.1.9: one or two bytes).
const DTX_BYTES_MAX: usize = 2;

/// Processor time against quality, 0 to 10: at 5 speech is as good as at 10 to most ears.
const OPUS_COMPLEXITY: i32 = 5;

/// How much loss our packets carry redundancy for.
const OPUS_LOSS_PERCENT: i32 = 15;

impl Codec {
    /// Samples a second of its audio, as we use it. Opus can do with any: what was agreed tells.
    pub const fn rate(self, opus: OpusParams) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
            Self::G722 => Rate::Wide,
            Self::Opus => opus.rate,
            Self::L16(rate) => rate,
        }
    }

    /// Ticks of the RTP clock that a payload lasts; `None` if it is none of this codec's.
    pub fn ticks(self, payload: &[u8]) -> Option<u32> {
        let len = u32::try_from(payload.len()).ok()?;
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => Some(len),
            Self::L16(_) => len.is_multiple_of(2).then_some(len / 2),
            Self::Opus => {
                let samples = opus::packet::get_nb_samples(payload, Rate::Full.hz()).ok()?;
                // RFC 6716 §3.4, R5: at most 120 ms.
                u32::try_from(samples)
                    .ok()
                    .filter(|samples| *samples <= 5_760)
            }
        }
    }

    /// Its law, if it is one of the two of G.711.
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Mu),
            Self::Pcma => Some(Law::A),
            Self::G722 | Self::Opus | Self::L16(_) => None,
        }
    }

    /// Whether its decoder must have heard what came before, so that it needs a pause to listen to
    /// another encoder.
    pub(crate) const fn remembers(self) -> bool {
        match self {
            Self::G722 | Self::Opus => true,
            Self::Pcmu | Self::Pcma | Self::L16(_) => false,
        }
    }

    /// Whether a payload says that nothing is said.
    pub fn is_silence(self, payload: &[u8]) -> bool {
        self == Self::Opus && payload.len() <= DTX_BYTES_MAX
    }
}

/// Makes payloads of frames.
pub enum Encoder {
    /// A sample, a byte.
    G711(Law),
    /// Two samples, a byte.
    G722(Box<g722::Encoder>),
    /// As libopus does it; what is sent with each frame.
    Opus(Box<opus::Encoder>),
    /// Samples as they are, the higher byte first (RFC 3551 §4.5.11).
    L16,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G711(_) => "G711",
            Self::G722(_) => "G722",
            Self::Opus(_) => "opus",
            Self::L16 => "L16",
        })
    }
}

impl Encoder {
    /// A new one.
    ///
    /// # Panics
    /// If libopus has no memory for one.
    pub fn new(codec: Codec, params: OpusParams) -> Self {
        match codec {
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::Pcma => Self::G711(Law::A),
            Codec::G722 => Self::G722(Box::default()),
            Codec::L16(_) => Self::L16,
            Codec::Opus => {
                let made = opus_encoder(params);
                Self::Opus(Box::new(made.expect("libopus takes these settings")))
            }
        }
    }

    /// Takes note of a payload of somebody else's that was sent in place of ours.
    pub fn pass(&mut self, payload: &[u8]) {
        match self {
            Self::G722(encoder) => encoder.pass(payload),
            // The others' decoders find their way from one frame to the next.
            Self::G711(_) | Self::Opus(_) | Self::L16 => {}
        }
    }

    /// Encodes 10 to 60 ms. Gives the length of the payload; zero if nothing is to be sent, because
    /// the far end knows that there is silence.
    ///
    /// # Panics
    /// If `out` is too short: 640 bytes for Opus, else two bytes a sample, are enough.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match self {
            Self::G711(law) => {
                g711::encode(*law, samples, &mut out[..samples.len()]);
                samples.len()
            }
            Self::G722(encoder) => {
                let len = samples.len() / 2;
                encoder.encode(samples, &mut out[..len]);
                len
            }
            Self::L16 => {
                let bytes = out[..samples.len() * 2].chunks_exact_mut(2);
                for (sample, bytes) in samples.iter().zip(bytes) {
                    bytes.copy_from_slice(&sample.to_be_bytes());
                }
                samples.len() * 2
            }
            Self::Opus(encoder) => {
                let most = out.len().min(OPUS_BYTES_MAX);
                let len = encoder.encode(samples, &mut out[..most]).unwrap_or(0);
                if len <= DTX_BYTES_MAX { 0 } else { len }
            }
        }
    }
}

fn opus_encoder(params: OpusParams) -> opus::Result<opus::Encoder> {
    let mono = opus::Channels::Mono;
    let mut encoder = opus::Encoder::new(params.rate.hz(), mono, opus::Application::Voip)?;
    encoder.set_complexity(OPUS_COMPLEXITY)?;
    encoder.set_signal(opus::Signal::Voice)?;
    encoder.set_bitrate(opus::Bitrate::Bits(params.bitrate.cast_signed()))?;
    encoder.set_inband_fec(params.fec)?;
    encoder.set_packet_loss_perc(if params.fec { OPUS_LOSS_PERCENT } else { 0 })?;
    encoder.set_dtx(params.dtx)?;
    encoder.set_vbr(!params.cbr)?;
    Ok(encoder)
}

/// Makes samples of payloads.
pub enum Decoder {
    /// A byte, a sample.
    G711(Law),
    /// Two bytes, a sample.
    L16,
    /// Two bands, each with its prediction.
    G722(Box<g722::Decoder>),
    /// As libopus does it, at a rate.
    Opus(Box<opus::Decoder>, Rate),
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G711(_) => "G711",
            Self::L16 => "L16",
            Self::G722(_) => "G722",
            Self::Opus(..) => "opus",
        })
    }
}

impl Decoder {
    /// A new one.
    ///
    /// # Panics
    /// If libopus has no memory for one.
    pub fn new(codec: Codec, rate: Rate) -> Self {
        match codec {
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::Pcma => Self::G711(Law::A),
            Codec::L16(_) => Self::L16,
            Codec::G722 => Self::G722(Box::default()),
            Codec::Opus => {
                let made = opus::Decoder::new(rate.hz(), opus::Channels::Mono);
                Self::Opus(Box::new(made.expect("libopus knows the rate")), rate)
            }
        }
    }

    /// Decodes a payload. Gives how many samples of `out` it took; a broken payload takes none.
    ///
    /// # Panics
    /// If `out` is too short for the payload.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::G711(law) => {
                g711::decode(*law, payload, &mut out[..payload.len()]);
                payload.len()
            }
            Self::L16 => {
                let len = payload.len() / 2;
                for (bytes, sample) in payload.chunks_exact(2).zip(&mut out[..len]) {
                    *sample = i16::from_be_bytes([bytes[0], bytes[1]]);
                }
                len
            }
            Self::G722(decoder) => {
                let len = payload.len() * 2;
                decoder.decode(payload, &mut out[..len]);
                len
            }
            // An empty payload would mean a lost one.
            Self::Opus(..) if payload.is_empty() => 0,
            Self::Opus(decoder, _) => decoder.decode(payload, out, false).unwrap_or(0),
        }
    }

    /// Takes note of a payload that is not to be heard.
    pub fn pass(&mut self, payload: &[u8]) {
        match self {
            Self::G722(decoder) => decoder.pass(payload),
            Self::G711(_) | Self::Opus(..) | Self::L16 => {}
        }
    }

    /// What did not come, as the next payload tells it (RFC 6716 §2.1.7). Gives whether it does.
    pub fn recover(&mut self, next: &[u8], out: &mut [i16]) -> bool {
        match self {
            Self::Opus(decoder, rate) => {
                // libopus makes up in multiples of 2.5 ms.
                let whole = !out.is_empty() && out.len().is_multiple_of(rate.hz() as usize / 400);
                whole && !next.is_empty() && decoder.decode(next, out, true).is_ok()
            }
            Self::G711(_) | Self::L16 | Self::G722(_) => false,
        }
    }

    /// Makes 10 ms up in place of what did not come, if the codec knows better than anybody else
    /// what that was.
    pub fn make_up(&mut self, out: &mut [i16]) -> bool {
        match self {
            Self::Opus(decoder, rate) => {
                assert_eq!(out.len(), rate.ms(10), "10 ms at a time");
                decoder.decode(&[], out, false).is_ok()
            }
            Self::G711(_) | Self::L16 | Self::G722(_) => false,
        }
    }

    /// Takes note of what was played in place of what did not come.
    pub fn follow(&mut self, concealed: &[i16]) {
        match self {
            Self::G722(decoder) => decoder.follow(concealed),
            Self::G711(_) | Self::L16 | Self::Opus(..) => {}
        }
    }
}
