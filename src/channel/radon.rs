//! Tomography with parallel beams: y holds line integrals of every plane, one row per angle, one value per detector,
//!
//! ```text
//! y[θ, s] = 1/n Σ_t x(c + (s - c) (cos θ, -sin θ) + (t - c) (sin θ, cos θ)),   x(·) bilinear, 0 outside
//! ```
//!
//! for points (column, row), with n detectors, the longer side of the image, whose length is the unit of the integrals.
//! For square images this is scikit-image's `radon` divided by n.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::ops::Range;

/// Maximum number of angles.
const MAX_ANGLES: usize = 4096;

/// Parallel-beam tomography (images): y is the sinogram, angles by detectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RadonConfig {
    /// Number of angles, spread evenly over half a turn, 1 to 4096.
    pub angles: usize,
    /// Whether every observation begins at an angle of its own, drawn uniformly between two of the even ones; otherwise
    /// all begin at 0. Observations of your own bring the first angle as `a`, in degrees.
    #[serde(default)]
    pub random_start: bool,
}

impl Stage for RadonConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Radon::new(signal.image("radon")?, self.angles, self.random_start)?))
    }

    fn output(&self, signal: Signal, length: usize) -> Signal {
        match signal {
            Signal::Image(ImageShape { channels, height, width }) => {
                Signal::Image(ImageShape { channels, height: self.angles, width: height.max(width) })
            }
            Signal::Vector(_) => Signal::Vector(length),
        }
    }
}

/// Line integrals of every plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Radon {
    shape: ImageShape,
    angles: usize,
    random_start: bool,
}

/// A pixel and its weight in a bilinear interpolation.
type Corner = (usize, f32);

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

/// The upper left of four pixels, and how far a point between them lies to the right and below.
#[derive(Clone, Copy)]
struct Square {
    pixel: usize,
    u: f32,
    v: f32,
}

impl Square {
    /// Value of a plane of `width` columns at the point.
    fn value(self, x: &[f32], width: usize) -> f32 {
        let corners = &x[self.pixel..][..width + 2];
        let (upper, lower) = ([corners[0], corners[1]], [corners[width], corners[width + 1]]);
        let across = |pair: [f32; 2]| pair[0] + self.u * (pair[1] - pair[0]);
        across(upper) + self.v * (across(lower) - across(upper))
    }

    /// Adds `value` to the four pixels with their weights.
    fn spread(self, value: f32, x: &mut [f32], width: usize) {
        let corners = &mut x[self.pixel..][..width + 2];
        let (upper, lower) = ((1.0 - self.v) * value, self.v * value);
        for (start, value) in [(0, upper), (width, lower)] {
            corners[start] += (1.0 - self.u) * value;
            corners[start + 1] += self.u * value;
        }
    }
}

/// The steps of a line that lie between four pixels.
struct Squares {
    width: usize,
    left: usize,
    /// Column and row of the next step, and what a step adds to them.
    at: [i64; 2],
    step: [i64; 2],
}

impl Iterator for Squares {
    type Item = Square;

    fn next(&mut self) -> Option<Square> {
        self.left = self.left.checked_sub(1)?;
        let [x, y] = self.at;
        self.at = [x + self.step[0], y + self.step[1]];
        let pixel = (y >> FRACTION) as usize * self.width + (x >> FRACTION) as usize;
        Some(Square { pixel, u: fraction(x), v: fraction(y) })
    }
}

impl Radon {
    /// Creates the channel for `angles` angles, 1 to 4096, spread over half a turn; with `random_start` every
    /// observation has a first angle of its own.
    ///
    /// # Errors
    /// A number of angles outside its range.
    pub fn new(shape: ImageShape, angles: usize, random_start: bool) -> Result<Self> {
        shape.validate("image")?;
        if !(1..=MAX_ANGLES).contains(&angles) {
            return Err(Error::config("angles", format!("expected 1 to {MAX_ANGLES}, found {angles}")));
        }
        let sinogram = ImageShape { channels: shape.channels, height: angles, width: shape.height.max(shape.width) };
        sinogram.validate("angles")?;
        Ok(Self { shape, angles, random_start })
    }

    fn detectors(&self) -> usize {
        self.shape.height.max(self.shape.width)
    }

    /// Degrees between two angles.
    fn step(&self) -> f64 {
        180.0 / self.angles as f64
    }

    /// Length of a step along a line, in units of the image's longer side.
    fn scale(&self) -> f32 {
        1.0 / self.detectors() as f32
    }

    /// Calls `inside(place, squares)` for the steps of every line that lie between four pixels, and `edge(place, pixel)`
    /// for the pixels around all other steps; place is that in the sinogram of a plane.
    fn each(&self, a: &[f32], mut inside: impl FnMut(usize, Squares), mut edge: impl FnMut(usize, Corner)) {
        let (n, half) = (self.detectors(), (self.detectors() / 2) as f64);
        let (height, width) = (self.shape.height, self.shape.width);
        let first = f64::from(a.first().copied().unwrap_or(0.0));
        for angle in 0..self.angles {
            let (sin, cos) = (first + self.step() * angle as f64).to_radians().sin_cos();
            for s in 0..n {
                let along = s as f64 - half;
                let column = |t: usize| cos * along + sin * (t as f64 - half) + (width / 2) as f64;
                let row = |t: usize| cos * (t as f64 - half) - sin * along + (height / 2) as f64;
                let place = angle * n + s;
                let both =
                    |of: fn(f64, f64, usize) -> Steps| of(column(0), sin, width).and(of(row(0), cos, height)).range(n);
                let (within, near) = (both(Steps::within), both(Steps::near));
                for t in (near.start..within.start).chain(within.end..near.end) {
                    self.corners(column(t), row(t), |corner| edge(place, corner));
                }
                let at = [column(within.start), row(within.start)].map(fixed);
                inside(place, Squares { width, left: within.len(), at, step: [sin, cos].map(fixed) });
            }
        }
    }

