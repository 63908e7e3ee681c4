//! What a fused layer is given.

use burn::tensor::Tensor;

/// Kernels and biases of a [`super::block()`]: `w1`, `w2 [9 · c, c]` (neighborhood row by row), `b1`, `b2 [c]`.
pub struct BlockParameters {
    /// First convolution.
    pub w1: Tensor<2>,
    /// Its bias.
    pub b1: Tensor<1>,
    /// Second convolution.
    pub w2: Tensor<2>,
    /// Its bias.
    pub b2: Tensor<1>,
}
