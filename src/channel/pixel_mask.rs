//! Missing pixels: y = a ∘ x with one mask a in {0, 1}^(h·w) shared by the color channels; a missing pixel
//! has y = 0.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Missing pixels, the same in every color channel (images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PixelMaskConfig {
    /// Probability that a pixel is missing, in [0, 1).
    pub rate: f64,
    /// If given, the rate of each image is drawn uniformly from [rate, max_rate]; must be below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<f64>,
}

impl Stage for PixelMaskConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(PixelMask::new(signal.image("pixel-mask")?, self.rate, self.max_rate)?))
    }

    fn is_mask(&self) -> bool {
        true
    }
}

/// Each pixel is missing independently with the rate of its image; every observation has a fresh mask. The
/// rate is the same for all images or drawn for each image (Daras et al. 2023, arXiv 2305.19256, and Rozet et
/// al. 2024 use one rate).
#[derive(Clone, Debug, PartialEq)]
pub struct PixelMask {
    shape: ImageShape,
    rate: f64,
    max_rate: Option<f64>,
}

impl PixelMask {
    /// Creates a mask. `rate` in [0, 1) is the probability that a pixel is missing; with `max_rate` in
    /// [rate, 1), it is drawn uniformly between the two for each image.
    pub fn new(shape: ImageShape, rate: f64, max_rate: Option<f64>) -> Result<Self> {
        shape.validate("image")?;
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::config("rate", format!("expected a number in [0, 1), found {rate}")));
        }
        if let Some(max) = max_rate.filter(|max| !(rate..1.0).contains(max)) {
            return Err(Error::config("max_rate", format!("expected a number in [{rate}, 1), found {max}")));
        }
        Ok(Self { shape, rate, max_rate })
    }

    fn draw(&self, stream: &mut Stream, a: &mut [f32]) {
        let rate = match self.max_rate {
            Some(max) => self.rate + (max - self.rate) * stream.uniform(),
            None => self.rate,
        };
        stream.fill_at_least(rate, a);
    }
}

/// Applies the mask to every color channel.
pub(super) fn hide(a: &[f32], x: &[f32], y: &mut [f32]) {
    for (y, x) in y.chunks_exact_mut(a.len()).zip(x.chunks_exact(a.len())) {
        y.iter_mut().zip(a).zip(x).for_each(|((y, a), x)| *y = a * x);
    }
}

/// Implements a mask shared by the color channels for a type with a `shape` and a method `draw`: masks differ
/// only in how they are drawn.
macro_rules! mask_channel {
    ($name:ident) => {
        impl Channel for $name {
            fn signal_len(&self) -> usize {
                self.shape.len()
            }

            fn signal_image(&self) -> Option<ImageShape> {
                Some(self.shape)
            }

            fn observation_len(&self) -> usize {
                self.shape.len()
            }

            fn operator_len(&self) -> usize {
                self.shape.pixels()
            }

            fn operator_shape(&self) -> Vec<usize> {
                vec![self.shape.height, self.shape.width]
            }

            fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
                self.draw(stream, a);
            }

            fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
                hide(a, x, y);
            }

            fn operator_lifts(&self) -> bool {
                true
            }

            fn masks(&self) -> Vec<std::ops::Range<usize>> {
                std::iter::once(0..self.shape.pixels()).collect()
            }

            fn as_linear(&self) -> Option<&dyn LinearChannel> {
                Some(self)
            }
        }

        impl LinearChannel for $name {
            fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
                hide(a, x, y);
            }

            fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
                hide(a, y, x);
            }

            fn is_diagonal(&self) -> bool {
                true
            }

            fn write_diagonal(&self, a: &[f32], matrix: &mut [f64], variance: &mut [f64]) {
                for plane in matrix.chunks_exact_mut(a.len()) {
                    plane.iter_mut().zip(a).for_each(|(m, &a)| *m = a as f64);
                }
                variance.fill(0.0);
            }
        }
    };
}

mask_channel!(PixelMask);
pub(super) use mask_channel;
