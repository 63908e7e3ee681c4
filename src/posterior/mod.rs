//! A trained posterior q(x | y), which is the one way to sample for the library, the command line, figures,
//! calibration and the browser.
//!
//! Draw k of observation i uses the noise of (seed, k, i) everywhere, so the same seed gives the same draws
//! wherever they are made, alone or together with others.

mod draws;
mod file;
mod model;
mod sample;
mod trained;

pub use draws::{Draws, Row};
pub use file::{Bundle, Examples, Export, Recipe};
pub use model::Model;
pub(crate) use trained::Earlier;
pub use trained::Posterior;
