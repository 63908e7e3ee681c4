//! 3 x 3 convolution of images stored pixel by pixel (`[n · h · w, c]`), without unrolling the image.
//!
//! Each image is copied once into rows of w + 1 pixels, the last of which is zero, with a zero row
//! between images. The pixel at offset (δi, δj) of a neighborhood is then δi (w + 1) + δj pixels away,
//! even at the border, and the three pixels of a neighborhood's row are 3 c consecutive values. The
//! convolution is therefore three matrix products whose left operand has rows that overlap in memory, and
//! so are its two gradients.

use super::math::{add_rows, simd};
use super::matrix::Matrix;
use std::cell::RefCell;
use std::ops::Range;

/// Minimum number of rows of a matrix product; smaller images are processed in groups.
const MIN_ROWS: usize = 256;

/// Images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Number of images.
    pub n: usize,
    /// Number of rows.
    pub h: usize,
    /// Number of columns.
    pub w: usize,
}

impl Grid {
    /// Number of pixels in all images.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    /// Groups of images whose products are neither tiny nor larger than a cache; the same
    /// for every batch size.
    pub fn groups(self) -> impl Iterator<Item = (Grid, Range<usize>)> {
        let size = MIN_ROWS.div_ceil(self.h * self.w).max(1);
        (0..self.n.div_ceil(size)).map(move |g| {
            let group = Grid { n: size.min(self.n - g * size), ..self };
            let from = g * size * self.h * self.w;
            (group, from..from + group.pixels())
        })
    }

    /// Number of pixels before the first image.
    fn base(&self) -> usize {
        self.w + 2
    }

    /// Number of rows of the products: all images with their borders, except the last border.
    fn rows(&self) -> usize {
        (self.n * (self.h + 1) - 1) * (self.w + 1)
    }

    /// Number of pixels in a padded buffer.
    fn padded(&self) -> usize {
        self.n * (self.h + 1) * (self.w + 1) + self.w + 3
    }

    /// Runs of w pixels: (first pixel in the images, first pixel in a padded buffer).
    fn runs(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.n).flat_map(move |image| {
            (0..self.h)
                .map(move |i| ((image * self.h + i) * self.w, self.base() + (image * (self.h + 1) + i) * (self.w + 1)))
        })
    }
}

/// Images with zero borders.
pub(crate) struct Padded {
    grid: Grid,
    c: usize,
    data: Vec<f32>,
}

/// Maximum number of buffers that a thread keeps.
const MAX_KEPT: usize = 8;

thread_local! {
    /// Free buffers of this thread: a layer uses a handful for each group of images, and fresh ones would
    /// cost one page fault per 4 kB.
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Padded {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        // A thread that is ending has already released its buffers.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < MAX_KEPT {
                free.push(data);
            }
        });
    }
}

impl Padded {
    /// A buffer with arbitrary values, borders included.
    fn scratch(grid: Grid, c: usize) -> Self {
        let mut data = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        data.resize(grid.padded() * c, 0.0);
        Self { grid, c, data }
    }

    /// A buffer of zeros.
    pub fn zeros(grid: Grid, c: usize) -> Self {
        let mut out = Self::scratch(grid, c);
        out.data.fill(0.0);
        out
    }

    /// A copy of `x [pixels, c]`.
    pub fn copy(grid: Grid, c: usize, x: &[f32]) -> Self {
        let mut out = Self::zeros(grid, c);
        out.fill(|from, _, run| run.copy_from_slice(&x[from..from + run.len()]));
        out
    }

    /// Calls `f(start, image, run)` for every run of w pixels; `start` is the index of the run's first value
    /// in a dense `[pixels, c]` array.
    pub fn fill(&mut self, mut f: impl FnMut(usize, usize, &mut [f32])) {
        let (c, len) = (self.c, self.grid.w * self.c);
        for (k, (dense, padded)) in self.grid.runs().enumerate() {
            f(dense * c, k / self.grid.h, &mut self.data[padded * c..padded * c + len]);
        }
    }

    /// Calls `f(start, image, run)` for every run of w pixels.
    pub fn read(&self, mut f: impl FnMut(usize, usize, &[f32])) {
        let (c, len) = (self.c, self.grid.w * self.c);
        for (k, (dense, padded)) in self.grid.runs().enumerate() {
            f(dense * c, k / self.grid.h, &self.data[padded * c..padded * c + len]);
        }
    }

