//! Dropout's random bits: one 32-bit integer per value, defined by operations that every backend has.
//!
//! ```text
//! drop ⇔ (mix(w ⊕ mix(p)) · f(c) mod 2³²) as a signed integer < threshold(rate)
//! ```
//!
//! with a random word w for each layer and image, the pixel p and the channel c. The mixed word of a pixel is shared by its
//! channels and multiplied by an odd factor f(c) of theirs (Dietzfelbinger et al. 1997, multiplicative hashing), so that a
//! device spends one multiplication per value; the mixing is that of C. Wellons' `lowbias32`.

use super::math::simd;

/// Spreads every input bit over the whole word; a bijection.
pub const fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(MULTIPLIERS[0]);
    x ^= x >> 15;
    x = x.wrapping_mul(MULTIPLIERS[1]);
    x ^ (x >> 16)
}

/// The two multipliers of [`mix`], whose shifts are 16, 15 and 16.
pub const MULTIPLIERS: [u32; 2] = [0x7feb_352d, 0x846c_a68b];

/// The factor f of a channel, an odd number.
pub const fn factor(channel: usize) -> u32 {
    mix(channel as u32 + 1) | 1
}

/// The smallest signed integer that is kept where values are dropped with probability `rate`, in [0, 1).
pub fn threshold(rate: f64) -> i32 {
    ((rate * 2f64.powi(32)) as i64 - (1 << 31)) as i32
}

/// The scale of the values that are kept, with which the mean is unchanged.
pub fn kept(rate: f64) -> f32 {
    (1.0 / (1.0 - rate)) as f32
}

/// 0 for dropped values and [`kept`] for the others, `[n · pixels, channels]`, of images with the random `words [n]`.
pub fn dropout_mask(words: &[u32], pixels: usize, channels: usize, rate: f64) -> Vec<f32> {
    let factors: Vec<i32> = (0..channels).map(|c| factor(c) as i32).collect();
    let places: Vec<u32> = (0..pixels as u32).map(mix).collect();
    let (threshold, kept) = (threshold(rate), kept(rate));
    let mut mask = vec![0.0; words.len() * pixels * channels];
    let keys = words.iter().flat_map(|word| places.iter().map(move |place| mix(word ^ place) as i32));
    for (row, key) in mask.chunks_exact_mut(channels).zip(keys) {
        simd(|| {
            for (value, factor) in row.iter_mut().zip(&factors) {
                *value = if key.wrapping_mul(*factor) < threshold { 0.0 } else { kept };
            }
        });
    }
    mask
}
