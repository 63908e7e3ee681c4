//! Muon: a matrix of weights moves along the matrix nearest to its momentum among those whose singular values are all alike,
//! so that every direction of a layer learns at the same pace (Jordan et al. 2024).
//!
//! ```text
//! W ← W - .2 √max(rows, columns) η X,  X about U Vᵀ of the singular value decomposition U S Vᵀ of M
//! ```
//!
//! M is the first moment that Adam keeps. The scale makes a step as large as one by Adam, so that the same learning rates
//! suit both (Liu et al., arXiv 2502.16982). Parameters that are no matrices, such as biases, are updated by Adam.

use super::adam::{OptimState, Update, averaged};
use crate::kernels;
use crate::network::{Layout, joined};
use burn::tensor::Tensor;

/// Approximate root mean square of the entries of an Adam step, in learning rates.
const SIZE: f64 = 0.2;

/// Parameters that lie behind each other in the flat vector and are updated alike.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    start: usize,
    len: usize,
    /// Rows and columns, where the part is a matrix.
    matrix: Option<[usize; 2]>,
}

/// Which of a network's parameters are matrices.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Muon(Vec<Part>);

impl Muon {
    /// For the parameters of `layout`. The kernels of a convolution are a matrix with a row per output channel.
    pub(super) fn new(layout: &Layout) -> Self {
        let (mut parts, mut start) = (Vec::<Part>::new(), 0);
        for (_, shape) in &layout.entries {
            let len = shape.iter().product();
            let matrix = matrix_of(shape);
            match parts.last_mut().filter(|last| last.matrix.is_none() && matrix.is_none()) {
                Some(last) => last.len += len,
                None => parts.push(Part { start, len, matrix }),
            }
            start += len;
        }
        Self(parts)
    }

    /// Takes one update with the sum of the `gradients` (each `[P]`), added in the order given.
    pub(super) fn update(&self, state: &mut OptimState, gradients: Vec<Tensor<1>>, update: Update) {
        let (weights, average) = (state.weights.clone(), state.average.clone());
        state.update(gradients, update);
        let of = |vector: &Tensor<1>, part: &Part| vector.clone().narrow(0, part.start, part.len);
        let momenta = self.0.iter().filter_map(|part| Some(of(&state.first, part).reshape(part.matrix?))).collect();
        let mut directions = kernels::orthogonal(momenta).into_iter();
        let moved = self.0.iter().map(|part| match part.matrix {
            None => of(&state.weights, part),
            Some([rows, columns]) => {
                let size = SIZE * (rows.max(columns) as f64).sqrt() * update.learning_rate;
                let direction = directions.next().expect("a direction per matrix");
                of(&weights, part) - direction.reshape([part.len]) * size
            }
        });
        state.weights = joined(moved.collect());
        state.average = averaged(average, &state.weights, update.average_decay_at(state.updates));
    }
}

/// Rows and columns of parameters of this shape; `None` for vectors, and for matrices of one row or column.
fn matrix_of(shape: &[usize]) -> Option<[usize; 2]> {
    let (&rows, rest) = shape.split_first()?;
    let columns = rest.iter().product();
    (!rest.is_empty() && rows > 1 && columns > 1).then_some([rows, columns])
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn wave(n: usize, a: f32) -> Tensor<1> {
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * a).sin()).collect();
        Tensor::from_data(TensorData::new(values, [n]), &Device::flex())
    }

    fn host<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().try_to_vec().unwrap()
    }

    fn layout(shapes: &[&[usize]]) -> Layout {
        Layout { entries: shapes.iter().map(|shape| (String::new(), shape.to_vec())).collect() }
    }

    #[test]
    fn neighbors_that_are_no_matrices_are_one_part() {
        let Muon(parts) = Muon::new(&layout(&[&[4, 3], &[3], &[3], &[2, 3, 3, 3], &[2], &[1, 5]]));
        let part = |start, len, matrix| Part { start, len, matrix };
        let expected = [part(0, 12, Some([4, 3])), part(12, 6, None), part(18, 54, Some([2, 27])), part(72, 7, None)];
        assert_eq!(parts, expected);
    }

    /// Vectors get Adam's update, and matrices one of the announced size, along the momentum.
    #[test]
    fn matrices_move_by_their_scale_and_the_rest_by_adam() {
        let (n, rate) = (20, 1e-2);
        let muon = Muon::new(&layout(&[&[4, 4], &[4]]));
        let [mut plain, mut state] = [OptimState::new(wave(n, 0.3)), OptimState::new(wave(n, 0.3))];
        let update = Update { learning_rate: rate, clip_norm: 1.0, average_decay: 0.5 };
        plain.update(vec![wave(n, 0.9)], update);
        muon.update(&mut state, vec![wave(n, 0.9)], update);
        let [moved, adam, old] = [state.weights, plain.weights, wave(n, 0.3)].map(host);
        assert_eq!(moved[16..], adam[16..]);
        let step: Vec<f32> = old.iter().zip(&moved).map(|(old, new)| old - new).take(16).collect();
        let scale = (SIZE * 2.0 * rate) as f32;
        let expected = host(kernels::orthogonal(vec![state.first.narrow(0, 0, 16).reshape([4, 4])]).remove(0));
        step.iter().zip(expected).for_each(|(s, x)| assert!((s - scale * x).abs() < 1e-6, "{s} {x}"));
        // The first update keeps (1 + 1) / (10 + 1) of the old average.
        let average = host(state.average);
        let decay = 2.0f32 / 11.0;
        (0..n).for_each(|i| assert!((average[i] - (decay * old[i] + (1.0 - decay) * moved[i])).abs() < 1e-6));
    }
}
