//! Row-major tables of `f32`: one signal, observation or operator per row.

use crate::error::Result;
use std::fmt;
use std::sync::Arc;

/// `n` rows of length `d`, row-major on the host. Data cross the core's boundary in this form: signals
/// `x [n, d]`, observations `y [n, m]`, operator parameters `a [n, k]` (images and matrices are flattened).
/// Rows may be empty: an observation may show nothing, and an unconditional network has no features.
#[derive(Clone)]
pub struct Samples {
    data: Data,
    n: usize,
    d: usize,
}

/// Numbers that are kept outside the process's own memory, such as those of a mapped file.
pub trait Buffer: Send + Sync {
    /// The numbers.
    fn values(&self) -> &[f32];

    /// The numbers, mutable; `None` if they cannot be changed in place.
    fn values_mut(&mut self) -> Option<&mut [f32]>;
}

/// Keeps the reconstructions of a run, `n` rows of `d` numbers per lap.
pub trait Store: Send + Sync {
    /// An empty table for the reconstructions of lap `lap`.
    ///
    /// # Errors
    /// There is no room for it.
    fn reconstructions(&self, lap: usize, n: usize, d: usize) -> Result<Samples>;

    /// The table of an E-step that an earlier process began, filled as far as that process got; `None` if
    /// nothing outlives a process and the E-step has to start over.
    ///
    /// # Errors
    /// A table that should exist cannot be read.
    fn resumed(&self, _lap: usize, _n: usize, _d: usize) -> Result<Option<Samples>> {
        Ok(None)
    }
}

/// Tables in memory; they do not outlive the process.
pub struct InMemory;

impl Store for InMemory {
    fn reconstructions(&self, _lap: usize, n: usize, d: usize) -> Result<Samples> {
        Ok(Samples::zeros(n, d))
    }
}

#[derive(Clone)]
enum Data {
    Memory(Vec<f32>),
    /// Shared by its clones until one of them is changed.
    Elsewhere(Arc<dyn Buffer>),
}

impl Default for Samples {
    fn default() -> Self {
        Self::zeros(0, 0)
    }
}

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        (self.n, self.d) == (other.n, other.d) && self.as_slice() == other.as_slice()
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Samples [{}, {}] {:?}", self.n, self.d, self.as_slice())
    }
}

impl Samples {
    /// Wraps `data`, whose length must be a multiple of `d` (a bug in the caller otherwise).
    pub fn new(data: Vec<f32>, d: usize) -> Self {
        assert!(d > 0 && data.len().is_multiple_of(d), "{} values do not fill rows of {d}", data.len());
        Self { n: data.len() / d, data: Data::Memory(data), d }
    }

    /// Wraps `buffer`, which holds a whole number of rows of length `d` > 0.
    pub fn elsewhere(buffer: Arc<dyn Buffer>, d: usize) -> Self {
        let len = buffer.values().len();
        assert!(d > 0 && len.is_multiple_of(d), "{len} values do not fill rows of {d}");
        Self { n: len / d, data: Data::Elsewhere(buffer), d }
    }

    /// `n` rows of `d` zeros; `d` may be 0.
    pub fn zeros(n: usize, d: usize) -> Self {
        Self { data: Data::Memory(vec![0.0; n * d]), n, d }
    }

    /// `n` rows of `d` values, which are zero until `fill` writes them.
    pub fn filled(n: usize, d: usize, fill: impl FnOnce(&mut Self) -> Result<()>) -> Result<Self> {
        let mut out = Self::zeros(n, d);
        fill(&mut out)?;
        Ok(out)
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
        &self.as_slice()[i * self.d..(i + 1) * self.d]
    }