    /// Calls `f(run, other's run)` for every run of w pixels of two buffers of the same shape.
    pub fn zip(&mut self, other: &Padded, mut f: impl FnMut(&mut [f32], &[f32])) {
        assert_eq!((self.grid, self.c), (other.grid, other.c), "buffers of one shape");
        let (c, len) = (self.c, self.grid.w * self.c);
        for (_, padded) in self.grid.runs() {
            let range = padded * c..padded * c + len;
            f(&mut self.data[range.clone()], &other.data[range]);
        }
    }

    /// The rows of the products.
    fn inner(&self) -> &[f32] {
        &self.data[self.grid.base() * self.c..][..self.grid.rows() * self.c]
    }

    /// Σ over the neighborhood: out(i, j) = Σ_{δi, δj} x(i + δi, j + δj) W(δi, δj), without bias. Borders of
    /// the result are undefined (not zero). `weights [9 · c, m]`, neighborhood row by row.
    pub fn correlate(&self, weights: &[f32], m: usize) -> Padded {
        let (grid, c) = (self.grid, self.c);
        assert_eq!(weights.len(), 9 * c * m, "a 3 x 3 kernel from {c} to {m} channels");
        let mut out = Padded::scratch(grid, m);
        let target = &mut out.data[grid.base() * m..][..grid.rows() * m];
        for tap in 0..3 {
            let from = tap * (grid.w + 1) * c;
            let left = Matrix::overlapping(&self.data[from..], grid.rows(), 3 * c, c);
            let right = Matrix::new(&weights[tap * 3 * c * m..(tap + 1) * 3 * c * m], 3 * c, m);
            left.times_into(right, target, tap > 0);
        }
        out
    }

    /// The transpose of [`Padded::correlate`] from c channels: Σ over the neighborhood of
    /// dy(i - δi, j - δj) W(δi, δj)ᵀ.
    pub fn correlate_transposed(&self, weights: &[f32], c: usize) -> Padded {
        let (grid, m) = (self.grid, self.c);
        assert_eq!(weights.len(), 9 * c * m, "a 3 x 3 kernel from {c} to {m} channels");
        let mut out = Padded::scratch(grid, c);
        let target = &mut out.data[grid.base() * c..][..grid.rows() * c];
        // The kernel is rotated by half a turn: its last pixel meets the first pixel of the neighborhood.
        for (tap, weights) in weights.chunks_exact(c * m).rev().enumerate() {
            let from = (tap / 3 * (grid.w + 1) + tap % 3) * m;
            let left = Matrix::overlapping(&self.data[from..], grid.rows(), m, m);
            left.times_into(Matrix::new(weights, c, m).t(), target, tap > 0);
        }
        out
    }

    /// Adds Σ over pixels of x(i + δi, j + δj)ᵀ dy(i, j) to `out [9 · c, m]`; the borders of
    /// `dy` must be zero.
    pub fn add_weight_gradient(&self, dy: &Padded, out: &mut [f32]) {
        let (grid, c, m) = (self.grid, self.c, dy.c);
        assert_eq!(out.len(), 9 * c * m, "a 3 x 3 kernel from {c} to {m} channels");
        for (tap, out) in out.chunks_exact_mut(3 * c * m).enumerate() {
            let from = tap * (grid.w + 1) * c;
            let left = Matrix::overlapping(&self.data[from..], grid.rows(), 3 * c, c).t();
            left.times_into(Matrix::new(dy.inner(), grid.rows(), m), out, true);
        }
    }

    /// Adds Σ over pixels to `out [c]`; borders must be zero.
    pub fn add_sums(&self, out: &mut [f32]) {
        add_rows(self.inner(), out);
    }

