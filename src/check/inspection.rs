//! What observations are read for.

use crate::image::ImageShape;

/// What observations are read for, which decides what is odd about them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Inspection {
    /// True for observations that a model is trained on: together they must show something that varies.
    pub training: bool,
    /// Shape of the signals, where they are images; their pixels are expected in [-2, 2].
    pub image: Option<ImageShape>,
    /// Smallest and largest value of a signal, where it is known.
    pub range: Option<[f64; 2]>,
}
