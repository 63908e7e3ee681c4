//! What a channel tells about itself through its settings.

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

    /// The shape of the image.
    ///
    /// # Errors
    /// A vector: the stage `kind` needs images.
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

/// The settings of one stage of a channel, and what the rest of the program asks about the stage before it is
/// built.
pub trait Stage {
    /// Builds the stage for signals like `signal`.
    ///
    /// # Errors
    /// A setting outside its range, named without the stage's place in the channel; a signal of the wrong
    /// kind.
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

    /// Checks that the browser's build has the stage.
    ///
    /// # Errors
    /// The stage needs what WebAssembly lacks.
    fn check_browser(&self) -> Result<()> {
        Ok(())
    }

    /// The setting, if any, whose value times the length of the signal is the size of the operator: its name
    /// and value.
    fn multiplier(&self) -> Option<(&'static str, usize)> {
        None
    }
}
