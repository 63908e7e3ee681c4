//! Classical deconvolution, for comparison: what can be had from a blurred image without learning from the others.

mod richardson_lucy;
mod wiener;

pub use richardson_lucy::RichardsonLucy;
pub use wiener::Wiener;
