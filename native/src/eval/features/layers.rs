//! Layers that the feature networks share, at rest: parameters are fixed and nothing is random.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d, layer_norm, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};

/// Zeros around the planes that a convolution takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many as let ceil(size / stride) values come out, an odd one last: TensorFlow's "SAME".
    Same,
    /// So many on each side.
    Fixed(usize),
}

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

/// What an architecture says of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Channels taken.
    pub input: usize,
    /// Channels given.
    pub output: usize,
    /// Height and width.
    pub size: [usize; 2],
    pub stride: usize,
    pub padding: Padding,
    /// 1, or the number of channels for a convolution of each channel by itself.
    pub groups: usize,
    pub activation: Activation,
}

impl Kernel {
    /// A kernel of stride 1 that keeps the size, followed by a ReLU.
    pub fn new([input, output]: [usize; 2], size: [usize; 2]) -> Self {
        Self { input, output, size, stride: 1, padding: Padding::Same, groups: 1, activation: Activation::Relu }
    }

    /// Shape of the weights.
    pub fn shape(&self) -> [usize; 4] {
        [self.output, self.input / self.groups, self.size[0], self.size[1]]
    }

    /// Zeros before and after an axis of this size.
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

/// A convolution with bias, and its activation.
pub struct Conv {
    /// `[output, input / groups, height, width]`
    pub weight: Tensor<4>,
    /// `[output]`
    pub bias: Tensor<1>,
    pub kernel: Kernel,
}

impl Conv {
    /// `x [n, input, height, width]` to `[n, output, ..]`.
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

/// x Wᵀ + b.
pub struct Linear {
    /// `[input, output]`
    pub weight: Tensor<2>,
    /// `[output]`
    pub bias: Tensor<1>,
}

impl Linear {
    /// `x [.., input]` to `[.., output]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.clone(), Some(self.bias.clone()))
    }
}

/// Layer normalization of the last axis.
pub struct Norm {
    /// `[features]`
    pub gamma: Tensor<1>,
    /// `[features]`
    pub beta: Tensor<1>,
    pub epsilon: f64,
}

impl Norm {
    /// `x [.., features]`, normalized.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.gamma.clone(), Some(self.beta.clone()), self.epsilon)
    }
}

/// Greatest values of 3x3 windows.
pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([stride; 2]).with_padding([padding; 2]))
}

/// Means of 3x3 windows around every value, over the values that there are (TensorFlow's, not PyTorch's
/// default).
pub fn average_around(x: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]);
    avg_pool2d(x, options.with_count_include_pad(false))
}

/// Means of whole planes: `[n, c, height, width]` to `[n, c]`.
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
