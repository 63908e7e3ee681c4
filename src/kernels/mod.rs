//! Fused layers. On the CPU backend `flex` they run as one operation with its own backward pass, serially: threads come
//! from independent shards of a batch, one a thread, whose results are combined in a fixed order. Every other backend
//! takes the same formula from stock operations.
//!
//! Why: stock flex evaluates sigmoid one element at a time and decomposes LayerNorm under autodiff; fusing them makes
//! a training step of the paper's MLP about 2.5 times faster.

#[cfg(feature = "flex")]
mod adam;
#[cfg(feature = "flex")]
mod flex;
pub(crate) mod math;

use burn::tensor::{Device, Tensor, activation};

#[cfg(feature = "flex")]
pub(crate) use adam::adam;

/// Epsilon of LayerNorm, added to the variance.
pub const NORM_EPSILON: f32 = 1e-5;

/// True where tensors live in host memory and the fused operations apply.
pub fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return matches!(device.clone().inner().as_dispatch(), burn::backend::DispatchDevice::Flex(_));
    #[cfg(not(feature = "flex"))]
    return {
        let _ = device;
        false
    };
}

/// `[f(0), ..., f(n - 1)]` for independent shards: a thread each on flex, whose kernels are serial, one after the other where
/// the device itself is parallel.
pub(crate) fn map_shards<T: Send>(device: &Device, n: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if is_flex(device) { crate::parallel::map(n, f) } else { (0..n).map(f).collect() }
}

/// x W + b: `x [n, k]`, `w [k, m]`, `b [m]` -> `[n, m]`.
pub fn dense(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return flex::dense(x, w, b);
    }
    x.matmul(w) + b.unsqueeze()
}

/// SiLU(LayerNorm(x W + b) γ + β): `x [n, k]`, `w [k, m]`, `b`, `gamma`, `beta [m]` -> `[n, m]`.
pub fn dense_norm_silu(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return flex::dense_norm_silu(x, w, b, gamma, beta);
    }
    stock_dense_norm_silu(x, w, b, gamma, beta)
}

fn stock_dense_norm_silu(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<2> {
    let z = x.matmul(w) + b.unsqueeze();
    let centred = z.clone() - z.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    activation::silu(centred / (variance + NORM_EPSILON).sqrt() * gamma.unsqueeze() + beta.unsqueeze())
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};
    use burn::tensor::TensorData;

    fn normal<const D: usize>(index: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
        let mut values = vec![0.0; shape.iter().product()];
        Key::new(5, Purpose::Weights, 0).stream(index, 0).fill_normal(&mut values);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    type Layer = fn(Tensor<2>, Tensor<2>, Tensor<1>, Tensor<1>, Tensor<1>) -> Tensor<2>;

    /// Output and the gradients of <output, v> with respect to the five inputs.
    fn run(layer: Layer, device: &Device) -> (Tensor<2>, Vec<Tensor<1>>) {
        let (n, k, m) = (37, 19, 33);
        let (x, w) = (normal(0, [n, k], device).require_grad(), normal(1, [k, m], device).require_grad());
        let [b, gamma, beta] = [2, 3, 4].map(|i| normal(i, [m], device).require_grad());
        let y = layer(x.clone(), w.clone(), b.clone(), gamma.clone(), beta.clone());
        let grads = (y.clone() * normal(5, [n, m], device)).sum().backward();
        let two = [x, w].map(|t| t.grad(&grads).expect("tracked").flatten(0, 1));
        let one = [b, gamma, beta].map(|t| t.grad(&grads));
        (y.inner(), two.into_iter().chain(one.into_iter().flatten()).collect())
    }

    fn agree(fused: Layer, stock: Layer, gradients: usize) {
        let device = Device::flex().autodiff();
        let ((y, g), (y0, g0)) = (run(fused, &device), run(stock, &device));
        assert!(difference(y, y0) < 2e-5);
        assert_eq!((g.len(), g0.len()), (gradients, gradients));
        for (i, (g, g0)) in g.into_iter().zip(g0).enumerate() {
            let scale: f32 = g0.clone().abs().max().into_scalar();
            assert!(difference(g, g0) < 2e-5 * scale.max(1.0), "gradient {i}");
        }
    }

    #[test]
    fn fused_layer_agrees_with_stock_operations() {
        agree(dense_norm_silu, stock_dense_norm_silu, 5);
    }

    #[test]
    fn fused_dense_agrees_with_stock_operations() {
        agree(|x, w, b, _, _| dense(x, w, b), |x, w, b, _, _| x.matmul(w) + b.unsqueeze(), 3);
    }
}
