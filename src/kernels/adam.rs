//! Sums the shards' gradients, clips the sum, and updates the weights by Adam and their average, in one
//! pass over host memory.

use super::flex::Values;
use crate::parallel;
use burn::tensor::{Tensor, TensorData};
use diffem_kernels::{Adam, add_rows};

/// Number of values per piece of work; fixed, so that the thread count changes no bit.
const PIECE: usize = 16_384;

/// Sums the gradients in order; returns the sum and its Euclidean norm.
fn reduce(gradients: &[Values], len: usize) -> (Vec<f32>, f64) {
    let mut sum = vec![0.0f32; len];
    parallel::for_each_chunk_mut(&mut sum, PIECE, |piece, out| {
        let from = piece * PIECE;
        let range = from..from + out.len();
        gradients.iter().for_each(|g| add_rows(&g.get()[range.clone()], out));
    });
    let squares = parallel::map(len.div_ceil(PIECE), |piece| {
        let part = &sum[piece * PIECE..len.min((piece + 1) * PIECE)];
        part.iter().map(|&v| v as f64 * v as f64).sum::<f64>()
    });
    (sum, squares.iter().sum::<f64>().sqrt())
}

/// One update of `[weights, average, first moment, second moment]` on flex with the sum of the `gradients`,
/// whose norm is clipped to `clip_norm` unless that is 0; all vectors `[P]`.
pub(crate) fn adam(state: [&Tensor<1>; 4], gradients: Vec<Tensor<1>>, adam: &Adam, clip_norm: f32) -> [Tensor<1>; 4] {
    let device = state[0].device();
    let gradients: Vec<Values> = gradients.iter().map(Values::of).collect();
    let olds = state.map(Values::of);
    let [weights, average, first, second] = olds.each_ref().map(Values::get);
    let (gradient, norm) = reduce(&gradients, weights.len());
    let scale = if clip_norm > 0.0 { (clip_norm as f64 / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 };
    // Four values per parameter side by side: one parallel pass writes all four vectors.
    let mut out = vec![[0.0f32; 4]; weights.len()];
    parallel::for_each_chunk_mut(&mut out, PIECE, |piece, out| {
        let range = piece * PIECE..piece * PIECE + out.len();
        let old = [weights, average, first, second].map(|values| &values[range.clone()]);
        adam.update(old, &gradient[range], scale, out);
    });
    let column = |k: usize| {
        let column: Vec<f32> = out.iter().map(|row| row[k]).collect();
        Tensor::from_data(TensorData::new(column, [out.len()]), &device)
    };
    [0, 1, 2, 3].map(column)
}
