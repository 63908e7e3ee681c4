//! Tomography with parallel beams: y holds line integrals of every plane, one row per angle, one value per detector,
//!
//! ```text
//! y[θ, s] = 1/n Σ_t x(c + (s - c) (cos θ, -sin θ) + (t - c) (sin θ, cos θ)),   x(·) bilinear, 0 outside
//! ```
//!
//! for points (column, row), with n detectors, the longer side of the image, whose length is the unit of the integrals.
//! For square images this is scikit-image's `radon` divided by n.

mod lines;
mod modes;

use self::lines::{Cells, Direction, Line};
use self::modes::SinogramModes;
use super::{Channel, LinearChannel, Preconditioner, Signal, Stage, narrow, wide};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

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
#[derive(Clone, Debug)]
pub struct Radon {
    shape: ImageShape,
    angles: usize,
    random_start: bool,
    /// Found at their first use.
    modes: OnceLock<SinogramModes>,
}

/// Modes follow from the rest.
impl PartialEq for Radon {
    fn eq(&self, other: &Self) -> bool {
        let key = |radon: &Self| (radon.shape, radon.angles, radon.random_start);
        key(self) == key(other)
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
        Ok(Self { shape, angles, random_start, modes: OnceLock::new() })
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

    /// Calls `visit(place, line)` for every line; place is that in the sinogram of a plane.
    fn each(&self, a: &[f32], visit: &mut dyn FnMut(usize, Line)) {
        let (n, half) = (self.detectors(), (self.detectors() / 2) as f64);
        let first = f64::from(a.first().copied().unwrap_or(0.0));
        for angle in 0..self.angles {
            let (sin, cos) = (first + self.step() * angle as f64).to_radians().sin_cos();
            let direction = Direction::new(self.size(), [cos, sin]);
            for s in 0..n {
                let along = s as f64 - half;
                let row = (self.shape.height / 2) as f64 - sin * along - cos * half;
                let column = (self.shape.width / 2) as f64 + cos * along - sin * half;
                visit(angle * n + s, direction.line([row, column], n));
            }
        }
    }

    /// The modes of one plane, from products halfway between two first angles where those differ.
    fn found_modes(&self) -> SinogramModes {
        let a = vec![0.5 * self.step() as f32; self.operator_len()];
        let plane = Self { shape: ImageShape { channels: 1, ..self.shape }, modes: OnceLock::new(), ..*self };
        SinogramModes::new(self.detectors(), self.angles, |y| {
            let (mut x, mut seen) = (vec![0.0f32; plane.shape.len()], vec![0.0f32; y.len()]);
            plane.adjoint(&a, &narrow(y), &mut x);
            plane.apply(&a, &x, &mut seen);
            wide(&seen)
        })
    }

    /// Height and width of a plane.
    fn size(&self) -> [usize; 2] {
        [self.shape.height, self.shape.width]
    }

    /// Values of a plane's sinogram.
    fn values(&self) -> usize {
        self.angles * self.detectors()
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
        for (x, y) in x.chunks_exact(self.shape.pixels()).zip(y.chunks_exact_mut(self.values())) {
            let cells = Cells::of(x, self.size());
            self.each(a, &mut |place, line| y[place] = cells.sum(line) * self.scale());
        }
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        for (x, y) in x.chunks_exact_mut(self.shape.pixels()).zip(y.chunks_exact(self.values())) {
            let mut cells = Cells::zeros(self.size());
            self.each(a, &mut |place, line| cells.spread(line, y[place]));
            cells.collect(x, self.scale());
        }
    }

    fn preconditioner<'a>(&'a self, _a: &'a [f32]) -> Option<Preconditioner<'a>> {
        // Sooner solutions are not worth the code of the modes to those who download it.
        if cfg!(target_arch = "wasm32") {
            return None;
        }
        let modes = self.modes.get_or_init(|| self.found_modes());
        Some(Preconditioner { modes, gain: 1.0, variance: 0.0 })
    }
}

#[cfg(test)]
mod tests;
