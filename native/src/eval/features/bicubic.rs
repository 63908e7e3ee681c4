//! Resizes 8-bit images bit for bit as `Image.resize(..., BICUBIC)` of Pillow 3 to 12 does: cubic convolution
//! with a = -1/2 (Keys, "Cubic convolution interpolation for digital image processing", 1981), widened if
//! the image shrinks, in fixed point with 22 bits, along rows and then along columns. (Pillow 13 resizes
//! columns first if the height shrinks more than the width.)

use crate::data::pixels::Bytes;

/// Number of fractional bits of the coefficients.
const BITS: u32 = 22;
/// Kernel parameter a of Pillow.
const PILLOW: f64 = -0.5;

/// Input values that contribute to one output value, and their weights.
struct Tap {
    first: usize,
    weights: Vec<i64>,
}

/// Resizes `plane [height, width]` to `[size, size]`.
pub fn resize(plane: &[u8], (height, width): (usize, usize), size: usize) -> Vec<u8> {
    let wide = if width == size { plane.to_vec() } else { along_rows(plane, width, &taps(width, size)) };
    if height == size {
        return wide;
    }
    let columns = along_rows(&transposed(&wide, size), height, &taps(height, size));
    transposed(&columns, size)
}

/// Resizes the image and maps each byte of channel c to `value(c, byte)`: `[3, size, size]`. A gray image is
/// repeated three times.
pub fn planes(image: &Bytes, size: usize, value: impl Fn(usize, u8) -> f32) -> Vec<f32> {
    let (shape, channels) = (image.shape, image.shape.channels);
    let resized: Vec<Vec<u8>> =
        (0..channels).map(|c| resize(image.plane(c), (shape.height, shape.width), size)).collect();
    (0..3).flat_map(|c| resized[c % channels].iter().map(move |v| (c, *v))).map(|(c, v)| value(c, v)).collect()
}

/// Transposes `[rows, columns]` to `[columns, rows]`.
fn transposed(plane: &[u8], columns: usize) -> Vec<u8> {
    (0..columns).flat_map(|j| plane[j..].iter().step_by(columns).copied()).collect()
}

fn along_rows(plane: &[u8], width: usize, taps: &[Tap]) -> Vec<u8> {
    let value = |row: &[u8], tap: &Tap| {
        let sum: i64 = row[tap.first..].iter().zip(&tap.weights).map(|(&v, w)| i64::from(v) * w).sum();
        ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
    };
    plane.chunks_exact(width).flat_map(|row| taps.iter().map(move |tap| value(row, tap))).collect()
}

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let reach = 2.0 * widened;
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let last = ((center + reach + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..last).map(|j| cubic((j as f64 - center + 0.5) / widened, PILLOW)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |w: &f64| (w / sum * f64::from(1u32 << BITS)).round() as i64;
        Tap { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

/// Keys's kernel with parameter `a` at distance `x`.
pub fn cubic(x: f64, a: f64) -> f64 {
    match x.abs() {
        x if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        height: usize,
        width: usize,
        size: usize,
        image: Vec<u8>,
        resized: Vec<u8>,
    }

    /// Fixture: native/tests/golden/features.py.
    #[test]
    fn every_byte_is_that_of_pillow() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/golden/resize.json")).unwrap();
        for case in &cases {
            let found = resize(&case.image, (case.height, case.width), case.size);
            assert_eq!(found, case.resized, "{} x {} to {}", case.height, case.width, case.size);
        }
        assert!(cases.iter().any(|c| c.size > c.width) && cases.iter().any(|c| c.size < c.width));
    }

    #[test]
    fn an_image_of_the_right_size_stays() {
        let image: Vec<u8> = (0..36).map(|i| i * 7).collect();
        assert_eq!(resize(&image, (6, 6), 6), image);
    }
}