    /// Row `i`, mutable.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let d = self.d;
        &mut self.as_mut_slice()[i * d..(i + 1) * d]
    }

    /// All rows in order; none where they are empty.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.as_slice().chunks_exact(self.d.max(1))
    }

    /// The rows in `range`, copied.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let data = self.as_slice()[range.start * self.d..range.end * self.d].to_vec();
        Self { data: Data::Memory(data), n: range.len(), d: self.d }
    }

    /// The first `n` rows; copied only if they are in memory.
    pub fn first(&self, n: usize) -> Self {
        match &self.data {
            Data::Memory(_) => self.slice(0..n),
            Data::Elsewhere(buffer) => Self { data: Data::Elsewhere(buffer.clone()), n: n.min(self.n), d: self.d },
        }
    }

    /// The rows at `indices`, copied in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut data = Vec::with_capacity(indices.len() * self.d);
        indices.iter().for_each(|&i| data.extend_from_slice(self.row(i)));
        Self { data: Data::Memory(data), n: indices.len(), d: self.d }
    }

    /// The values, row-major.
    pub fn as_slice(&self) -> &[f32] {
        match &self.data {
            Data::Memory(values) => values,
            Data::Elsewhere(buffer) => &buffer.values()[..self.n * self.d],
        }
    }

    /// The values, row-major, mutable; copied into memory if a clone shares them or they cannot
    /// be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        if let Data::Elsewhere(buffer) = &mut self.data
            && Arc::get_mut(buffer).and_then(|buffer| buffer.values_mut()).is_none()
        {
            self.data = Data::Memory(buffer.values()[..self.n * self.d].to_vec());
        }
        let len = self.n * self.d;
        match &mut self.data {
            Data::Memory(values) => values,
            Data::Elsewhere(buffer) => {
                let values = Arc::get_mut(buffer).and_then(|buffer| buffer.values_mut());
                &mut values.expect("checked above to be mutable")[..len]
            }
        }
    }

    /// Overwrites the rows from `first` on with those of `rows`.
    pub fn put(&mut self, first: usize, rows: &Self) {
        let d = self.d;
        self.as_mut_slice()[first * d..(first + rows.n) * d].copy_from_slice(rows.as_slice());
    }

    /// Clips every value to [least, greatest].
    pub fn clipped(mut self, [least, greatest]: [f64; 2]) -> Self {
        self.as_mut_slice().iter_mut().for_each(|v| *v = v.clamp(least as f32, greatest as f32));
        self
    }

    /// Returns the values, row-major.
    pub fn into_vec(self) -> Vec<f32> {
        match self.data {
            Data::Memory(values) => values,
            Data::Elsewhere(_) => self.as_slice().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed([f32; 6]);

    impl Buffer for Fixed {
        fn values(&self) -> &[f32] {
            &self.0
        }

        fn values_mut(&mut self) -> Option<&mut [f32]> {
            Some(&mut self.0)
        }
    }

    #[test]
    fn a_buffer_is_changed_in_place_unless_it_is_shared() {
        let rows = |x| Samples::new(x, 2);
        let mut x = Samples::elsewhere(Arc::new(Fixed([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), 2);
        let at = x.as_slice().as_ptr();
        x.put(1, &rows(vec![7.0, 8.0]));
        assert_eq!((x.as_slice().as_ptr(), &x), (at, &rows(vec![1.0, 2.0, 7.0, 8.0, 5.0, 6.0])));
        let mut copy = x.clone();
        assert_eq!(copy.as_slice().as_ptr(), at);
        copy.row_mut(0)[0] = 9.0;
        assert_eq!((x.row(0), copy.row(0), copy.row(2)), (&[1.0, 2.0][..], &[9.0, 2.0][..], &[5.0, 6.0][..]));
        assert_eq!((x.first(2).as_slice(), x.first(2).as_slice().as_ptr()), (&x.as_slice()[..4], at));
        assert_eq!(copy.clipped([3.0, 6.0]).into_vec(), [6.0, 3.0, 6.0, 6.0, 5.0, 6.0]);
    }

    #[test]
    fn empty_rows_are_counted() {
        let nothing = Samples::zeros(5, 0);
        assert_eq!((nothing.n(), nothing.d(), nothing.row(4)), (5, 0, &[][..]));
        assert_eq!((nothing.slice(1..3).n(), nothing.select(&[4, 4, 0]).n()), (2, 3));
        assert_eq!(Samples::default().n(), 0);
    }
}
