//! Self-attention over the pixels of an image.

use super::{MatmulPrecision, in_host_memory};
use burn::tensor::{FloatDType, Tensor, activation};

/// How the pixels of an image attend to each other.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Number of pixels of an image.
    pub pixels: usize,
    /// Number of heads, a divisor of the channels.
    pub heads: usize,
    /// What factors are multiplied in.
    pub precision: MatmulPrecision,
}

/// softmax(Q Kᵀ/√w) V O of every image and head: `v [n · pixels, c]`, `input [c, 3 · c]` (queries, keys and values side by
/// side, each head by head, of w = c/heads features) and O = `output [c, c]` -> `[n · pixels, c]`.
pub fn attention(v: Tensor<2>, input: Tensor<2>, output: Tensor<2>, heads: Heads) -> Tensor<2> {
    match in_host_memory(&v.device()) {
        true => by_image(v, input, output, heads),
        false => by_head(v, input, output, heads),
    }
}

fn by_image(v: Tensor<2>, input: Tensor<2>, output: Tensor<2>, heads: Heads) -> Tensor<2> {
    let Heads { pixels, heads, precision } = heads;
    let [rows, c] = v.dims();
    let (n, width) = (rows / pixels, c / heads);
    let all = precision.matmul(v, input).reshape([n, pixels, 3, heads, width]);
    let part = |k: usize| all.clone().narrow(2, k, 1).reshape([n, pixels, heads, width]).swap_dims(1, 2);
    let scores = precision.matmul(part(0), part(1).swap_dims(2, 3)) / (width as f64).sqrt();
    let mixed = precision.matmul(activation::softmax(scores, 3), part(2));
    precision.matmul(mixed.swap_dims(1, 2).reshape([rows, c]), output)
}

/// [`by_image`] with the heads first, so that queries, keys and values are contiguous and nothing is copied between the
/// products: half as many kernels.
fn by_head(v: Tensor<2>, input: Tensor<2>, output: Tensor<2>, heads: Heads) -> Tensor<2> {
    let Heads { pixels, heads, precision } = heads;
    let [rows, c] = v.dims();
    let (n, width) = (rows / pixels, c / heads);
    let input = input.reshape([c, 3 * heads, width]).swap_dims(0, 1);
    // burn's one kernel has no backward pass, and is chosen where kernels are timed.
    let mix = if cfg!(feature = "tuned") && !v.device().is_autodiff() { in_one_kernel } else { in_products };
    let all = precision.product(v.reshape([1, rows, c]), input, Tensor::matmul);
    let all = all.reshape([3 * heads, n, pixels, width]);
    let part = |k: usize| all.clone().narrow(0, k * heads, heads);
    let mixed = mix([part(0), part(1), part(2)], precision).reshape([heads, rows, width]);
    let by_head = precision.matmul(mixed, output.reshape([heads, width, c]));
    by_head.sum_dim(0).reshape([rows, c])
}

/// softmax(Q Kᵀ/√w) V for `[q, k, v]`, each `[heads, n, pixels, w]`.
fn in_products([q, k, v]: [Tensor<4>; 3], precision: MatmulPrecision) -> Tensor<4> {
    let width = q.dims()[3];
    let scores = precision.matmul(q, k.swap_dims(2, 3));
    // The softmax does not depend on what is subtracted.
    let top = scores.clone().detach().max_dim(3);
    let shares = ((scores - top) * (width as f64).sqrt().recip()).exp();
    let sum = shares.clone().sum_dim(3);
    precision.matmul(shares, v) / sum
}

/// [`in_products`] by a kernel that keeps no scores.
fn in_one_kernel(factors: [Tensor<4>; 3], precision: MatmulPrecision) -> Tensor<4> {
    let [q, k, v] = factors.map(|t| precision.rounded(t));
    burn::tensor::module::attention(q, k, v, None, None, Default::default()).cast(FloatDType::F32)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};
    use burn::tensor::{Device, TensorData};

    /// Values and gradients of both orders, for three images of six pixels and two heads of four features.
    #[test]
    fn the_order_of_images_and_heads_does_not_matter() {
        let device = Device::flex().autodiff();
        let (n, pixels, heads, c) = (3, 6, 2, 8);
        let normal = |index: usize, [rows, columns]: [usize; 2]| {
            let mut values = vec![0.0; rows * columns];
            Key::new(1, Purpose::Loss, index).stream(0, 0).fill_normal(&mut values);
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
        };
        let found = [by_image, by_head].map(|attention| {
            let leaves =
                [normal(0, [n * pixels, c]), normal(1, [c, 3 * c]), normal(2, [c, c])].map(Tensor::require_grad);
            let [v, input, output] = leaves.clone();
            let y = attention(v, input, output, Heads { pixels, heads, precision: MatmulPrecision::F32 });
            let mut gradients = (y.clone() * normal(3, [n * pixels, c])).sum().backward();
            let mut all = vec![y.inner()];
            all.extend(leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients).unwrap()));
            all.into_iter().map(|t| t.into_data().try_to_vec::<f32>().unwrap()).collect::<Vec<_>>()
        });
        for (a, b) in found[0].iter().zip(&found[1]) {
            let largest = a.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest > 0.1 && worst < 1e-5 * largest, "{worst} of {largest}");
        }
    }

    #[test]
    fn one_kernel_computes_what_products_do() {
        let device = Device::flex();
        let factors = [0, 1, 2].map(|index| {
            let mut values = vec![0.0; 2 * 3 * 6 * 4];
            Key::new(1, Purpose::Loss, index).stream(0, 0).fill_normal(&mut values);
            Tensor::<4>::from_data(TensorData::new(values, [2, 3, 6, 4]), &device)
        });
        for (precision, bound) in [(MatmulPrecision::F32, 1e-5), (MatmulPrecision::Bf16, 3e-2)] {
            let [found, expected] = [in_one_kernel, in_products].map(|mix| mix(factors.clone(), precision));
            let worst: f32 = (found - expected.clone()).abs().max().into_scalar();
            let largest: f32 = expected.abs().max().into_scalar();
            assert!(largest > 0.1 && worst < bound * largest, "{worst} of {largest}");
        }
    }
}
