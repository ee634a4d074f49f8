//! The wideband codec of ITU-T G.722 (11/88) at 64 kbit/s: two bands, ADPCM in each.
//!
//! 16,000 samples a second, signed 16 bit, two of which become one byte. The upper two bits of a
//! byte are the higher band (4 to 8 kHz), the lower six the lower band. Names of steps are those
//! of the Recommendation's clause 6, so that they can be read side by side.

/// Coefficients of the quadrature mirror filters, the first half; the second mirrors it (table 11).
const QMF: [i32; 12] = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3_876];

/// Decision levels of the lower band's quantizer (table 14, Q6).
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940,
    1_023, 1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];

/// Codes of its intervals, for negative and for positive differences (table 14, ILN and ILP). The
/// interval below the first level does not occur.
const ILN: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
    10, 9, 8, 7, 6, 5, 4,
];
const ILP: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39,
    38, 37, 36, 35, 34, 33, 32,
];

/// Output levels of the lower band's inverse quantizers with 4 and 6 bits (tables 15 and 17).
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];

/// How the lower band's logarithmic step changes with each of the 4 bit codes (tables 16, WL and
/// RL4 together).
const WL: [i32; 16] = [
    -60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60,
];

/// The higher band's: output levels (table 18) and changes of the step (table 19, WH and RH2).
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
const WH: [i32; 4] = [798, -214, 798, -214];

/// Decision level of the higher band (table 14).
const Q2: i32 = 564;

/// Powers of two by 1/32 octave (table 17, ILA/ILB).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// Largest logarithmic steps of the bands (blocks LOGSCL and LOGSCH).
const NB_MAX_LOW: i32 = 18_432;
const NB_MAX_HIGH: i32 = 22_528;

/// Steps at the start (table 20 of clause 6.2: DETL 32, DETH 8).
const DET_LOW: i32 = 32;
const DET_HIGH: i32 = 8;

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// The adaptive predictor and step of one band: the part that is the same in encoder and decoder.
#[derive(Clone, Debug)]
struct Band {
    /// Predicted sample (S), and the part of it that the zeros predict (SZ).
    s: i32,
    sz: i32,
    /// The last two reconstructed samples (R).
    r: [i32; 2],
    /// The signs of the last two partly reconstructed samples (P): -1 or 0.
    p: [i32; 2],
    /// The poles' coefficients (A).
    a: [i32; 2],
    /// The last six differences (D), and the zeros' coefficients (B).
    d: [i32; 6],
    b: [i32; 6],
    /// Logarithm of the step (NB), and the step (DET).
    nb: i32,
    det: i32,
}

impl Band {
    fn new(det: i32) -> Self {
        Self {
            s: 0,
            sz: 0,
            r: [0; 2],
            p: [0; 2],
            a: [0; 2],
            d: [0; 6],
            b: [0; 6],
            nb: 0,
            det,
        }
    }

    /// Blocks LOGSCL/LOGSCH and SCALEL/SCALEH: the step for the next sample.
    fn scale(&mut self, change: i32, nb_max: i32, shift: i32) {
        self.nb = (((self.nb * 127) >> 7) + change).clamp(0, nb_max);
        let power = ILB[(self.nb >> 6 & 31) as usize];
        let down = shift - (self.nb >> 11);
        self.det = if down < 0 {
            power << -down
        } else {
            power >> down
        } << 2;
    }

