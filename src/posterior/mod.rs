//! A trained posterior q(x | y): the one way to sample, for the library, the command line, figures, calibration and the
//! browser.
//!
//! Draw k of observation i has the noise of (seed, k, i) everywhere, so that the same seed gives the same draws wherever they
//! are made, on their own or among others.

mod draws;
mod file;
mod model;
mod sample;
mod trained;

pub use draws::{Draws, Row};
pub use file::{Bundle, Examples, Export, Recipe};
pub use model::Model;
pub use trained::Posterior;
