//! Sum of the shards' gradients, clipping, Adam and the average in one pass over host memory.

use super::flex::Values;
use crate::optim::{Coefficients, OptimState};
use crate::parallel;
use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use diffem_kernels::add_rows;

/// Values a piece of work spans; fixed, so that thread count changes no bit.
const PIECE: usize = 16_384;

fn values(tensor: &Tensor<1>) -> Values {
    Values::new(tensor.clone().try_into_primitive::<Flex>().expect("a flex tensor outside autodiff"))
}

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

/// The update of [`OptimState::update`] on flex.
pub(crate) fn adam(state: &mut OptimState, gradients: Vec<Tensor<1>>, c: &Coefficients) {
    let device = state.weights.device();
    let gradients: Vec<Values> = gradients.iter().map(values).collect();
    let olds = [&state.weights, &state.average, &state.first, &state.second].map(values);
    let [weights, average, first, second] = olds.each_ref().map(Values::get);
    let (gradient, norm) = reduce(&gradients, weights.len());
    let scale = if c.clip_norm > 0.0 { (c.clip_norm as f64 / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 };
    // Four values a parameter side by side: one parallel pass writes all four vectors.
    let mut out = vec![[0.0f32; 4]; weights.len()];
    parallel::for_each_chunk_mut(&mut out, PIECE, |piece, out| {
        let range = piece * PIECE..piece * PIECE + out.len();
        let old = [weights, average, first, second].map(|values| &values[range.clone()]);
        c.adam.update(old, &gradient[range], scale, out);
    });
    let column = |k: usize| {
        let column: Vec<f32> = out.iter().map(|row| row[k]).collect();
        Tensor::from_data(TensorData::new(column, [out.len()]), &device)
    };
    (state.weights, state.average, state.first, state.second) = (column(0), column(1), column(2), column(3));
}
