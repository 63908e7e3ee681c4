//! Self-attention over the pixels of an image.

use super::in_host_memory;
use burn::tensor::{Tensor, activation};

/// softmax(Q Kᵀ/√w) V O of every image and head: `v [n · pixels, c]`, `input [c, 3 · c]` (queries, keys and values side by
/// side, each head by head, of w = c/heads features) and O = `output [c, c]` -> `[n · pixels, c]`.
pub fn attention(v: Tensor<2>, input: Tensor<2>, output: Tensor<2>, [pixels, heads]: [usize; 2]) -> Tensor<2> {
    match in_host_memory(&v.device()) {
        true => by_image(v, input, output, [pixels, heads]),
        false => by_head(v, input, output, [pixels, heads]),
    }
}

fn by_image(v: Tensor<2>, input: Tensor<2>, output: Tensor<2>, [pixels, heads]: [usize; 2]) -> Tensor<2> {
    let [rows, c] = v.dims();
    let (n, width) = (rows / pixels, c / heads);
    let all = v.matmul(input).reshape([n, pixels, 3, heads, width]);
    let part = |k: usize| all.clone().narrow(2, k, 1).reshape([n, pixels, heads, width]).swap_dims(1, 2);
    let scores = part(0).matmul(part(1).swap_dims(2, 3)) / (width as f64).sqrt();
    let mixed = activation::softmax(scores, 3).matmul(part(2));
    mixed.swap_dims(1, 2).reshape([rows, c]).matmul(output)
}

/// [`by_image`] with the heads first, so that queries, keys and values are contiguous and nothing is copied between the
/// products: half as many kernels.
fn by_head(v: Tensor<2>, input: Tensor<2>, output: Tensor<2>, [pixels, heads]: [usize; 2]) -> Tensor<2> {
    let [rows, c] = v.dims();
    let (n, width) = (rows / pixels, c / heads);
    let input = input.reshape([c, 3 * heads, width]).swap_dims(0, 1);
    let all = v.reshape([1, rows, c]).matmul(input).reshape([3 * heads, n, pixels, width]);
    let part = |k: usize| all.clone().narrow(0, k * heads, heads);
    let scores = part(0).matmul(part(1).swap_dims(2, 3));
    // The softmax does not depend on what is subtracted.
    let top = scores.clone().detach().max_dim(3);
    let shares = ((scores - top) * (width as f64).sqrt().recip()).exp();
    let sum = shares.clone().sum_dim(3);
    let mixed = (shares.matmul(part(2)) / sum).reshape([heads, rows, width]);
    mixed.matmul(output.reshape([heads, width, c])).sum_dim(0).reshape([rows, c])
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
            let y = attention(v, input, output, [pixels, heads]);
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
}
