//! Fixtures that the tests of several networks share.

use super::source::Tensors;
use crate::data::pixels::Bytes;
use anyhow::Result;
use diffem::image::ImageShape;
use std::path::PathBuf;

/// Weights by formula, the same as in golden/formula.py: a hash of the tensor's name and the value's index.
pub struct Formula;

impl Tensors for Formula {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (n, row) = (shape.iter().product::<usize>(), shape[1..].iter().product::<usize>());
        let seed =
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let value = |u: f64| match (name.ends_with("_embed") || name.ends_with("_token"), shape.len()) {
            (true, _) => u,
            // The weights of a distance are not negative.
            _ if name.starts_with("lin") => u.abs(),
            // Gains and variances are near 1, biases and means near 0.
            (_, 1) if ["weight", "running_var", "gamma"].iter().any(|end| name.ends_with(end)) => 1.0 + u / 4.0,
            (_, 1) => u / 4.0,
            // This scale preserves the mean square through a ReLU.
            _ => u * (6.0 / row as f64).sqrt(),
        };
        Ok((0..n as u64).map(|i| value(unit(seed.wrapping_add(i))) as f32).collect())
    }
}

/// Number in [-1, 1) with 24 bits (splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
fn unit(i: u64) -> f64 {
    let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
}

/// Path in an environment variable; prints that the test is skipped if the variable is not set.
pub fn given(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).map(Into::into);
    if value.is_none() {
        eprintln!("SKIPPED: {variable} is not set");
    }
    value
}

/// Returns the same picture as golden/formula.py.
pub fn picture(shape: ImageShape) -> Bytes {
    let value = |c: usize, i: usize, j: usize| ((i * i + 3 * i * j + 7 * j + 50 * c) % 256) as u8;
    let planes = (0..shape.channels)
        .flat_map(|c| (0..shape.height).flat_map(move |i| (0..shape.width).map(move |j| value(c, i, j))));
    Bytes { planes: planes.collect(), shape }
}

/// Asserts that no value differs by more than `tolerance` times the largest expected one.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance * scale, "{worst} of {scale}");
}
