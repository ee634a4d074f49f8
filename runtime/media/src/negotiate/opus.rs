//! What both sides of an Opus stream say of it (RFC 7587 §6.1).

use std::fmt;

use crate::{OpusParams, Rate};

/// Bits a second that libopus takes.
const BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;

/// Parameters as they stand in `a=fmtp`; those that are missing have their defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wishes {
    /// Samples a second that are worth sending.
    max_playback_hz: u32,
    fec: bool,
    dtx: bool,
    cbr: bool,
    bitrate_max: u32,
}

impl Default for Wishes {
    /// What is meant when nothing is said.
    fn default() -> Self {
        Self {
            max_playback_hz: 48_000,
            fec: false,
            dtx: false,
            cbr: false,
            bitrate_max: *BITRATES.end(),
        }
    }
}

impl Wishes {
    /// Reads parameters; one that makes no sense counts as missing.
    pub(super) fn parse(parameters: &str) -> Self {
        let mut wishes = Self::default();
        let pairs = parameters.split(';').filter_map(|it| it.split_once('='));
        for (name, value) in pairs {
            let value = value.trim();
            let number = value.parse::<u32>();
            match (name.trim().to_ascii_lowercase().as_str(), number) {
                ("maxplaybackrate", Ok(hz)) if hz >= 8_000 => wishes.max_playback_hz = hz,
                ("maxaveragebitrate", Ok(bits)) => {
                    wishes.bitrate_max = bits.clamp(*BITRATES.start(), *BITRATES.end());
                }
                ("useinbandfec", _) => wishes.fec = value == "1",
                ("usedtx", _) => wishes.dtx = value == "1",
                ("cbr", _) => wishes.cbr = value == "1",
                _ => {}
            }
        }
        wishes
    }

    /// What we say of ourselves.
    pub(super) fn ours(params: OpusParams) -> Self {
        Self {
            max_playback_hz: params.rate.hz(),
            fec: params.fec,
            dtx: params.dtx,
            cbr: params.cbr,
            bitrate_max: params.bitrate,
        }
    }

    /// How we send to somebody with these wishes.
    pub(super) fn meet(self, ours: OpusParams) -> OpusParams {
        let rate = match self.max_playback_hz {
            48_000.. => Rate::Full,
            16_000.. => Rate::Wide,
            _ => Rate::Narrow,
        };
        OpusParams {
            rate: ours.rate.min(rate),
            fec: ours.fec && self.fec,
            dtx: ours.dtx && self.dtx,
            cbr: ours.cbr || self.cbr,
            bitrate: ours.bitrate.min(self.bitrate_max),
        }
    }
}

impl fmt::Display for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            max_playback_hz: hz,
            bitrate_max,
            ..
        } = self;
        write!(f, "maxplaybackrate={hz};sprop-maxcapturerate={hz}")?;
        write!(f, ";maxaveragebitrate={bitrate_max}")?;
        for (name, set) in [
            ("useinbandfec", self.fec),
            ("usedtx", self.dtx),
            ("cbr", self.cbr),
        ] {
            if set {
                write!(f, ";{name}=1")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_met() {
        let ours = OpusParams {
            rate: Rate::Full,
            dtx: true,
            ..OpusParams::default()
        };
        for (text, rate, fec, dtx, cbr, bitrate) in [
            ("", Rate::Full, false, false, false, 32_000),
            (
                "minptime=10;useinbandfec=1",
                Rate::Full,
                true,
                false,
                false,
                32_000,
            ),
            (
                "maxplaybackrate=16000; usedtx=1",
                Rate::Wide,
                false,
                true,
                false,
                32_000,
            ),
            (
                "MaxPlaybackRate=24000;cbr=1",
                Rate::Wide,
                false,
                false,
                true,
                32_000,
            ),
            (
                "maxplaybackrate=8000;maxaveragebitrate=20000",
                Rate::Narrow,
                false,
                false,
                false,
                20_000,
            ),
            (
                "maxplaybackrate=12000;maxaveragebitrate=1",
                Rate::Narrow,
                false,
                false,
                false,
                6_000,
            ),
            (
                "maxplaybackrate=x;useinbandfec=yes;;=",
                Rate::Full,
                false,
                false,
                false,
                32_000,
            ),
        ] {
            let met = OpusParams {
                rate,
                fec,
                dtx,
                cbr,
                bitrate,
            };
            assert_eq!(Wishes::parse(text).meet(ours), met, "{text}");
        }
    }

    #[test]
    fn what_we_write_reads_back() {
        for params in [
            OpusParams::default(),
            OpusParams {
                rate: Rate::Narrow,
                fec: false,
                dtx: true,
                cbr: true,
                bitrate: 12_000,
            },
        ] {
            let wishes = Wishes::ours(params);
            assert_eq!(Wishes::parse(&wishes.to_string()), wishes);
            assert_eq!(wishes.meet(params), params);
        }
    }
}