    /// Neighborhoods of every second pixel, `[n · h/2 · w/2, 9 · c]`.
    fn gather(&self) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.grid.pixels() / 4 * 9 * self.c);
        self.neighborhoods(|range| out.extend_from_slice(&self.data[range]));
        out
    }

    /// The transpose of [`Padded::gather`]: adds the neighborhoods of `columns` in place.
    fn scatter(&mut self, columns: &[f32]) {
        let (mut at, mut data) = (0, std::mem::take(&mut self.data));
        self.neighborhoods(|range| {
            let len = range.len();
            data[range].iter_mut().zip(&columns[at..at + len]).for_each(|(sum, v)| *sum += v);
            at += len;
        });
        self.data = data;
    }

    /// The rows of the neighborhoods of every second pixel, 3 c values each.
    fn neighborhoods(&self, mut f: impl FnMut(Range<usize>)) {
        let (grid, c) = (self.grid, self.c);
        for image in 0..grid.n {
            for (i, j) in (0..grid.h).step_by(2).flat_map(|i| (0..grid.w).step_by(2).map(move |j| (i, j))) {
                for tap in 0..3 {
                    let pixel = (image * (grid.h + 1) + i + tap) * (grid.w + 1) + j;
                    f(pixel * c..(pixel + 3) * c);
                }
            }
        }
    }
}

/// y = x * W + b for `x [pixels, c]`, `weights [9 · c, m]`; with `stride` 2 every second row and
/// column (h and w even).
pub fn conv(grid: Grid, x: &[f32], weights: &[f32], bias: &[f32], stride: usize) -> Vec<f32> {
    let (c, m) = (x.len() / grid.pixels(), bias.len());
    let mut y = vec![0.0; grid.pixels() / (stride * stride) * m];
    for (group, range) in grid.groups() {
        let padded = Padded::copy(group, c, &x[range.start * c..range.end * c]);
        let pixels = group.pixels() / (stride * stride);
        let y = &mut y[range.start / (stride * stride) * m..][..pixels * m];
        if stride == 1 {
            padded.correlate(weights, m).read(|at, _, run| y[at..at + run.len()].copy_from_slice(run));
        } else {
            Matrix::new(&padded.gather(), pixels, 9 * c).times_into(Matrix::new(weights, 9 * c, m), y, false);
        }
        simd(|| y.chunks_exact_mut(m).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b)));
    }
    y
}

/// Gradients of [`conv`], each present only if requested.
pub struct ConvGradients {
    /// x.
    pub x: Option<Vec<f32>>,
    /// W and b.
    pub parameters: Option<[Vec<f32>; 2]>,
}

/// Gradients of [`conv`] with respect to x, and to W and b.
pub fn conv_backward(
    grid: Grid,
    x: &[f32],
    weights: &[f32],
    dy: &[f32],
    stride: usize,
    [want_x, want_w]: [bool; 2],
) -> ConvGradients {
    let c = x.len() / grid.pixels();
    let m = weights.len() / (9 * c);
    let mut dx = want_x.then(|| vec![0.0; x.len()]);
    let mut parameters = want_w.then(|| [weights.len(), m].map(|len| vec![0.0; len]));
    for (group, range) in grid.groups() {
        let dense = range.start * c..range.end * c;
        let pixels = group.pixels() / (stride * stride);
        let dy = &dy[range.start / (stride * stride) * m..][..pixels * m];
        let padded = (stride == 1).then(|| Padded::copy(group, m, dy));
        if let Some([dw, db]) = &mut parameters {
            let x = Padded::copy(group, c, &x[dense.clone()]);
            match &padded {
                Some(dy) => {
                    x.add_weight_gradient(dy, dw);
                    dy.add_sums(db);
                }
                None => {
                    let columns = x.gather();
                    Matrix::new(&columns, pixels, 9 * c).t().times_into(Matrix::new(dy, pixels, m), dw, true);
                    add_rows(dy, db);
                }
            }
        }
        if let Some(dx) = &mut dx {
            let back = match &padded {
                Some(dy) => dy.correlate_transposed(weights, c),
                None => strided_input_gradient(group, c, weights, dy),
            };
            let dx = &mut dx[dense];
            back.read(|at, _, run| dx[at..at + run.len()].copy_from_slice(run));
        }
    }
    ConvGradients { x: dx, parameters }
}

/// dx of a convolution with stride 2: dy Wᵀ, summed over the neighborhoods.
fn strided_input_gradient(grid: Grid, c: usize, weights: &[f32], dy: &[f32]) -> Padded {
    let m = weights.len() / (9 * c);
    let pixels = grid.pixels() / 4;
    let columns = Matrix::new(dy, pixels, m).times(Matrix::new(weights, 9 * c, m).t());
    let mut back = Padded::zeros(grid, c);
    back.scatter(&columns);
    back
}
