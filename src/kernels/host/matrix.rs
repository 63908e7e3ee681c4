//! Products of matrices in slices, on the calling thread; parallelism comes from independent shards.

use super::short;

/// Rows of a symmetric product that are computed at once.
const PANEL: usize = 16;

/// A matrix in a slice with any strides.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// (row stride, column stride).
    strides: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// The matrix of all `values`, row by row.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a {rows} x {columns} matrix");
        Self { values, rows, columns, strides: (columns, 1) }
    }

    /// The matrix whose rows are consecutive values that start `stride` values apart and may
    /// overlap; not empty.
    pub fn overlapping(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!((rows - 1) * stride + columns <= values.len(), "a strided matrix inside its slice");
        Self { values, rows, columns, strides: (stride, 1) }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, strides: (self.strides.1, self.strides.0), ..self }
    }

    /// self * other, row-major.
    pub fn times(self, other: Matrix) -> Vec<f32> {
        let len = self.rows * other.columns;
        let mut out = Vec::with_capacity(len);
        if len * self.columns == 0 {
            out.resize(len, 0.0);
            return out;
        }
        // SAFETY: there is room for `len` values; they are not read (add = false), and all are written for a
        // positive inner dimension.
        unsafe {
            self.multiply(other, (out.as_mut_ptr(), other.columns), false);
            out.set_len(len);
        }
        out
    }

    /// Writes self * other into the row-major `out`, or adds it to `out` if `add`.
    pub fn times_into(self, other: Matrix, out: &mut [f32], add: bool) {
        assert_eq!(out.len(), self.rows * other.columns, "the product's size");
        // SAFETY: the size was checked.
        unsafe { self.multiply(other, (out.as_mut_ptr(), other.columns), add) }
    }

    /// Writes self * other into the row-major `out`, where that product is symmetric: about half of it is computed.
    pub fn times_symmetric_into(self, other: Matrix, out: &mut [f32]) {
        let n = self.rows;
        assert_eq!([out.len(), other.columns], [n * n, n], "a square product");
        for top in (0..n).step_by(PANEL) {
            let rows = PANEL.min(n - top);
            let panel = Self { values: &self.values[top * self.strides.0..], rows, ..self };
            let left = Matrix { columns: top + rows, ..other };
            // SAFETY: rows `top` and the following of `out` are there, and are longer than the product's.
            unsafe { panel.multiply(left, (out.as_mut_ptr().add(top * n), n), false) };
            for j in 0..top {
                for i in top..top + rows {
                    out[j * n + i] = out[i * n + j];
                }
            }
        }
    }

    /// # Safety
    /// `out` must have room for `rows` rows of other.columns values that start as far apart as it says, initialized if
    /// `add`.
    unsafe fn multiply(self, other: Matrix, out: (*mut f32, usize), add: bool) {
        assert_eq!(self.columns, other.rows, "inner dimensions");
        // SAFETY: the constructors checked the strides against the slices; the caller guarantees `out`.
        unsafe {
            if cfg!(target_arch = "wasm32") {
                short::multiply(self.factor(), other.factor(), [self.rows, other.columns, self.columns], out, add);
            } else {
                self.multiply_wide(other, out, add);
            }
        }
    }

    fn factor(&self) -> short::Factor {
        short::Factor { start: self.values.as_ptr(), row: self.strides.0, column: self.strides.1 }
    }

    /// # Safety
    /// As [`Matrix::multiply`]; the inner dimensions must agree.
    unsafe fn multiply_wide(self, other: Matrix, (out, stride): (*mut f32, usize), add: bool) {
        let (m, n, k) = (self.rows, other.columns, self.columns);
        let [(ars, acs), (brs, bcs)] = [self.strides, other.strides].map(|(r, c)| (r as isize, c as isize));
        let (a, b, keep) = (self.values.as_ptr(), other.values.as_ptr(), if add { 1.0 } else { 0.0 });
        let serial = gemm::Parallelism::None;
        // SAFETY: the constructors checked the strides against the slices; the caller guarantees `out`.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out,
                1,
                stride as isize,
                add,
                a,
                acs,
                ars,
                b,
                bcs,
                brs,
                keep,
                1.0,
                false,
                false,
                false,
                serial,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    /// Compares both ways of multiplying with sums in double precision, for `a` and `b` as
    /// stored or transposed.
    fn agree([m, n, k]: [usize; 3], turned: [bool; 2], add: bool) {
        let (a, b, held) = (values(m * k, 1), values(k * n, 2), values(m * n, 3));
        let left = if turned[0] { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
        let right = if turned[1] { Matrix::new(&b, n, k).t() } else { Matrix::new(&b, k, n) };
        let at = |x: &Matrix, i: usize, j: usize| x.values[i * x.strides.0 + j * x.strides.1] as f64;
        let [mut short, mut wide] = [held.clone(), held.clone()];
        // SAFETY: the sizes are those of the matrices.
        unsafe {
            short::multiply(left.factor(), right.factor(), [m, n, k], (short.as_mut_ptr(), n), add);
            left.multiply_wide(right, (wide.as_mut_ptr(), n), add);
        }
        for (place, (short, wide)) in short.iter().zip(&wide).enumerate() {
            let (i, j) = (place / n, place % n);
            let before = if add { held[place] as f64 } else { 0.0 };
            let terms = || (0..k).map(|p| at(&left, i, p) * at(&right, p, j));
            let exact = before + terms().sum::<f64>();
            let tolerance = 3e-6 * (1.0 + terms().map(f64::abs).sum::<f64>());
            for found in [short, wide] {
                let gap = (*found as f64 - exact).abs();
                assert!(gap < tolerance, "{m} {n} {k} {turned:?} {add}: {found} {exact}");
            }
        }
    }

    #[test]
    fn both_products_are_the_sums() {
        for size in [[1, 1, 1], [4, 8, 3], [5, 2, 64], [7, 15, 9], [64, 17, 33], [3, 24, 5000], [131, 8, 300]] {
            for turned in [[false, false], [true, false], [false, true], [true, true]] {
                agree(size, turned, false);
                agree(size, turned, true);
            }
        }
    }

    #[test]
    fn rows_may_overlap() {
        let (a, b) = (values(20, 1), values(6 * 9, 2));
        let (left, right) = (Matrix::overlapping(&a, 8, 6, 2), Matrix::new(&b, 6, 9));
        let (wide, mut short) = (left.times(right), vec![0.0; 72]);
        // SAFETY: `short` holds 8 x 9 values.
        unsafe { short::multiply(left.factor(), right.factor(), [8, 9, 6], (short.as_mut_ptr(), 9), false) };
        assert!(wide.iter().zip(&short).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn symmetric_products_are_products() {
        for [n, k] in [[1, 3], [16, 16], [37, 50]] {
            let a = values(n * k, 1);
            let (a, mut half) = (Matrix::new(&a, n, k), vec![0.0; n * n]);
            a.times_symmetric_into(a.t(), &mut half);
            assert!(a.times(a.t()).iter().zip(&half).all(|(whole, half)| (whole - half).abs() < 1e-4));
        }
    }
}
