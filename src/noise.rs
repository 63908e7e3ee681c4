//! Counter-based random numbers: every draw is a function of (seed, purpose, lap, index, step), so that no
//! result depends on the order of draws, the shard size or the number of workers.
//!
//! The generator is Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
//! Normals come from Box-Muller with polynomials in `+ - * /` and `sqrt` only, which IEEE 754 rounds
//! identically everywhere, so the bits are the same natively and in wasm.

/// What the numbers are for; distinct purposes have independent streams for the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Synthetic ground truth.
    Truth = 1,
    /// Making the observations.
    Observe = 2,
    /// Initial network weights.
    Weights = 3,
    /// Draws of the Gaussian start.
    Start = 4,
    /// Order of the M-step's mini-batches.
    Shuffle = 5,
    /// The M-step's fresh corruption.
    Corrupt = 6,
    /// Noise levels and noise of the denoising loss.
    Loss = 7,
    /// The E-step's sampler.
    Sample = 8,
    /// Re-corruption for the held-out comparison.
    Monitor = 9,
    /// Splits and subsamples.
    Split = 10,
    /// Projection directions of sliced distances.
    Directions = 11,
    /// Draws requested after training.
    Draw = 12,
    /// Dropout in training.
    Dropout = 13,
    /// Mirrored images in training.
    Flip = 14,
    /// Ranks, reference points and bootstrap of calibration.
    Calibrate = 15,
    /// Clean signals in training.
    Clean = 16,
}

/// Names a family of streams: one seed, one purpose, one lap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u32; 2]);

/// SplitMix64's finalizer: a bijection that spreads every input bit (Steele et al. 2014).
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Key {
    /// Key of `(seed, purpose, lap)`.
    pub fn new(seed: u64, purpose: Purpose, lap: usize) -> Self {
        let k = mix(mix(seed) ^ mix(((purpose as u64) << 40) ^ lap as u64));
        Self([k as u32, (k >> 32) as u32])
    }

    /// The stream of item `index` (an observation, a row) at `step`.
    pub fn stream(self, index: usize, step: usize) -> Stream {
        Stream {
            key: self.0,
            counter: [0, step as u32, index as u32, (index as u64 >> 32) as u32],
            buffer: [0; 4],
            used: 4,
            spare: None,
        }
    }

    /// The streams at `step` of the items from number `first` on.
    pub fn rows(self, first: usize, step: usize) -> RowStreams {
        RowStreams { key: self, first, step }
    }
}

/// The streams of the rows of a micro-batch at one step; see [`Key::rows`].
#[derive(Clone, Copy, Debug)]
pub struct RowStreams {
    key: Key,
    first: usize,
    step: usize,
}

impl RowStreams {
    /// The stream of the micro-batch's row `row`, from 0.
    pub fn row(self, row: usize) -> Stream {
        self.key.stream(self.first + row, self.step)
    }
}

/// One stream of random numbers; see [`Key::stream`].
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    buffer: [u32; 4],
    used: usize,
    spare: Option<f32>,
}

impl Stream {
    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == 4 {
            self.buffer = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.buffer[self.used - 1]
    }

    /// Uniform on [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        let bits = ((self.bits() as u64) << 32) | self.bits() as u64;
        (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform integer in `0..n`, `n > 0`. Multiply-shift on 64 bits: bias below n / 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        let bits = ((self.bits() as u64) << 32) | self.bits() as u64;
        ((bits as u128 * n as u128) >> 64) as usize
    }

    /// Standard normal. Tails end at 5.77 standard deviations (24-bit uniforms).
    pub fn normal(&mut self) -> f32 {
        if let Some(z) = self.spare.take() {
            return z;
        }
        // u in (0, 1]: the logarithm is finite.
        let u = ((self.bits() >> 8) + 1) as f32 * (1.0 / (1 << 24) as f32);
        let radius = (-2.0 * ln(u)).sqrt();
        let (sin, cos) = sin_cos_turn(self.bits());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Fills `out` with standard normals.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        out.iter_mut().for_each(|z| *z = self.normal());
    }

