//! Counter-based random words and standard normals, a block or many at a time with the same bits.
//!
//! The generator is Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Normals come from
//! Box-Muller with polynomials in `+ - * /` and `sqrt` only, which IEEE 754 rounds identically everywhere, so the bits are
//! the same natively and in wasm.

use super::math::simd;

/// Blocks that are computed side by side.
const LANES: usize = 8;

/// Words of a block.
const WORDS: usize = 4;

/// The four random words of the block number `counter`.
#[inline]
pub fn philox(counter: [u32; WORDS], key: [u32; 2]) -> [u32; WORDS] {
    lanes(counter.map(|c| [c]), key).map(|[word]| word)
}

/// The words of blocks side by side.
#[inline(always)]
fn lanes<const W: usize>(mut c: [[u32; W]; WORDS], mut k: [u32; 2]) -> [[u32; W]; WORDS] {
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
        }
        let [c0, c1, c2, c3] = &mut c;
        for (((c0, c1), c2), c3) in c0.iter_mut().zip(c1).zip(c2).zip(c3) {
            let (p, q) = (0xD251_1F53u64 * u64::from(*c0), 0xCD9E_8D57u64 * u64::from(*c2));
            *c0 = (q >> 32) as u32 ^ *c1 ^ k[0];
            *c2 = (p >> 32) as u32 ^ *c3 ^ k[1];
            (*c1, *c3) = (q as u32, p as u32);
        }
    }
    c
}

/// Two standard normals from two random words. Tails end at 5.77 standard deviations (24-bit uniforms).
#[inline(always)]
pub fn normals(words: [u32; 2]) -> [f32; 2] {
    // In (0, 1]: the logarithm is finite.
    let u = ((words[0] >> 8) + 1) as i32 as f32 * (1.0 / (1 << 24) as f32);
    let radius = (-2.0 * ln(u)).sqrt();
    let (sin, cos) = sin_cos_turn(words[1]);
    [radius * cos, radius * sin]
}

/// Fills the front of `out` with the [`normals`] of consecutive whole blocks from number `counter` on, as many as can be
/// computed side by side, and returns their number; the first word of the counter counts.
pub fn fill_normals(key: [u32; 2], counter: [u32; WORDS], out: &mut [f32]) -> usize {
    fill(key, counter, out, four_normals)
}

/// [`fill_normals`] with the random words themselves.
pub fn fill_words(key: [u32; 2], counter: [u32; WORDS], out: &mut [u32]) -> usize {
    fill(key, counter, out, same)
}

#[inline(always)]
fn four_normals([a, b, c, d]: [u32; WORDS]) -> [f32; WORDS] {
    let ([e, f], [g, h]) = (normals([a, b]), normals([c, d]));
    [e, f, g, h]
}

#[inline(always)]
fn same(words: [u32; WORDS]) -> [u32; WORDS] {
    words
}

#[inline(always)]
fn fill<T: Copy + Default>(
    key: [u32; 2],
    counter: [u32; WORDS],
    out: &mut [T],
    make: impl Fn([u32; WORDS]) -> [T; WORDS] + Copy,
) -> usize {
    let (groups, _) = out.as_chunks_mut::<{ LANES * WORDS }>();
    for (i, group) in groups.iter_mut().enumerate() {
        let [first, rest @ ..] = counter;
        simd(|| fill_group(key, [first.wrapping_add((i * LANES) as u32), rest[0], rest[1], rest[2]], group, make));
    }
    groups.len() * LANES
}

#[inline(always)]
fn fill_group<T: Copy + Default>(
    key: [u32; 2],
    counter: [u32; WORDS],
    group: &mut [T; LANES * WORDS],
    make: impl Fn([u32; WORDS]) -> [T; WORDS] + Copy,
) {
    let first = std::array::from_fn(|lane| counter[0].wrapping_add(lane as u32));
    let words = lanes::<LANES>([first, [counter[1]; LANES], [counter[2]; LANES], [counter[3]; LANES]], key);
    let mut values = [[T::default(); LANES]; WORDS];
    for lane in 0..LANES {
        let made = make(std::array::from_fn(|word| words[word][lane]));
        values.iter_mut().zip(made).for_each(|(values, made)| values[lane] = made);
    }
    for (lane, block) in group.as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
        *block = std::array::from_fn(|word| values[word][lane]);
    }
}

/// Natural logarithm of a positive normal number, within 2 ulp (Cephes `logf`).
#[inline(always)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let (e, m) = (((bits >> 23) as i32 - 126) as f32, f32::from_bits((bits & 0x007F_FFFF) | 0x3F00_0000));
    let low = m < std::f32::consts::FRAC_1_SQRT_2;
    let (e, m) = (if low { e - 1.0 } else { e }, if low { m + m } else { m });
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
#[inline(always)]
pub fn sin_cos_turn(bits: u32) -> (f32, f32) {
    // Round to the nearest quarter turn; the remainder lies in [-1/8, 1/8) of a turn.
    let quadrant = bits.wrapping_add(1 << 29) >> 30;
    let rest = bits.wrapping_sub(quadrant << 30) as i32 as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let z = rest * rest;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * rest + rest;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    // Odd quadrants exchange the two; the second half of the turn has negative sines, quadrants 1 and 2 negative cosines.
    let (sin, cos) = if quadrant & 1 == 1 { (cos, sin) } else { (sin, cos) };
    let negative = |v: f32, bit: u32| f32::from_bits(v.to_bits() ^ (bit << 31));
    (negative(sin, (quadrant >> 1) & 1), negative(cos, ((quadrant >> 1) ^ quadrant) & 1))
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
    fn many_blocks_have_the_bits_of_single_ones() {
        let (key, counter) = ([3, 5], [u32::MAX - 7, 2, 9, 1]);
        let mut found = [0.0; 3 * LANES * WORDS + 5];
        assert_eq!(fill_normals(key, counter, &mut found), 3 * LANES);
        for (i, block) in found[..3 * LANES * WORDS].as_chunks::<WORDS>().0.iter().enumerate() {
            let [a, b, c, d] = philox([counter[0].wrapping_add(i as u32), 2, 9, 1], key);
            let ([p, q], [r, s]) = (normals([a, b]), normals([c, d]));
            assert_eq!(block.map(f32::to_bits), [p, q, r, s].map(f32::to_bits), "block {i}");
        }
        assert_eq!(found[3 * LANES * WORDS..], [0.0; 5]);
        let mut words = [0; LANES * WORDS];
        assert_eq!(fill_words(key, counter, &mut words), LANES);
        assert_eq!(words[WORDS..2 * WORDS], philox([counter[0] + 1, 2, 9, 1], key));
    }
}