    /// Calls `visit` for the pixels around a point, of those that the image has.
    fn corners(&self, column: f64, row: f64, mut visit: impl FnMut(Corner)) {
        let (height, width) = (self.shape.height as isize, self.shape.width as isize);
        let (left, top) = (column.floor(), row.floor());
        let (u, v) = ((column - left) as f32, (row - top) as f32);
        let (left, top) = (left as isize, top as isize);
        if left < -1 || top < -1 || left >= width || top >= height {
            return;
        }
        for (dy, wy) in [(0, 1.0 - v), (1, v)] {
            for (dx, wx) in [(0, 1.0 - u), (1, u)] {
                let (x, y) = (left + dx, top + dy);
                if (0..width).contains(&x) && (0..height).contains(&y) {
                    visit(((y * width + x) as usize, wx * wy));
                }
            }
        }
    }
}

/// Steps t for which a coordinate lies in a range.
#[derive(Clone, Copy)]
struct Steps(f64, f64);

/// Distance to the edge, in pixels, that rounding cannot cross.
const EDGE: f64 = 1e-5;

impl Steps {
    /// The steps for which `start` + t `slope` lies in [`low`, `high`].
    fn of(start: f64, slope: f64, [low, high]: [f64; 2]) -> Self {
        match slope.abs() < 1e-12 {
            true if (low..=high).contains(&start) => Self(f64::NEG_INFINITY, f64::INFINITY),
            true => Self(0.0, -1.0),
            false => {
                let (a, b) = ((low - start) / slope, (high - start) / slope);
                Self(a.min(b), a.max(b))
            }
        }
    }

    /// Those between the first and the last of `n` pixels.
    fn within(start: f64, slope: f64, n: usize) -> Self {
        Self::of(start, slope, [EDGE, n as f64 - 1.0 - EDGE])
    }

    /// Those less than a pixel away from `n` pixels.
    fn near(start: f64, slope: f64, n: usize) -> Self {
        Self::of(start, slope, [-1.0 - EDGE, n as f64 + EDGE])
    }

    fn and(self, other: Self) -> Self {
        Self(self.0.max(other.0), self.1.min(other.1))
    }

    /// Those of the steps 0 to `n` - 1.
    fn range(self, n: usize) -> Range<usize> {
        let start = self.0.ceil().clamp(0.0, n as f64) as usize;
        let end = (self.1.floor() + 1.0).clamp(0.0, n as f64) as usize;
        start..end.max(start)
    }
}

impl Channel for Radon {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        Some(self.shape)
    }

    fn observation_image(&self) -> Option<ImageShape> {
        Some(ImageShape { height: self.angles, width: self.detectors(), ..self.shape })
    }

    fn observation_len(&self) -> usize {
        self.shape.channels * self.angles * self.detectors()
    }

    fn operator_len(&self) -> usize {
        usize::from(self.random_start)
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        a.iter_mut().for_each(|a| *a = (self.step() * stream.uniform()) as f32);
    }

    fn operator_feature_len(&self) -> usize {
        self.operator_len() * self.shape.pixels()
    }

    /// Writes a plane of the first angle, in units of the step between two.
    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        out.fill(a.first().map_or(0.0, |a| a / self.step() as f32));
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    /// A sinogram is no image of the signal, even where it has its size.
    fn lifts(&self) -> bool {
        false
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Radon {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        let (pixels, values, width) = (self.shape.pixels(), self.angles * self.detectors(), self.shape.width);
        y.fill(0.0);
        for (x, y) in x.chunks_exact(pixels).zip(y.chunks_exact_mut(values)) {
            let sums = Cell::from_mut(y).as_slice_of_cells();
            let add = |place: usize, value: f32| sums[place].set(sums[place].get() + value);
            self.each(
                a,
                |place, squares| add(place, squares.map(|square| square.value(x, width)).sum()),
                |place, (pixel, weight)| add(place, weight * x[pixel]),
            );
            y.iter_mut().for_each(|y| *y *= self.scale());
        }
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        let (pixels, values, width) = (self.shape.pixels(), self.angles * self.detectors(), self.shape.width);
        x.fill(0.0);
        for (x, y) in x.chunks_exact_mut(pixels).zip(y.chunks_exact(values)) {
            let mut edges = vec![0.0; pixels];
            self.each(
                a,
                |place, squares| squares.for_each(|square| square.spread(y[place], x, width)),
                |place, (pixel, weight)| edges[pixel] += weight * y[place],
            );
            x.iter_mut().zip(edges).for_each(|(x, edge)| *x = (*x + edge) * self.scale());
        }
    }
}
