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
    // SAFETY: guaranteed by the caller.
    let packed = unsafe { pack(b, n, k) };
    let block = (CACHED / k.max(1)).max(1).next_multiple_of(ROWS);
    for top in (0..m).step_by(block) {
        let bottom = m.min(top + block);
        for left in (0..n).step_by(COLUMNS) {
            let panel = &packed.as_chunks().0[left / COLUMNS * k..][..k];
            let width = COLUMNS.min(n - left);
            let mut i = top;
            while i < bottom {
                // SAFETY: the rows from i on belong to a and to `out`.
                unsafe {
                    let (a, out) = (Factor { start: a.at(i, 0), ..a }, out.add(i * stride + left));
                    if i + ROWS <= bottom {
                        // A stride that is known takes a tenth less time.
                        let sums = if a.column == 1 {
                            tile::<ROWS>(Factor { column: 1, ..a }, panel)
                        } else {
                            tile::<ROWS>(a, panel)
                        };
                        store(sums, out, stride, width, add);
                        i += ROWS;
                    } else {
                        store(tile::<1>(a, panel), out, stride, width, add);
                        i += 1;
                    }
                }
            }
        }
    }
}

/// Packs b in panels of eight columns, with zeros beyond the last column: `[panels, k, 8]`. Rows of a panel that are far
/// apart would cost up to a fifth of the speed.
///
/// # Safety
/// b must hold k x n values.
unsafe fn pack(b: Factor, n: usize, k: usize) -> Vec<f32> {
    let mut packed = vec![0.0; n.next_multiple_of(COLUMNS) * k];
    let whole = if b.column == 1 { n - n % COLUMNS } else { 0 };
    for left in (0..whole).step_by(COLUMNS) {
        for (p, row) in packed[left * k..][..COLUMNS * k].chunks_exact_mut(COLUMNS).enumerate() {
            // SAFETY: the columns from `left` on belong to b, and are consecutive.
            row.copy_from_slice(unsafe { std::slice::from_raw_parts(b.at(p, left), COLUMNS) });
        }
    }
    for j in whole..n {
        let place = j / COLUMNS * COLUMNS * k + j % COLUMNS;
        for (p, value) in packed[place..].iter_mut().step_by(COLUMNS).take(k).enumerate() {
            // SAFETY: guaranteed by the caller.
            *value = unsafe { *b.at(p, j) };
        }
    }
    packed
}

/// The products of `R` rows of a and eight columns, in halves of four.
///
/// # Safety
/// `a` must hold `R` rows as long as the panel.
#[inline(always)]
unsafe fn tile<const R: usize>(a: Factor, panel: &[[f32; COLUMNS]]) -> [[Four; 2]; R] {
    let mut sums = [[Four::ZERO; 2]; R];
    for (p, b) in panel.iter().enumerate() {
        // SAFETY: a row of the panel has eight values.
        let b = unsafe { [Four::load(b.as_ptr()), Four::load(b.as_ptr().add(4))] };
        for (r, [low, high]) in sums.iter_mut().enumerate() {
            // SAFETY: guaranteed by the caller.
            let x = Four::splat(unsafe { *a.at(r, p) });
            (*low, *high) = (low.plus(x.times(b[0])), high.plus(x.times(b[1])));
        }
    }
    sums
}

/// Writes, or adds if `add`, the first `width` values of each row.
///
/// # Safety
/// `out` must have room for them, in rows `stride` apart, and hold values if `add`.
#[inline(always)]
unsafe fn store<const R: usize>(sums: [[Four; 2]; R], out: *mut f32, stride: usize, width: usize, add: bool) {
    for (r, [low, high]) in sums.into_iter().enumerate() {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let row = out.add(r * stride);
            if width == COLUMNS {
                put(low, row, add);
                put(high, row.add(4), add);
                continue;
            }
            let mut ragged = [0.0; COLUMNS];
            std::ptr::copy_nonoverlapping(row, ragged.as_mut_ptr(), if add { width } else { 0 });
            put(low, ragged.as_mut_ptr(), add);
            put(high, ragged.as_mut_ptr().add(4), add);
            std::ptr::copy_nonoverlapping(ragged.as_ptr(), row, width);
        }
    }
}

/// Writes four sums, or adds them if `add`.
///
/// # Safety
/// `place` must have room for four values, and hold them if `add`.
#[inline(always)]
unsafe fn put(sums: Four, place: *mut f32, add: bool) {
    // SAFETY: guaranteed by the caller.
    unsafe { if add { Four::load(place).plus(sums) } else { sums }.store(place) }
}

/// Four lanes, written out because the compiler does not vectorize the loop over a tile by itself.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod four {
    use core::arch::wasm32::{f32x4_add, f32x4_mul, f32x4_splat, v128, v128_load, v128_store};

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

        /// # Safety
        /// `to` must have room for four values.
        #[inline(always)]
        pub(super) unsafe fn store(self, to: *mut f32) {
            // SAFETY: guaranteed by the caller; a store needs no alignment.
            unsafe { v128_store(to.cast(), self.0) }
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

        /// # Safety
        /// `to` must have room for four values.
        pub(super) unsafe fn store(self, to: *mut f32) {
            // SAFETY: guaranteed by the caller.
            unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
        }
    }
}