    /// A permutation of `0..n` (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
        }
        let (p, q) = (0xD251_1F53u64 * c[0] as u64, 0xCD9E_8D57u64 * c[2] as u64);
        c = [(q >> 32) as u32 ^ c[1] ^ k[0], q as u32, (p >> 32) as u32 ^ c[3] ^ k[1], p as u32];
    }
    c
}

/// Natural logarithm of a positive normal number, within 2 ulp (Cephes `logf`).
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let (mut e, mut m) = (((bits >> 23) as i32 - 126) as f32, f32::from_bits((bits & 0x007F_FFFF) | 0x3F00_0000));
    if m < std::f32::consts::FRAC_1_SQRT_2 {
        e -= 1.0;
        m += m;
    }
    let r = m - 1.0;
    let z = r * r;
    let coefficients = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_87e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let p = coefficients.iter().fold(0.0f32, |acc, c| acc * r + c) * r * z;
    r + (p - 2.121_944_4e-4 * e - 0.5 * z) + 0.693_359_4 * e
}

/// Sine and cosine of the angle `2 pi bits / 2^32`, within 1e-7: exact quadrant, polynomial on [-pi/4, pi/4].
pub(crate) fn sin_cos_turn(bits: u32) -> (f32, f32) {
    // Round to the nearest quarter turn; the remainder lies in [-1/8, 1/8) of a turn.
    let quadrant = bits.wrapping_add(1 << 29) >> 30;
    let rest = bits.wrapping_sub(quadrant << 30) as i32 as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let z = rest * rest;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * rest + rest;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    match quadrant & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_known_answers() {
        // Random123's kat_vectors for philox4x32, 10 rounds.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let c = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(c, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn elementary_functions_are_accurate() {
        for i in 1..=10_000u32 {
            let u = i as f32 / 10_000.0;
            assert!((ln(u) as f64 - (u as f64).ln()).abs() < 2e-7 * (1.0 + (u as f64).ln().abs()), "ln {u}");
            let bits = i.wrapping_mul(429_497);
            let angle = bits as f64 / 4_294_967_296.0 * std::f64::consts::TAU;
            let (s, c) = sin_cos_turn(bits);
            assert!(
                (s as f64 - angle.sin()).abs() < 1.5e-7 && (c as f64 - angle.cos()).abs() < 1.5e-7,
                "angle {angle}"
            );
        }
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let n = 400_000;
        let mut s = Key::new(7, Purpose::Loss, 0).stream(3, 1);
        let z: Vec<f64> = (0..n).map(|_| s.normal() as f64).collect();
        let moment = |p: i32| z.iter().map(|v| v.powi(p)).sum::<f64>() / n as f64;
        // Five standard errors of each moment: var(z^p) / n.
        for (p, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let bound = 5.0 * (variance / n as f64).sqrt();
            assert!((moment(p) - expected).abs() < bound, "moment {p}: {}", moment(p));
        }
    }

    #[test]
    fn streams_differ_in_every_coordinate() {
        let first = |seed, purpose, lap, index, step| Key::new(seed, purpose, lap).stream(index, step).bits();
        let base = first(1, Purpose::Loss, 1, 1, 1);
        let others = [
            first(2, Purpose::Loss, 1, 1, 1),
            first(1, Purpose::Sample, 1, 1, 1),
            first(1, Purpose::Loss, 2, 1, 1),
            first(1, Purpose::Loss, 1, 2, 1),
            first(1, Purpose::Loss, 1, 1, 2),
            first(1, Purpose::Loss, 1, 1 + (1 << 33), 1),
        ];
        assert!(others.iter().all(|o| *o != base));
    }

    #[test]
    fn permutations_are_uniform_enough() {
        let mut s = Key::new(1, Purpose::Shuffle, 0).stream(0, 0);
        let mut counts = [0usize; 6];
        for _ in 0..6000 {
            let p = s.permutation(3);
            counts[p[0] * 2 + usize::from(p[1] > p[2])] += 1;
        }
        // Multinomial, 1000 expected each, standard deviation 29.
        assert!(counts.iter().all(|c| c.abs_diff(1000) < 150), "{counts:?}");
    }
}
