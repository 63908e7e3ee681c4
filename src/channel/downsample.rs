//! Lower resolution: each value of y is the mean of a block of f x f pixels in one color channel.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Mean over blocks of pixels (images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DownsampleConfig {
    /// Side length of a block, >= 1; it must divide the image's height and width.
    pub factor: usize,
}

impl Stage for DownsampleConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Downsample::new(signal.image("downsample")?, self.factor)?))
    }

    fn output(&self, signal: Signal, length: usize) -> Signal {
        match signal {
            Signal::Image(shape) => Signal::Image(ImageShape {
                height: shape.height / self.factor,
                width: shape.width / self.factor,
                ..shape
            }),
            Signal::Vector(_) => Signal::Vector(length),
        }
    }
}

/// Mean over blocks: m = C · (h / f) · (w / f).
#[derive(Clone, Debug, PartialEq)]
pub struct Downsample {
    shape: ImageShape,
    factor: usize,
}

impl Downsample {
    /// Creates a channel with blocks of side `factor` f >= 1, which must divide the image's height and width.
    pub fn new(shape: ImageShape, factor: usize) -> Result<Self> {
        shape.validate("image")?;
        if factor == 0 || !shape.height.is_multiple_of(factor) || !shape.width.is_multiple_of(factor) {
            let sides = format!("{} x {}", shape.height, shape.width);
            let message = format!("expected a number >= 1 that divides the image's sides {sides}, found {factor}");
            return Err(Error::config("factor", message));
        }
        Ok(Self { shape, factor })
    }

    /// Shape of the observations.
    pub fn output(&self) -> ImageShape {
        let (height, width) = (self.shape.height / self.factor, self.shape.width / self.factor);
        ImageShape { height, width, ..self.shape }
    }

    /// Writes every value of `y` times `gain` to its whole block, for any number of planes.
    fn spread(&self, y: &[f32], gain: f32, out: &mut [f32]) {
        let (width, f) = (self.shape.width, self.factor);
        for (block, line) in out.chunks_exact_mut(width * f).zip(y.chunks_exact(width / f)) {
            for out in block.chunks_exact_mut(width) {
                out.chunks_exact_mut(f).zip(line).for_each(|(out, y)| out.fill(y * gain));
            }
        }
    }

    fn gain(&self) -> f32 {
        1.0 / (self.factor * self.factor) as f32
    }
}

impl Channel for Downsample {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        Some(self.shape)
    }

    fn observation_image(&self) -> Option<ImageShape> {
        Some(self.output())
    }

    fn observation_len(&self) -> usize {
        self.output().len()
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    fn lifts(&self) -> bool {
        true
    }

    /// Nearest-neighbor upsampling, which is also the least-norm solution of A x = y.
    fn lift(&self, y: &[f32], out: &mut [f32]) {
        self.spread(y, 1.0, out);
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Downsample {
    fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
        let (width, f) = (self.shape.width, self.factor);
        y.fill(0.0);
        for (line, block) in y.chunks_exact_mut(width / f).zip(x.chunks_exact(width * f)) {
            for x in block.chunks_exact(width) {
                line.iter_mut().zip(x.chunks_exact(f)).for_each(|(y, x)| *y += x.iter().sum::<f32>());
            }
        }
        y.iter_mut().for_each(|y| *y *= self.gain());
    }

    fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
        self.spread(y, self.gain(), x);
    }
}
