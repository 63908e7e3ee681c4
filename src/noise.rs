//! Counter-based random numbers: every draw is a function of (seed, purpose, lap, index, step), so that no
//! result depends on the order of draws, the shard size or the number of workers.
//!
//! The generator is [`diffem_kernels::random`].

use diffem_kernels::random;

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
            buffer: [0; WORDS],
            used: WORDS,
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

/// Words of a block of the generator.
const WORDS: usize = 4;

/// One stream of random numbers; see [`Key::stream`].
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    buffer: [u32; WORDS],
    used: usize,
    spare: Option<f32>,
}

impl Stream {
    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == WORDS {
            self.buffer = random::philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.buffer[self.used - 1]
    }

    /// Uniform on [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        uniform([self.bits(), self.bits()])
    }

    /// Fills `out` with 1 where a [`Stream::uniform`] number is at least `rate`, and 0 elsewhere.
    pub fn fill_at_least(&mut self, rate: f64, out: &mut [f32]) {
        let mut words = [0; 512];
        for part in out.chunks_mut(words.len() / 2) {
            let words = &mut words[..2 * part.len()];
            self.fill_bits(words);
            for (value, [high, low]) in part.iter_mut().zip(words.as_chunks().0) {
                *value = f32::from(uniform([*high, *low]) >= rate);
            }
        }
    }

    /// Fills `out` with the words that [`Stream::bits`] would return, many at a time.
    fn fill_bits(&mut self, out: &mut [u32]) {
        // What is left of the current block comes first.
        let (ragged, whole) = out.split_at_mut(out.len().min(WORDS - self.used));
        ragged.iter_mut().for_each(|word| *word = self.bits());
        let rest = self.fill_blocks(whole, random::fill_words);
        rest.iter_mut().for_each(|word| *word = self.bits());
    }

    /// Lets `fill` compute whole blocks of `out`, unless the stream stands within a block, and returns the rest.
    fn fill_blocks<'o, T>(
        &mut self,
        out: &'o mut [T],
        fill: impl Fn([u32; 2], [u32; WORDS], &mut [T]) -> usize,
    ) -> &'o mut [T] {
        let blocks = if self.used == WORDS { fill(self.key, self.counter, out) } else { 0 };
        self.counter[0] = self.counter[0].wrapping_add(blocks as u32);
        &mut out[blocks * WORDS..]
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
        let [first, second] = random::normals([self.bits(), self.bits()]);
        self.spare = Some(second);
        first
    }

    /// Fills `out` with the standard normals that [`Stream::normal`] would return, many at a time.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        // What is left of the current block comes first.
        let ragged = out.len().min(usize::from(self.spare.is_some()) + WORDS - self.used);
        let (ragged, whole) = out.split_at_mut(ragged);
        ragged.iter_mut().for_each(|z| *z = self.normal());
        let rest = self.fill_blocks(whole, random::fill_normals);
        rest.iter_mut().for_each(|z| *z = self.normal());
    }

    /// Writes x + `std` z with fresh standard normals z into `out`, which is as long as `x`.
    pub fn add_noise(&mut self, x: &[f32], std: f32, out: &mut [f32]) {
        self.fill_normal(out);
        out.iter_mut().zip(x).for_each(|(z, x)| *z = x + std * *z);
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

/// A number in [0, 1) from two random words.
fn uniform([high, low]: [u32; 2]) -> f64 {
    let bits = (u64::from(high) << 32) | u64::from(low);
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From wherever in a block a stream is, and with a normal to spare or without.
    #[test]
    fn many_normals_are_those_drawn_one_by_one() {
        for (words, odd) in [(0, 0), (0, 1), (0, 3), (2, 0), (2, 1), (1, 0), (3, 1)] {
            let mut one = Key::new(7, Purpose::Loss, 0).stream(3, 1);
            (0..words).for_each(|_| _ = one.bits());
            (0..odd).for_each(|_| _ = one.normal());
            let mut many = one.clone();
            for n in [0, 1, 2, 5, 300, 64, 1000] {
                let mut found = vec![0.0; n];
                many.fill_normal(&mut found);
                assert_eq!(
                    found,
                    (0..n).map(|_| one.normal()).collect::<Vec<_>>(),
                    "{words} words, {odd} normals, {n}"
                );
            }
            for n in [1, 3, 700] {
                let mut found = vec![0.0; n];
                many.fill_at_least(0.3, &mut found);
                assert_eq!(found, (0..n).map(|_| f32::from(one.uniform() >= 0.3)).collect::<Vec<_>>());
            }
            assert_eq!(many.bits(), one.bits());
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
