//! Images in an unknown position: y is the image turned by a random angle and moved by a random shift, and is summed along
//! its columns where that is asked for, as a projection of a particle in unknown orientation is:
//!
//! ```text
//! turned(p) = x(c + R(θ)ᵀ (p - c - t)),   x(·) bilinear, b outside;   y = turned, or y[j] = 1/h Σ_i turned[i, j]
//! ```
//!
//! with the center c of the image. Angle and shift are part of the noise: nobody knows them, so the network is not told.
//! Given them y is linear in x, but its distribution is a mixture over all of them, and the channel is not linear.

use super::{Channel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::{ImageShape, PIXEL_MIN};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Images turned and moved at random, by how much is unknown (images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateProjectConfig {
    /// Greatest angle in degrees, in [0, 180]; angles are drawn uniformly up to it in both directions.
    #[serde(default = "half_a_turn")]
    pub angle: f64,
    /// Greatest shift in pixels, in [0, the image's shorter side]; shifts are drawn uniformly up to it, down and across.
    #[serde(default)]
    pub shift: f64,
    /// Whether y holds the means of the columns of every plane in place of the plane.
    #[serde(default)]
    pub project: bool,
    /// Value around the image; by default that of black.
    #[serde(default = "black")]
    pub background: f64,
}

fn half_a_turn() -> f64 {
    180.0
}

fn black() -> f64 {
    f64::from(PIXEL_MIN)
}

impl Stage for RotateProjectConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(RotateProject::new(signal.image("rotate-project")?, self)?))
    }

    fn output(&self, signal: Signal, length: usize) -> Signal {
        match signal {
            Signal::Image(shape) if self.project => Signal::Image(ImageShape { height: 1, ..shape }),
            Signal::Image(shape) => Signal::Image(shape),
            Signal::Vector(_) => Signal::Vector(length),
        }
    }
}

/// Turns and moves every image at random, and sums along its columns where that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RotateProject {
    shape: ImageShape,
    config: RotateProjectConfig,
}

impl RotateProject {
    /// Creates the channel.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn new(shape: ImageShape, config: &RotateProjectConfig) -> Result<Self> {
        shape.validate("image")?;
        if !(0.0..=180.0).contains(&config.angle) {
            return Err(Error::config("angle", format!("expected degrees in [0, 180], found {}", config.angle)));
        }
        let side = shape.height.min(shape.width);
        if !(0.0..=side as f64).contains(&config.shift) {
            let message = format!("expected pixels in [0, {side}] (the image's shorter side), found {}", config.shift);
            return Err(Error::config("shift", message));
        }
        if !config.background.is_finite() {
            let message = format!("expected a finite number, found {}", config.background);
            return Err(Error::config("background", message));
        }
        Ok(Self { shape, config: config.clone() })
    }

    /// Calls `put(pixel, value)` for every pixel of a plane that is turned by `angle` (radians) and moved by `shift`.
    fn turn(&self, x: &[f32], angle: f64, shift: [f64; 2], mut put: impl FnMut(usize, f64)) {
        let (sin, cos) = angle.sin_cos();
        let [middle, center] = [self.shape.height, self.shape.width].map(|n| (n as f64 - 1.0) / 2.0);
        for p in 0..self.shape.pixels() {
            let down = (p / self.shape.width) as f64 - middle - shift[0];
            let across = (p % self.shape.width) as f64 - center - shift[1];
            put(p, self.value(x, middle + cos * down - sin * across, center + sin * down + cos * across));
        }
    }

    /// Value of a plane between its pixels.
    fn value(&self, x: &[f32], row: f64, column: f64) -> f64 {
        let (top, left) = (row.floor(), column.floor());
        let (v, u) = (row - top, column - left);
        let at = |i: f64, j: f64| {
            let inside = i >= 0.0 && j >= 0.0 && i < self.shape.height as f64 && j < self.shape.width as f64;
            if inside { f64::from(x[i as usize * self.shape.width + j as usize]) } else { self.config.background }
        };
        let upper = (1.0 - u) * at(top, left) + u * at(top, left + 1.0);
        let lower = (1.0 - u) * at(top + 1.0, left) + u * at(top + 1.0, left + 1.0);
        (1.0 - v) * upper + v * lower
    }
}

impl Channel for RotateProject {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        Some(self.shape)
    }

    fn observation_image(&self) -> Option<ImageShape> {
        let height = if self.config.project { 1 } else { self.shape.height };
        Some(ImageShape { height, ..self.shape })
    }

    fn observation_len(&self) -> usize {
        self.observation_image().map_or(0, |shape| shape.len())
    }

    /// Means of columns are no image of the signal.
    fn lifts(&self) -> bool {
        !self.config.project
    }

    fn observe(&self, x: &[f32], _a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        let mut within = |most: f64| most * (2.0 * stream.uniform() - 1.0);
        let (angle, shift) = (within(self.config.angle).to_radians(), [0; 2].map(|_| within(self.config.shift)));
        let (pixels, width, height) = (self.shape.pixels(), self.shape.width, self.shape.height as f64);
        for (channel, plane) in x.chunks_exact(pixels).enumerate() {
            if self.config.project {
                let mut sums = vec![0.0; width];
                self.turn(plane, angle, shift, |p, v| sums[p % width] += v);
                let y = &mut y[channel * width..][..width];
                y.iter_mut().zip(sums).for_each(|(y, sum)| *y = (sum / height) as f32);
            } else {
                let y = &mut y[channel * pixels..][..pixels];
                self.turn(plane, angle, shift, |p, v| y[p] = v as f32);
            }
        }
    }
}
