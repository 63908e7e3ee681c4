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

    /// Calls `visit(place in the sinogram, pixel, weight)` for every weight of a plane's matrix.
    fn each(&self, a: &[f32], mut visit: impl FnMut(usize, Corner)) {
        let (n, half) = (self.detectors(), (self.detectors() / 2) as f64);
        let (height, width) = (self.shape.height, self.shape.width);
        let first = f64::from(a.first().copied().unwrap_or(0.0));
        for angle in 0..self.angles {
            let (sin, cos) = (first + self.step() * angle as f64).to_radians().sin_cos();
            for s in 0..n {
                let along = s as f64 - half;
                let column = |t: usize| cos * along + sin * (t as f64 - half) + (width / 2) as f64;
                let row = |t: usize| cos * (t as f64 - half) - sin * along + (height / 2) as f64;
                let inside = within(column(0), sin, width).and(within(row(0), cos, height)).shrunk(n);
                let place = angle * n + s;
                for t in (0..inside.start).chain(inside.end..n) {
                    self.corners(column(t), row(t), |corner| visit(place, corner));
                }
                for t in inside {
                    let (x, y) = (column(t), row(t));
                    // No value is negative here, so that the conversion rounds down.
                    let (left, top) = (x as usize, y as usize);
                    let (u, v) = ((x - left as f64) as f32, (y - top as f64) as f32);
                    let pixel = top * width + left;
                    visit(place, (pixel, (1.0 - u) * (1.0 - v)));
                    visit(place, (pixel + 1, u * (1.0 - v)));
                    visit(place, (pixel + width, (1.0 - u) * v));
                    visit(place, (pixel + width + 1, u * v));
                }
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

/// Steps t for which a coordinate lies between the first and the last pixel.
#[derive(Clone, Copy)]
struct Steps(f64, f64);

/// Distance to the edge that rounding cannot cross along a line that keeps a coordinate.
const EDGE: f64 = 1e-9;

/// The steps for which `start` + t `slope` lies in [0, n - 1].
fn within(start: f64, slope: f64, n: usize) -> Steps {
    let last = n as f64 - 1.0;
    match slope.abs() < 1e-12 {
        true if (EDGE..last - EDGE).contains(&start) => Steps(f64::NEG_INFINITY, f64::INFINITY),
        true => Steps(0.0, -1.0),
        false => {
            let (a, b) = (-start / slope, (last - start) / slope);
            Steps(a.min(b), a.max(b))
        }
    }
}

impl Steps {
    fn and(self, other: Self) -> Self {
        Self(self.0.max(other.0), self.1.min(other.1))
    }

    /// Those of the steps 0 to `n` - 1 that are sure to lie inside, whatever the rounding.
    fn shrunk(self, n: usize) -> std::ops::Range<usize> {
        let start = (self.0 + 1.0).ceil().clamp(0.0, n as f64) as usize;
        let end = self.1.floor().clamp(0.0, n as f64) as usize;
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
        let (pixels, values, scale) = (self.shape.pixels(), self.angles * self.detectors(), self.scale());
        y.fill(0.0);
        self.each(a, |place, (pixel, weight)| {
            for channel in 0..self.shape.channels {
                y[channel * values + place] += weight * scale * x[channel * pixels + pixel];
            }
        });
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        let (pixels, values, scale) = (self.shape.pixels(), self.angles * self.detectors(), self.scale());
        x.fill(0.0);
        self.each(a, |place, (pixel, weight)| {
            for channel in 0..self.shape.channels {
                x[channel * pixels + pixel] += weight * scale * y[channel * values + place];
            }
        });
    }
}
