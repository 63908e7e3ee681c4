//! Vector arithmetic without intrinsics: plain loops over [`LANES`] values that the compiler turns into
//! vector instructions, compiled once per generation of processor and chosen at run time.

/// Number of columns that a kernel handles together: a multiple of every vector width, and few enough to
/// stay in registers.
pub(super) const LANES: usize = 32;

/// Work that is worth compiling several times. `run` must be `#[inline(always)]`: it takes the instruction
/// set of its caller.
pub(super) trait Kernel {
    type Output;

    /// Does the work. `FMA` says whether `f64::mul_add` is one instruction (it is a slow
    /// library call otherwise).
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs `kernel` with the widest vectors that this processor has.
pub(super) fn run_widest<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the instructions, checked on the line above.
            return unsafe { run_avx512(kernel) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { run_avx2(kernel) };
        }
    }
    run_portable(kernel)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

/// Runs `kernel` with only what the compilation target guarantees: WebAssembly, ARM, old x86.
fn run_portable<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<{ cfg!(any(target_arch = "aarch64", target_feature = "fma")) }>()
}

/// a b + c, rounded once where that is one instruction.
#[inline(always)]
fn mul_add<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Squared distances |x - y_j|² from `x [d]` to [`LANES`] columns of a tile `[d, stride]` that starts at
/// the first of them.
#[inline(always)]
pub(super) fn squared_distances<const FMA: bool>(x: &[f64], tile: &[f64], stride: usize) -> [f64; LANES] {
    let mut squares = [0.0; LANES];
    for (k, &x_k) in x.iter().enumerate() {
        let y: &[f64; LANES] = tile[k * stride..].first_chunk().expect("a tile holds LANES columns a coordinate");
        for j in 0..LANES {
            let gap = x_k - y[j];
            squares[j] = mul_add::<FMA>(gap, gap, squares[j]);
        }
    }
    squares
}

/// Squared distances to the box `[low, high]` (`[d]` each) from [`LANES`] columns of a tile, as above.
#[inline(always)]
pub(super) fn squared_gaps<const FMA: bool>(low: &[f64], high: &[f64], tile: &[f64], stride: usize) -> [f64; LANES] {
    let mut squares = [0.0; LANES];
    for (k, (&low, &high)) in low.iter().zip(high).enumerate() {
        let y: &[f64; LANES] = tile[k * stride..].first_chunk().expect("a tile holds LANES columns a coordinate");
        for j in 0..LANES {
            let (below, above) = (low - y[j], y[j] - high);
            let side = if below > above { below } else { above };
            let gap = if side > 0.0 { side } else { 0.0 };
            squares[j] = mul_add::<FMA>(gap, gap, squares[j]);
        }
    }
    squares
}

/// The largest of the lanes.
#[inline(always)]
pub(super) fn maximum(lanes: &[f64; LANES]) -> f64 {
    fold(lanes, |a, b| if a > b { a } else { b })
}

/// The sum of the lanes.
#[inline(always)]
pub(super) fn sum(lanes: &[f64; LANES]) -> f64 {
    fold(lanes, |a, b| a + b)
}

/// Folds vectors of eight first, then the eight by halves: no chain of [`LANES`] dependent steps.
#[inline(always)]
fn fold(lanes: &[f64; LANES], op: impl Fn(f64, f64) -> f64) -> f64 {
    let mut folded = [0.0; 8];
    folded.copy_from_slice(&lanes[..8]);
    for eight in lanes[8..].chunks_exact(8) {
        for j in 0..8 {
            folded[j] = op(folded[j], eight[j]);
        }
    }
    let [a, b, c, d, e, f, g, h] = folded;
    op(op(op(a, e), op(c, g)), op(op(b, f), op(d, h)))
}

/// exp(t) for t <= 0 to 1e-14 relative, without a branch: t = k ln 2 + r, |r| <= ln 2 / 2, and exp(r) by its
/// series up to r^11 (whose remainder is below 7e-15). Below -708, where f64 has no normal numbers left, it
/// stays at exp(-708) = 3e-308.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(t: f64) -> f64 {
    // Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let t = if t > -708.0 { t } else { -708.0 };
    let shifted = mul_add::<FMA>(t, std::f64::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = mul_add::<FMA>(k, -LN2_LOW, mul_add::<FMA>(k, -LN2_HIGH, t));
    let power_of_two = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    series::<FMA>(r) * power_of_two
}

/// Σ_{k <= 11} r^k / k!, by pairs (Estrin) so that the products do not wait for each other.
#[inline(always)]
fn series<const FMA: bool>(r: f64) -> f64 {
    let pair = |k: usize| mul_add::<FMA>(r, INVERSE_FACTORIAL[k + 1], INVERSE_FACTORIAL[k]);
    let (r2, r4) = (r * r, (r * r) * (r * r));
    let low = mul_add::<FMA>(pair(2), r2, pair(0));
    let middle = mul_add::<FMA>(pair(6), r2, pair(4));
    let high = mul_add::<FMA>(pair(10), r2, pair(8));
    mul_add::<FMA>(mul_add::<FMA>(high, r4, middle), r4, low)
}

const INVERSE_FACTORIAL: [f64; 12] = {
    let mut table = [1.0; 12];
    let mut k = 1;
    while k < 12 {
        table[k] = table[k - 1] / k as f64;
        k += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn worst_error<const FMA: bool>() -> f64 {
        let at = |i: i32| f64::from(i) * -0.001_3;
        (0..500_000).map(|i| (exp::<FMA>(at(i)) / at(i).exp() - 1.0).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn exp_agrees_with_the_standard_library() {
        assert!(worst_error::<true>() < 1e-14, "{}", worst_error::<true>());
        assert!(worst_error::<false>() < 1e-14, "{}", worst_error::<false>());
    }

    #[test]
    fn exp_of_nothing_is_nothing() {
        assert!(exp::<false>(f64::NEG_INFINITY) < 1e-300);
        assert_eq!(exp::<false>(0.0), 1.0);
    }

    #[test]
    fn folds_see_every_lane() {
        for j in 0..LANES {
            let mut lanes = [0.0; LANES];
            lanes[j] = 2.0;
            assert_eq!((sum(&lanes), maximum(&lanes)), (2.0, 2.0));
        }
    }

    struct Distances<'a>(&'a [f64], &'a [f64]);

    impl Kernel for Distances<'_> {
        type Output = [f64; LANES];
        #[inline(always)]
        fn run<const FMA: bool>(self) -> [f64; LANES] {
            squared_distances::<FMA>(self.0, self.1, LANES)
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_distances() {
        let tile: Vec<f64> = (0..2 * LANES).map(|i| (i as f64 * 0.37).sin()).collect();
        let x = [1.0, -2.0];
        let wide = run_widest(Distances(&x, &tile));
        let plain = run_portable(Distances(&x, &tile));
        for j in 0..LANES {
            let expected = (x[0] - tile[j]).powi(2) + (x[1] - tile[LANES + j]).powi(2);
            assert!((wide[j] - expected).abs() < 1e-12 && (plain[j] - expected).abs() < 1e-12);
        }
    }
}
