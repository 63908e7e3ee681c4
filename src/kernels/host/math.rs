//! Branch-free elementary functions that vectorize.

/// Runs `f` compiled for AVX2 where the processor has it. No multiply-add is contracted, so both versions
/// give the same bits. `f` must be small enough to be inlined, with its callees marked `inline(always)`.
#[inline(always)]
pub(crate) fn simd<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fast<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the features were just detected.
            return unsafe { fast(f) };
        }
    }
    f()
}

/// exp(x) within 2 ulp on [-87, 88], clamped outside (Cephes `expf`).
#[inline(always)]
#[allow(clippy::excessive_precision)] // Cephes' constants as published
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding 1.5 * 2^23 rounds to the nearest integer, which is then in the lowest bits.
    let rounded = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = rounded - 12_582_912.0;
    let r = x - n * 0.693_359_375;
    let r = r - n * -2.121_944_4e-4;
    let p = 1.987_569_15e-4f32;
    let p = p * r + 1.398_199_95e-3;
    let p = p * r + 8.333_451_9e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_55e-1;
    let p = p * r + 5.000_000_1e-1;
    let y = p * r * r + r + 1.0;
    // 2^n: the shift leaves only n, in [-126, 127], in the place of the exponent.
    y * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Adds the rows of `values [n, m]` to `sums [m]`.
pub fn add_rows(values: &[f32], sums: &mut [f32]) {
    simd(|| {
        for row in values.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
    });
}

/// Sum of `f([a[i], b[i], ...])` over the indices i of slices of equal length, in eight interleaved lanes: a
/// fixed order that vectorizes.
#[inline(always)]
pub(crate) fn sum_lanes<const K: usize>(slices: [&[f32]; K], f: impl Fn([f32; K]) -> f32) -> f32 {
    let split = slices.map(|slice| slice.as_chunks::<8>());
    let mut lanes = [0.0f32; 8];
    for i in 0..split[0].0.len() {
        let block = split.map(|(whole, _)| whole[i]);
        for (j, lane) in lanes.iter_mut().enumerate() {
            *lane += f(block.map(|values| values[j]));
        }
    }
    let rest: f32 = (0..split[0].1.len()).map(|i| f(split.map(|(_, rest)| rest[i]))).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let exact = (x as f64).exp();
            assert!((exp(x) as f64 / exact - 1.0).abs() < 3e-7, "exp({x})");
        }
    }

    #[test]
    fn sigmoid_saturates_without_nan() {
        assert_eq!(sigmoid(200.0), 1.0);
        assert!(sigmoid(-200.0) < 1e-37 && sigmoid(f32::NEG_INFINITY) < 1e-37);
    }
}
