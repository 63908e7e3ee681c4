//! Matrix products for processors with short vectors and few registers, which WebAssembly has to expect.
//! Tiles of four rows by eight columns are summed at a time, in eight of sixteen registers. The larger
//! tiles that suit fused multiply-adds do not fit there beside their factors and products, and reach two
//! thirds of the speed.

use four::Four;

/// Rows and columns of a tile.
const ROWS: usize = 4;
const COLUMNS: usize = 8;
/// Number of values of the left factor that are used with all columns before the next ones, so that they
/// stay in the cache.
const CACHED: usize = 1 << 14;

/// A factor: its first value, and the strides between neighbors in a column and in a row.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    pub(super) start: *const f32,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Factor {
    /// # Safety
    /// Row `i`, column `j` must lie in the factor.
    #[inline(always)]
    unsafe fn at(self, i: usize, j: usize) -> *const f32 {
        // SAFETY: guaranteed by the caller.
        unsafe { self.start.add(i * self.row + j * self.column) }
    }
}

/// Writes a b into `out`, or adds it to `out` if `add`; a is m x k, b is k x n, and the rows of `out` start `stride` values
/// apart.
///
/// # Safety
/// The factors must hold m x k and k x n values, and `out` must have room for m rows of n values, initialized if `add`.
pub(super) unsafe fn multiply(
    a: Factor,
    b: Factor,
    [m, n, k]: [usize; 3],
    (out, stride): (*mut f32, usize),
    add: bool,
) {
    // Columns that are not eight consecutive values are packed.
    let ready = if b.column == 1 { n - n % COLUMNS } else { 0 };
    // SAFETY: the columns belong to b.
    let packed = unsafe { pack(b, ready, n, k) };
    let block = (CACHED / k.max(1)).max(1).next_multiple_of(ROWS);
    for top in (0..m).step_by(block) {
        let bottom = m.min(top + block);
        for left in (0..n).step_by(COLUMNS) {
            // SAFETY: column `left` and its neighbors belong to b or are packed.
            let panel = unsafe {
                if left < ready {
                    Factor { start: b.at(0, left), ..b }
                } else {
                    Factor { start: packed.as_ptr().add((left - ready) * k), row: COLUMNS, column: 1 }
                }
            };
            let width = COLUMNS.min(n - left);
            let mut i = top;
            while i < bottom {
                // SAFETY: the rows from i on belong to a and to `out`.
                unsafe {
                    let (a, out) = (Factor { start: a.at(i, 0), ..a }, out.add(i * stride + left));
                    if i + ROWS <= bottom {
                        store(tile::<ROWS>(a, panel, k), out, stride, width, add);
                        i += ROWS;
                    } else {
                        store(tile::<1>(a, panel, k), out, stride, width, add);
                        i += 1;
                    }
                }
            }
        }
    }
}

/// Packs columns `from..to` of b in panels of eight, with zeros beyond the last column: `[panels, k, 8]`.
///
/// # Safety
/// The columns must belong to b.
unsafe fn pack(b: Factor, from: usize, to: usize, k: usize) -> Vec<f32> {
    let mut packed = vec![0.0; (to - from).next_multiple_of(COLUMNS) * k];
    for j in from..to {
        let place = (j - from) / COLUMNS * COLUMNS * k + (j - from) % COLUMNS;
        for (p, value) in packed[place..].iter_mut().step_by(COLUMNS).take(k).enumerate() {
            // SAFETY: guaranteed by the caller.
            *value = unsafe { *b.at(p, j) };
        }
    }
    packed
}

/// The products of `R` rows of a and eight columns.
///
/// # Safety
/// `a` must hold `R` x k values, and `panel` k x 8.
#[inline(always)]
unsafe fn tile<const R: usize>(a: Factor, panel: Factor, k: usize) -> [[f32; COLUMNS]; R] {
    let mut sums = [[Four::ZERO; 2]; R];
    for p in 0..k {
        // SAFETY: guaranteed by the caller.
        let b = unsafe { [Four::load(panel.at(p, 0)), Four::load(panel.at(p, 4))] };
        for (r, [low, high]) in sums.iter_mut().enumerate() {
            // SAFETY: guaranteed by the caller.
            let x = Four::splat(unsafe { *a.at(r, p) });
            (*low, *high) = (low.plus(x.times(b[0])), high.plus(x.times(b[1])));
        }
    }
    sums.map(|[low, high]| {
        let mut row = [0.0; COLUMNS];
        row[..4].copy_from_slice(&low.values());
        row[4..].copy_from_slice(&high.values());
        row
    })
}

/// Writes, or adds if `add`, the first `width` values of each row.
///
/// # Safety
/// `out` must have room for them, in rows `stride` apart, and hold values if `add`.
#[inline(always)]
unsafe fn store<const R: usize>(sums: [[f32; COLUMNS]; R], out: *mut f32, stride: usize, width: usize, add: bool) {
    for (r, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate().take(width) {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let place = out.add(r * stride + j);
                place.write(if add { place.read() + sum } else { *sum });
            }
        }
    }
}

/// Four lanes, written out because the compiler does not vectorize the loop over a tile by itself.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod four {
    use core::arch::wasm32::{f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, v128, v128_load};

    #[derive(Clone, Copy)]
    pub(super) struct Four(v128);

    impl Four {
        pub(super) const ZERO: Self = Self(core::arch::wasm32::f32x4(0.0, 0.0, 0.0, 0.0));

        /// # Safety
        /// `from` must point to four values.
        #[inline(always)]
        pub(super) unsafe fn load(from: *const f32) -> Self {
            // SAFETY: guaranteed by the caller; a load needs no alignment.
            Self(unsafe { v128_load(from.cast()) })
        }

        #[inline(always)]
        pub(super) fn splat(value: f32) -> Self {
            Self(f32x4_splat(value))
        }

        #[inline(always)]
        pub(super) fn times(self, other: Self) -> Self {
            Self(f32x4_mul(self.0, other.0))
        }

        #[inline(always)]
        pub(super) fn plus(self, other: Self) -> Self {
            Self(f32x4_add(self.0, other.0))
        }

        #[inline(always)]
        pub(super) fn values(self) -> [f32; 4] {
            let v = self.0;
            [
                f32x4_extract_lane::<0>(v),
                f32x4_extract_lane::<1>(v),
                f32x4_extract_lane::<2>(v),
                f32x4_extract_lane::<3>(v),
            ]
        }
    }
}

/// The same without vectors, for tests on other processors.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod four {
    #[derive(Clone, Copy)]
    pub(super) struct Four([f32; 4]);

    impl Four {
        pub(super) const ZERO: Self = Self([0.0; 4]);

        /// # Safety
        /// `from` must point to four values.
        pub(super) unsafe fn load(from: *const f32) -> Self {
            // SAFETY: guaranteed by the caller.
            Self(unsafe { *from.cast() })
        }

        pub(super) fn splat(value: f32) -> Self {
            Self([value; 4])
        }

        pub(super) fn times(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
        }

        pub(super) fn plus(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
        }

        pub(super) fn values(self) -> [f32; 4] {
            self.0
        }
    }
}
