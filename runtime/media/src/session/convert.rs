//! Audio between sessions of different rates.

use crate::rate::{FRAME, Frame, Narrow, Rate};
use crate::resample::Resampler;

/// Brings a stream of frames to another rate, whenever they have not got it already.
#[derive(Debug, Default)]
pub(crate) struct Converter {
    resampler: Option<Box<Resampler>>,
}

impl Converter {
    /// A frame at a rate: the same one, or written into `spare`.
    pub(crate) fn convert<'a>(
        &mut self,
        frame: &'a Frame,
        to: Rate,
        spare: &'a mut Frame,
    ) -> &'a Frame {
        if frame.rate() == to {
            self.resampler = None;
            return frame;
        }
        spare.set_rate(to);
        self.between(frame.rate(), to).push(frame, spare);
        spare
    }

    /// Narrowband audio at a rate.
    pub(crate) fn raise(&mut self, frame: &Narrow, out: &mut Frame) {
        match out.rate() {
            Rate::Narrow => out.copy_from_slice(frame),
            to @ (Rate::Wide | Rate::Full) => self.between(Rate::Narrow, to).push(frame, out),
        }
    }

    /// Narrowband audio has ended: writes the few samples that were on the way, once. False if there
    /// were none.
    pub(crate) fn end(&mut self, out: &mut Frame) -> bool {
        let Some(mut resampler) = self.resampler.take() else {
            return false;
        };
        let fits = resampler.rates() == (Rate::Narrow, out.rate());
        if fits {
            resampler.push(&[0; FRAME], out);
        }
        fits
    }

    /// Up to 20 ms as narrowband audio; tells how many samples they are then.
    pub(crate) fn lower(&mut self, samples: &[i16], from: Rate, out: &mut Narrow) -> usize {
        let len = samples.len() / from.factor();
        match from {
            Rate::Narrow => out[..len].copy_from_slice(samples),
            Rate::Wide | Rate::Full => {
                let whole = &samples[..len * from.factor()];
                self.between(from, Rate::Narrow)
                    .push(whole, &mut out[..len]);
            }
        }
        len
    }

    fn between(&mut self, from: Rate, to: Rate) -> &mut Resampler {
        let fits = |it: &Resampler| it.rates() == (from, to);
        if !self.resampler.as_deref().is_some_and(fits) {
            self.resampler = None;
        }
        self.resampler
            .get_or_insert_with(|| Box::new(Resampler::new(from, to)))
    }
}
