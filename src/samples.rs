//! Row-major tables of `f32`: one signal, observation or operator a row.

/// `n` rows of length `d`, row-major on the host. The currency of the core's boundary: signals `x [n, d]`,
/// observations `y [n, m]`, operator parameters `a [n, k]` (images and matrices flattened). Rows may be empty: an observation
/// may show nothing, and an unconditional network has no features.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    data: Vec<f32>,
    n: usize,
    d: usize,
}

impl Samples {
    /// Wraps `data`, whose length must be a multiple of `d` (a bug in the caller otherwise).
    pub fn new(data: Vec<f32>, d: usize) -> Self {
        assert!(d > 0 && data.len().is_multiple_of(d), "{} values do not fill rows of {d}", data.len());
        Self { n: data.len() / d, data, d }
    }

    /// `n` rows of `d` zeros; `d` may be 0.
    pub fn zeros(n: usize, d: usize) -> Self {
        Self { data: vec![0.0; n * d], n, d }
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Length of a row.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.d..(i + 1) * self.d]
    }

    /// Row `i`, mutable.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.d..(i + 1) * self.d]
    }

    /// All rows in order; none where they are empty.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.d.max(1))
    }

    /// The rows in `range`, copied.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let data = self.data[range.start * self.d..range.end * self.d].to_vec();
        Self { data, n: range.len(), d: self.d }
    }

    /// The rows at `indices`, copied in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let data = indices.iter().flat_map(|&i| self.row(i)).copied().collect();
        Self { data, n: indices.len(), d: self.d }
    }

    /// The values, row-major.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// The values, row-major, mutable.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Every value within [least, greatest].
    pub fn clipped(mut self, [least, greatest]: [f64; 2]) -> Self {
        self.data.iter_mut().for_each(|v| *v = v.clamp(least as f32, greatest as f32));
        self
    }

    /// Gives the values back, row-major.
    pub fn into_vec(self) -> Vec<f32> {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_rows_are_counted() {
        let nothing = Samples::zeros(5, 0);
        assert_eq!((nothing.n(), nothing.d(), nothing.row(4)), (5, 0, &[][..]));
        assert_eq!((nothing.slice(1..3).n(), nothing.select(&[4, 4, 0]).n()), (2, 3));
        assert_eq!(Samples::default().n(), 0);
    }
}
