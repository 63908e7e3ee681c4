//! Settings of one stage of a channel, and what they reveal before the stage is built.

use super::Channel;
use crate::error::{Error, Result};
use crate::image::ImageShape;

/// What a stage acts on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// A vector of this length.
    Vector(usize),
    /// An image of this shape.
    Image(ImageShape),
}

impl Signal {
    /// Number of values, d.
    pub fn d(self) -> usize {
        match self {
            Self::Vector(d) => d,
            Self::Image(shape) => shape.len(),
        }
    }

    /// What is as high and wide, with as many planes as `length` values fill.
    pub(super) fn planes(self, length: usize) -> Self {
        match self {
            Self::Image(shape) => Self::Image(ImageShape { channels: length / shape.pixels(), ..shape }),
            Self::Vector(_) => Self::Vector(length),
        }
    }

    /// The shape of the image.
    ///
    /// # Errors
    /// The signal is a vector, but the stage `kind` needs images.
    pub fn image(self, kind: &str) -> Result<ImageShape> {
        match self {
            Self::Image(shape) => Ok(shape),
            Self::Vector(d) => {
                let message = format!("\"{kind}\" needs images: here the signal is a vector of length {d}");
                Err(Error::config("kind", message))
            }
        }
    }
}

/// The settings of one stage of a channel, and what the rest of the program asks about the stage
/// before it is built.
pub trait Stage {
    /// Builds the stage for signals like `signal`.
    ///
    /// # Errors
    /// A setting is outside its range (named without the stage's position in the channel), or the signal is
    /// of the wrong kind.
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>>;

    /// What the next stage acts on; `length` is the observation length of the built stage. By default an
    /// image stays an image of the same shape.
    fn output(&self, signal: Signal, length: usize) -> Signal {
        match signal {
            Signal::Vector(_) => Signal::Vector(length),
            image => image,
        }
    }

    /// True when the operator's parameters are a mask in {0, 1} of coordinates or pixels.
    fn is_mask(&self) -> bool {
        false
    }

    /// Checks that the stage is available in the browser build.
    ///
    /// # Errors
    /// The stage needs something that WebAssembly lacks.
    fn check_browser(&self) -> Result<()> {
        Ok(())
    }

    /// Number of levels of the noise that are unknown, and which EM estimates.
    fn unknown_noise(&self) -> usize {
        0
    }

    /// Puts `levels` in place of those that are unknown, as many as [`Stage::unknown_noise`] says.
    fn set_noise(&mut self, _levels: &[f64]) {}

    /// Name and value of the setting, if there is one, that gives the size of the operator when multiplied by
    /// the signal length.
    fn multiplier(&self) -> Option<(&'static str, usize)> {
        None
    }
}