    /// Block 4: takes a quantized difference; adapts the predictor and predicts the next sample.
    fn adapt(&mut self, d: i32) {
        // RECONS and PARREC.
        let r = saturate(self.s + d);
        let p = saturate(self.sz + d) >> 15;
        // UPPOL2.
        let a1 = saturate(self.a[0] << 2);
        let turn = if p == self.p[0] { -a1 } else { a1 };
        let turn = turn.min(32_767);
        let lean = if p == self.p[1] { 128 } else { -128 };
        let a2 = ((turn >> 7) + lean + ((self.a[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1.
        let lean = if p == self.p[0] { 192 } else { -192 };
        let limit = saturate(15_360 - a2);
        let a1 = saturate(lean + ((self.a[0] * 32_640) >> 15)).clamp(-limit, limit);
        // UPZERO.
        let step = if d == 0 { 0 } else { 128 };
        let sign = d >> 15;
        for (b, past) in self.b.iter_mut().zip(&self.d) {
            let lean = if past >> 15 == sign { step } else { -step };
            *b = saturate(lean + ((*b * 32_640) >> 15));
        }
        // DELAYA.
        self.d.copy_within(..5, 1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        self.a = [a1, a2];
        // FILTEP, FILTEZ, PREDIC.
        let poles = self.a.iter().zip(&self.r);
        let sp: i32 = poles.map(|(a, r)| (a * saturate(r << 1)) >> 15).sum();
        let zeros = self.b.iter().zip(&self.d);
        let sz: i32 = zeros.map(|(b, d)| (b * saturate(d << 1)) >> 15).sum();
        self.sz = saturate(sz);
        self.s = saturate(saturate(sp) + self.sz);
    }

    /// Quantizes a sample of the lower band with 6 bits (blocks SUBTRA, QUANTL) and adapts.
    fn encode_low(&mut self, x: i32) -> u8 {
        let e = saturate(x - self.s);
        let size = if e < 0 { -(e + 1) } else { e };
        let levels = &Q6[1..];
        let interval = 1 + levels.partition_point(|level| size >= (level * self.det) >> 12);
        let code = if e < 0 { ILN[interval] } else { ILP[interval] };
        self.take_low(code);
        code
    }

    /// Adapts to a code of the lower band: only its upper four bits count (block INVQAL).
    fn take_low(&mut self, code: u8) {
        let upper = usize::from(code >> 2);
        let d = (self.det * QM4[upper]) >> 15;
        self.scale(WL[upper], NB_MAX_LOW, 8);
        self.adapt(d);
    }

    fn encode_high(&mut self, x: i32) -> u8 {
        let e = saturate(x - self.s);
        let size = if e < 0 { -(e + 1) } else { e };
        let outer = size >= (Q2 * self.det) >> 12;
        let code = match (e < 0, outer) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.take_high(code);
        code
    }

    fn take_high(&mut self, code: u8) {
        let code = usize::from(code);
        let d = (self.det * QM2[code]) >> 15;
        self.scale(WH[code], NB_MAX_HIGH, 10);
        self.adapt(d);
    }
}

/// Makes bytes of samples.
#[derive(Clone, Debug)]
pub struct Encoder {
    low: Band,
    high: Band,
    /// The last samples, oldest first.
    past: [i32; 22],
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            low: Band::new(DET_LOW),
            high: Band::new(DET_HIGH),
            past: [0; 22],
        }
    }
}

impl Encoder {
    /// Encodes two samples into each byte.
    ///
    /// # Panics
    /// If there are not two samples for each byte.
    pub fn encode(&mut self, samples: &[i16], codes: &mut [u8]) {
        assert_eq!(samples.len(), codes.len() * 2, "two samples a byte");
        for (pair, code) in samples.chunks_exact(2).zip(codes) {
            let (x_low, x_high) = analyze(&mut self.past, pair);
            let low = self.low.encode_low(x_low);
            let high = self.high.encode_high(x_high);
            *code = high << 6 | low;
        }
    }
}

impl Encoder {
    /// Takes note of bytes of somebody else's that were sent in place of ours, so that what is
    /// encoded next goes on where the far end's decoder is.
    pub fn pass(&mut self, codes: &[u8]) {
        pass(&mut self.low, &mut self.high, codes);
    }
}

/// Adapts both bands to bytes.
fn pass(low: &mut Band, high: &mut Band, codes: &[u8]) {
    for code in codes {
        low.take_low(code & 63);
        high.take_high(code >> 6);
    }
}

/// The transmit filter (clause 3.1): two samples become one of each band.
fn analyze(past: &mut [i32; 22], pair: &[i16]) -> (i32, i32) {
    let mut window = [0; 24];
    window[..22].copy_from_slice(past);
    window[22] = i32::from(pair[0]);
    window[23] = i32::from(pair[1]);
    let (mut even, mut odd) = (0, 0);
    for i in 0..12 {
        even += window[2 * i] * mirrored(2 * i);
        odd += window[2 * i + 1] * mirrored(2 * i + 1);
    }
    past.copy_from_slice(&window[2..]);
    (saturate((even + odd) >> 14), saturate((odd - even) >> 14))
}

const fn mirrored(tap: usize) -> i32 {
    QMF[if tap < 12 { tap } else { 23 - tap }]
}

/// Makes samples of bytes.
#[derive(Clone, Debug)]
pub struct Decoder {
    low: Band,
    high: Band,
    /// The last sums and differences of both bands, oldest first.
    past: [i32; 22],
    /// Filters what is played in place of what was lost, see [`Decoder::follow`].
    lost: [i32; 22],
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            low: Band::new(DET_LOW),
            high: Band::new(DET_HIGH),
            past: [0; 22],
            lost: [0; 22],
        }
    }
}

impl Decoder {
    /// Decodes each byte into two samples.
    ///
    /// # Panics
    /// If there are not two samples for each byte.
    pub fn decode(&mut self, codes: &[u8], samples: &mut [i16]) {
        assert_eq!(samples.len(), codes.len() * 2, "two samples a byte");
        for (code, pair) in codes.iter().zip(samples.chunks_exact_mut(2)) {
            // INVQBL, RECONS and LIMIT of the lower band; the higher one has no sixth bit to spare.
            let (low, high) = (code & 63, code >> 6);
            let d_low = (self.low.det * QM6[usize::from(low)]) >> 15;
            let r_low = (self.low.s + d_low).clamp(-16_384, 16_383);
            self.low.take_low(low);
            let d_high = (self.high.det * QM2[usize::from(high)]) >> 15;
            let r_high = (self.high.s + d_high).clamp(-16_384, 16_383);
            self.high.take_high(high);
            synthesize(&mut self.past, r_low, r_high, pair);
        }
    }

    /// Takes note of bytes that are not to be heard, so that those after them are.
    pub fn pass(&mut self, codes: &[u8]) {
        pass(&mut self.low, &mut self.high, codes);
    }

    /// Takes note of what was played in place of bytes that did not come, so that prediction and
    /// steps are near the far end's when they come again: as if an encoder here had made them. An
    /// odd sample at the end is left out.
    pub fn follow(&mut self, samples: &[i16]) {
        for pair in samples.chunks_exact(2) {
            let (x_low, x_high) = analyze(&mut self.lost, pair);
            self.low.encode_low(x_low);
            self.high.encode_high(x_high);
        }
    }
}

/// The receive filter (clause 4.4): one sample of each band become two.
fn synthesize(past: &mut [i32; 22], low: i32, high: i32, pair: &mut [i16]) {
    let mut window = [0; 24];
    window[..22].copy_from_slice(past);
    window[22] = low + high;
    window[23] = low - high;
    let (mut first, mut second) = (0, 0);
    for i in 0..12 {
        first += window[2 * i + 1] * mirrored(2 * i + 1);
        second += window[2 * i] * mirrored(2 * i);
    }
    past.copy_from_slice(&window[2..]);
    pair[0] = saturate(first >> 11) as i16;
    pair[1] = saturate(second >> 11) as i16;
}
