//! Rows within bounds.

#[cfg(feature = "flex")]
use super::flex::Values;
use burn::tensor::{Tensor, TensorData};

/// `x [n, d]` outside autodiff, with every value moved to the nearest one within the bounds of its column, `[1, d]` each. What
/// is not a number stays so.
pub(crate) fn clip(x: Tensor<2>, low: &Tensor<2>, high: &Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if super::is_flex(&x.device()) {
        let [values, low, high] = [&x, low, high].map(Values::of);
        let mut out = values.get().to_vec();
        for row in out.chunks_exact_mut(x.dims()[1].max(1)) {
            for ((v, &low), &high) in row.iter_mut().zip(low.get()).zip(high.get()) {
                *v = if *v < low { low } else { *v };
                *v = if *v > high { high } else { *v };
            }
        }
        return Tensor::from_data(TensorData::new(out, x.dims()), &x.device());
    }
    stock(x, low, high)
}

fn stock(x: Tensor<2>, low: &Tensor<2>, high: &Tensor<2>) -> Tensor<2> {
    let shape = x.dims();
    x.max_pair(low.clone().expand(shape)).min_pair(high.clone().expand(shape))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn values_beyond_a_bound_are_at_it() {
        let tensor = |values: &[f32], n: usize| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [n, values.len() / n]), &Device::flex())
        };
        let (low, high) = (tensor(&[-1.0, 0.0, 2.0], 1), tensor(&[1.0, 0.5, 2.0], 1));
        let x = tensor(&[-3.0, 0.2, 7.0, f32::NAN, -0.1, 2.0, 1.5, f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.5, 1.0], 4);
        let expected = [-1.0, 0.2, 2.0, f32::NAN, 0.0, 2.0, 1.0, 0.5, 2.0, 0.0, 0.5, 2.0];
        for found in [clip(x.clone(), &low, &high), stock(x, &low, &high)] {
            let found: Vec<f32> = found.into_data().try_to_vec().expect("f32");
            for (found, expected) in found.iter().zip(expected) {
                assert!(*found == expected || found.is_nan() && expected.is_nan(), "{found} {expected}");
            }
        }
    }
}
