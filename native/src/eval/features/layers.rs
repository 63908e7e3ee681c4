//! Layers that the feature networks share, for inference only: parameters are fixed and nothing is random.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d, layer_norm, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};

/// Zero padding around the input planes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's "SAME": the output has ceil(size / stride) values, and an odd zero goes last.
    Same,
    /// This many zeros on each side.
    Fixed(usize),
}

/// Activation that follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

/// Hyperparameters of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Number of input channels.
    pub input: usize,
    /// Number of output channels.
    pub output: usize,
    /// Height and width of the kernel.
    pub size: [usize; 2],
    pub stride: usize,
    pub padding: Padding,
    /// Number of groups: 1, or the number of channels for a depthwise convolution.
    pub groups: usize,
    pub activation: Activation,
}

impl Kernel {
    /// A kernel of stride 1 that preserves the size, followed by a ReLU.
    pub fn new([input, output]: [usize; 2], size: [usize; 2]) -> Self {
        Self { input, output, size, stride: 1, padding: Padding::Same, groups: 1, activation: Activation::Relu }
    }

    /// Shape of the weights.
    pub fn shape(&self) -> [usize; 4] {
        [self.output, self.input / self.groups, self.size[0], self.size[1]]
    }

    /// Number of zeros before and after an axis of this size.
    fn zeros(&self, size: usize, axis: usize) -> (usize, usize) {
        match self.padding {
            Padding::Fixed(n) => (n, n),
            Padding::Same => {
                let needed = (size.div_ceil(self.stride) - 1) * self.stride + self.size[axis];
                let total = needed.saturating_sub(size);
                (total / 2, total - total / 2)
            }
        }
    }
}

/// A convolution with bias and activation.
pub struct Conv {
    /// Weights `[output, input / groups, height, width]`.
    pub weight: Tensor<4>,
    /// Bias `[output]`.
    pub bias: Tensor<1>,
    pub kernel: Kernel,
}

impl Conv {
    /// Maps `x [n, input, height, width]` to `[n, output, ..]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ([_, _, height, width], kernel) = (x.dims(), &self.kernel);
        let padding = [kernel.zeros(height, 0), kernel.zeros(width, 1)];
        let options = ConvOptions::new_with_padding([kernel.stride; 2], padding, [1, 1], kernel.groups);
        let x = conv2d(x, self.weight.clone(), Some(self.bias.clone()), options);
        match kernel.activation {
            Activation::None => x,
            Activation::Relu => relu(x),
            Activation::Relu6 => x.clamp(0.0, 6.0),
        }
    }
}

/// The linear layer x Wᵀ + b.
pub struct Linear {
    /// Transposed weights Wᵀ `[input, output]`.
    pub weight: Tensor<2>,
    /// Bias `[output]`.
    pub bias: Tensor<1>,
}

impl Linear {
    /// Maps `x [.., input]` to `[.., output]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.clone(), Some(self.bias.clone()))
    }
}

/// Layer normalization over the last axis.
pub struct Norm {
    /// Gain `[features]`.
    pub gamma: Tensor<1>,
    /// Bias `[features]`.
    pub beta: Tensor<1>,
    pub epsilon: f64,
}

impl Norm {
    /// Normalizes `x [.., features]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.gamma.clone(), Some(self.beta.clone()), self.epsilon)
    }
}

/// Max pooling over 3x3 windows.
pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([stride; 2]).with_padding([padding; 2]))
}

/// Average pooling over the 3x3 window around every value. Padding is excluded from the mean, which is the
/// default in TensorFlow but not in PyTorch.
pub fn average_around(x: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]);
    avg_pool2d(x, options.with_count_include_pad(false))
}

/// Global average pooling: `[n, c, height, width]` to `[n, c]`.
pub fn mean_of_planes(x: Tensor<4>) -> Tensor<2> {
    x.flatten::<3>(2, 3).mean_dim(2).flatten(1, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn padding_is_that_of_tensorflow() {
        let same = |size, kernel, stride| Kernel { stride, ..Kernel::new([1, 1], [kernel, kernel]) }.zeros(size, 0);
        assert_eq!(same(224, 3, 2), (0, 1));
        assert_eq!(same(112, 3, 1), (1, 1));
        assert_eq!(same(56, 5, 2), (1, 2));
        assert_eq!(same(7, 1, 1), (0, 0));
        let flat = Kernel::new([1, 1], [1, 7]);
        assert_eq!((flat.zeros(17, 0), flat.zeros(17, 1)), ((0, 0), (3, 3)));
    }

    #[test]
    fn averages_leave_the_padding_out() {
        let device = crate::device::open("auto").unwrap().1;
        let x: Tensor<4> = Tensor::from_data(TensorData::new(vec![1.0f32, 2.0, 3.0, 6.0], [1, 1, 2, 2]), &device);
        let found = average_around(x.clone()).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(found, [3.0; 4]);
        assert_eq!(max_pool(x, 1, 1).into_data().try_to_vec::<f32>().unwrap(), [6.0; 4]);
    }
}
