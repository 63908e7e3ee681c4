//! Parameters of the fused layers.

use burn::tensor::Tensor;

/// Kernels and biases of a residual block, see [`super::block()`]: `w1`, `w2 [9 · c, c]`
/// (neighborhood row by row), `b1`, `b2 [c]`.
pub struct BlockParameters {
    /// Kernels of the first convolution.
    pub w1: Tensor<2>,
    /// Biases of the first convolution.
    pub b1: Tensor<1>,
    /// Kernels of the second convolution.
    pub w2: Tensor<2>,
    /// Biases of the second convolution.
    pub b2: Tensor<1>,
}
