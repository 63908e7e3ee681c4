//! Arithmetic of diffem's fused layers and scores on slices in host memory, on the calling thread. This is a
//! separate crate so that the browser module can compile this part for speed and the rest for size.
#![warn(missing_docs)]

mod adam;
mod block;
pub mod clouds;
mod conv;
mod dense;
pub mod dropout;
mod math;
mod matrix;
mod orthogonal;
pub mod random;
mod resample;
mod short;

pub use adam::Adam;
pub use block::{Block, Gradients as BlockGradients, Saved};
pub use conv::{ConvGradients, Grid, conv, conv_backward};
pub use dense::{NORM_EPSILON, NormGradients, affine, norm_rows, norm_rows_backward, norm_silu, norm_silu_backward};
pub use math::add_rows;
pub use matrix::Matrix;
pub use orthogonal::{ORTHOGONAL_ITERATIONS, ORTHOGONAL_TINY, orthogonal};
pub use resample::{upsampled, upsampled_backward};
