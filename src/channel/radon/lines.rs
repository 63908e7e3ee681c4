//! Sums of a plane along straight lines, with bilinear interpolation, and their transpose.

use std::ops::Range;

/// Pixels of 0 around a plane: a point less than a pixel outside it lies between four pixels, as all others do.
const MARGIN: usize = 2;

/// Bits behind the point of the coordinates along a line, which spare the conversion of every step.
const FRACTION: u32 = 32;

fn fixed(v: f64) -> i64 {
    (v * (1u64 << FRACTION) as f64) as i64
}

/// The part of a coordinate behind the point.
fn fraction(v: i64) -> f32 {
    // As many bits as fit into the result.
    ((v as u32) >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32)
}

/// The interpolation between a pixel, its neighbors to the right and below, and the one below to the right, as coefficients
/// of 1, u, v and u v, where a point lies u to the right and v below: one vector per step instead of four values.
type Cell = [f32; 4];

/// A plane in the form that lines sum, or that collects what lines spread.
pub(super) struct Cells {
    cells: Vec<Cell>,
    size: [usize; 2],
}

/// Numbers of pixels, down and across, with the margins.
fn padded(size: [usize; 2]) -> [usize; 2] {
    size.map(|n| n + 2 * MARGIN)
}

impl Cells {
    /// Cells of 0 for a plane of `size`, height and width.
    pub fn zeros(size: [usize; 2]) -> Self {
        let [height, width] = padded(size);
        Self { cells: vec![[0.0; 4]; height * width], size }
    }

    /// The cells of a plane.
    pub fn of(x: &[f32], size: [usize; 2]) -> Self {
        let mut all = Self::zeros(size);
        let stride = padded(size)[1];
        for (row, x) in x.chunks_exact(size[1]).enumerate() {
            let first = (row + MARGIN) * stride + MARGIN;
            // Every pixel is in four cells.
            let signs: [(usize, Cell); 4] = [
                (0, [1.0, -1.0, -1.0, 1.0]),
                (1, [0.0, 1.0, 0.0, -1.0]),
                (stride, [0.0, 0.0, 1.0, -1.0]),
                (stride + 1, [0.0, 0.0, 0.0, 1.0]),
            ];
            for (back, signs) in signs {
                for (cell, x) in all.cells[first - back..].iter_mut().zip(x) {
                    cell.iter_mut().zip(signs).for_each(|(c, sign)| *c += sign * x);
                }
            }
        }
        all
    }

    /// The transpose of [`Cells::of`], times `scale`.
    pub fn collect(&self, x: &mut [f32], scale: f32) {
        let stride = padded(self.size)[1];
        for (row, x) in x.chunks_exact_mut(self.size[1]).enumerate() {
            let first = (row + MARGIN) * stride + MARGIN;
            let from = |back: usize| &self.cells[first - back..][..x.len()];
            let [here, left, above, both] = [0, 1, stride, stride + 1].map(from);
            for (i, x) in x.iter_mut().enumerate() {
                let [a, b, c, d] = here[i];
                let (left, above) = (left[i][1] - left[i][3], above[i][2] - above[i][3]);
                *x = (a - b - c + d + left + above + both[i][3]) * scale;
            }
        }
    }

    /// The sum of the plane over the points of a line.
    pub fn sum(&self, line: Line) -> f32 {
        let mut sums = [0.0f32; 4];
        line.each(padded(self.size)[1], |place, u, v| {
            let factors = [1.0, u, v, u * v];
            sums.iter_mut().zip(self.cells[place]).zip(factors).for_each(|((sum, c), f)| *sum += f * c);
        });
        sums.iter().sum()
    }

    /// Adds `value` to the plane in all points of a line.
    pub fn spread(&mut self, line: Line, value: f32) {
        line.each(padded(self.size)[1], |place, u, v| {
            let factors = [value, u * value, v * value, u * v * value];
            self.cells[place].iter_mut().zip(factors).for_each(|(c, f)| *c += f);
        });
    }
}

/// Points at equal distances: row and column of the first one, and what a step adds to them.
#[derive(Clone, Copy)]
pub(super) struct Line {
    start: [i64; 2],
    step: [i64; 2],
    points: usize,
}

impl Line {
    /// Calls `visit(cell, u, v)` for every point, in a padded plane with `stride` columns.
    fn each(self, stride: usize, mut visit: impl FnMut(usize, f32, f32)) {
        let [mut row, mut column] = self.start;
        for _ in 0..self.points {
            visit((row >> FRACTION) as usize * stride + (column >> FRACTION) as usize, fraction(column), fraction(row));
            row += self.step[0];
            column += self.step[1];
        }
    }
}

/// Lines of one direction through a plane.
pub(super) struct Direction {
    size: [usize; 2],
    /// What a step adds to row and column.
    step: [f64; 2],
    /// Steps per pixel, down and across; 0 along an axis.
    pace: [f64; 2],
}

impl Direction {
    /// The direction whose steps go `step`, one pixel long, down and across a plane of `size`.
    pub fn new(size: [usize; 2], step: [f64; 2]) -> Self {
        let pace = step.map(|step| if step.abs() < 1e-12 { 0.0 } else { 1.0 / step });
        Self { size, step, pace }
    }

    /// Those of the points `start` + t `step`, t = 0 to `n` - 1, that are less than a pixel outside the plane.
    pub fn line(&self, start: [f64; 2], n: usize) -> Line {
        let [down, across] = [0, 1].map(|axis| self.near(axis, start[axis]));
        let steps = whole(down.0.max(across.0), down.1.min(across.1), n);
        let at = [0, 1].map(|axis| start[axis] + self.step[axis] * steps.start as f64 + MARGIN as f64);
        Line { start: at.map(fixed), step: self.step.map(fixed), points: steps.len() }
    }

    /// First and last t for which `start` + t times the step is less than a pixel outside along `axis`.
    fn near(&self, axis: usize, start: f64) -> (f64, f64) {
        let (low, high) = (-1.0 - start, self.size[axis] as f64 - start);
        match self.pace[axis] {
            0.0 if (low..=high).contains(&0.0) => (f64::NEG_INFINITY, f64::INFINITY),
            0.0 => (0.0, -1.0),
            pace => ((low * pace).min(high * pace), (low * pace).max(high * pace)),
        }
    }
}

/// The whole numbers from `first` to `last`, of 0 to `n` - 1.
fn whole(first: f64, last: f64, n: usize) -> Range<usize> {
    let up = |v: f64| {
        let below = v.clamp(0.0, n as f64) as usize;
        below + usize::from(v > below as f64 && below < n)
    };
    let (start, end) = (up(first), if last < 0.0 { 0 } else { (last.min(n as f64 - 1.0) as usize) + 1 });
    start..end.max(start)
}
