//! Products of matrices in slices, on this thread: threads come from independent shards.

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
    /// All of `values`, row by row.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a {rows} x {columns} matrix");
        Self { values, rows, columns, strides: (columns, 1) }
    }

    /// Rows of consecutive values that start `stride` values apart and may overlap; not empty.
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
        // SAFETY: there is room for `len` values; they are not read (add = false), and all are written for a positive inner
        // dimension.
        unsafe {
            self.multiply(other, out.as_mut_ptr(), false);
            out.set_len(len);
        }
        out
    }

    /// self * other into the row-major `out`, on top of what it holds where `add`.
    pub fn times_into(self, other: Matrix, out: &mut [f32], add: bool) {
        assert_eq!(out.len(), self.rows * other.columns, "the product's size");
        // SAFETY: the size was checked.
        unsafe { self.multiply(other, out.as_mut_ptr(), add) }
    }

    /// # Safety
    /// `out` must have room for rows x other.columns values, initialised where `add`.
    unsafe fn multiply(self, other: Matrix, out: *mut f32, add: bool) {
        assert_eq!(self.columns, other.rows, "inner dimensions");
        let (m, n, k) = (self.rows, other.columns, self.columns);
        let [(ars, acs), (brs, bcs)] = [self.strides, other.strides].map(|(r, c)| (r as isize, c as isize));
        let (a, b, keep) = (self.values.as_ptr(), other.values.as_ptr(), if add { 1.0 } else { 0.0 });
        let serial = gemm::Parallelism::None;
        // SAFETY: the constructors checked the strides against the slices; the caller answers for `out`.
        unsafe {
            gemm::gemm(
                m, n, k, out, 1, n as isize, add, a, acs, ars, b, bcs, brs, keep, 1.0, false, false, false, serial,
            );
        }
    }
}
