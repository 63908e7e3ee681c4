//! Classical deconvolution, for comparison: how well a blurred image can be restored without learning
//! from other images.

mod richardson_lucy;
mod wiener;

pub use richardson_lucy::RichardsonLucy;
pub use wiener::Wiener;
