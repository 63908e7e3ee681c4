//! Layers of backends without fused kernels, from burn's operations, with backward passes written out: differentiated
//! operation by operation, as burn does it, they would launch more than twice as many kernels in training.

// burn deprecates `NdArray` in favor of flex; it is kept as a check that shares no kernel with flex.
#![allow(deprecated)]

use super::NORM_EPSILON;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{Shape, Slice, Tensor};

#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda"))
)]
pub(crate) trait StockLayers: Backend {
    fn stock_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        silu_of::<Self>(x)[0].clone()
    }

    fn stock_row_norm(x: FloatTensor<Self>) -> FloatTensor<Self> {
        norm_of::<Self>(x, 1)[0].clone()
    }

    fn stock_modulated(x: FloatTensor<Self>, modulation: FloatTensor<Self>) -> FloatTensor<Self> {
        modulated_of::<Self>(x, modulation)[0].clone()
    }

    fn stock_joined(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        modulation: FloatTensor<Self>,
        shrink: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        joined_of::<Self>(x, y, modulation, shrink)[0].clone()
    }
}

#[cfg(feature = "flex")]
impl StockLayers for burn::backend::Flex {}
#[cfg(feature = "ndarray")]
impl StockLayers for burn::backend::NdArray {}
#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl StockLayers for burn::backend::Cube {}

/// x / (1 + exp(-x)).
pub(super) fn silu(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::stock_silu(x.into_dispatch()))
}

/// See [`super::row_norm`].
pub(super) fn row_norm(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::stock_row_norm(x.into_dispatch()))
}

/// LayerNorm((a + 1) x + b) of [`super::gated`].
pub(super) fn modulated(x: Tensor<2>, modulation: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::stock_modulated(x.into_dispatch(), modulation.into_dispatch()))
}

/// 1/√(1 + m²) of every value m of `modulation`, without gradient: only that of g is used, but where the modulation is
/// computed all of them cost no kernel of their own.
pub(super) fn shrink(modulation: Tensor<2>) -> Tensor<2> {
    let m = modulation.detach();
    (m.clone() * m + 1.0).sqrt().recip()
}

/// (x + g y)/√(1 + g²) of [`super::gated`], with what [`shrink`] returns.
pub(super) fn joined(x: Tensor<2>, y: Tensor<2>, modulation: Tensor<2>, shrink: Tensor<2>) -> Tensor<2> {
    let (x, y) = (x.into_dispatch(), y.into_dispatch());
    Tensor::from_dispatch(Dispatch::stock_joined(x, y, modulation.into_dispatch(), shrink.into_dispatch()))
}

/// SiLU of `x` and the sigmoid s.
fn silu_of<B: Backend>(x: FloatTensor<B>) -> [FloatTensor<B>; 2] {
    // Where exp(-x) overflows, s is 0.
    let s = B::float_recip(B::float_add_scalar(B::float_exp(B::float_neg(x.clone())), 1.0.into()));
    [B::float_mul(x, s.clone()), s]
}

/// (x - mean) / std along dimension `dim`, and std.
fn norm_of<B: Backend>(x: FloatTensor<B>, dim: usize) -> [FloatTensor<B>; 2] {
    let mean = B::float_mean_dim(x.clone(), dim);
    let centered = B::float_sub(x, mean);
    let variance = B::float_mean_dim(B::float_mul(centered.clone(), centered.clone()), dim);
    let std = B::float_sqrt(B::float_add_scalar(variance, NORM_EPSILON.into()));
    [B::float_div(centered, std.clone()), std]
}

/// Gradient of x for the gradient `dy` of y = norm(x).
fn norm_gradient<B: Backend>(dy: FloatTensor<B>, [y, std]: [FloatTensor<B>; 2], dim: usize) -> FloatTensor<B> {
    let mean = B::float_mean_dim(dy.clone(), dim);
    let along = B::float_mean_dim(B::float_mul(dy.clone(), y.clone()), dim);
    B::float_div(B::float_sub(B::float_sub(dy, mean), B::float_mul(y, along)), std)
}

/// `x [n · pixels, c]` as `[n, pixels, c]`.
fn images<B: Backend>(x: FloatTensor<B>, modulation: &FloatTensor<B>) -> FloatTensor<B> {
    let ([rows, c], n) = (x.shape().dims(), modulation.shape()[0]);
    B::float_reshape(x, Shape::new([n, rows / n, c]))
}

/// The inverse of [`images`].
fn rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [n, pixels, c] = x.shape().dims();
    B::float_reshape(x, Shape::new([n * pixels, c]))
}

/// Part k of a, b and g as `[n, 1, c]`, a view: a part that is cut out first is copied to be reshaped.
fn part<B: Backend>(modulation: &FloatTensor<B>, k: usize) -> FloatTensor<B> {
    let [n, width] = modulation.shape().dims();
    let c = width / 3;
    let range = |from: usize, to: usize| Slice::new(from as isize, Some(to as isize), 1);
    let parts = B::float_reshape(modulation.clone(), Shape::new([n, 3, c]));
    B::float_slice(parts, &[range(0, n), range(k, k + 1), range(0, c)])
}

/// Three parts `[n, 1, c]` as `[n, 3 · c]`.
fn side_by_side<B: Backend>(parts: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    let [n, _, c] = parts[0].shape().dims();
    B::float_reshape(B::float_cat(parts, 2), Shape::new([n, 3 * c]))
}

/// v of [`super::gated`] `[n · pixels, c]`, the same as images, its std and a. Views come first: one between two operations
/// keeps them from being fused.
fn modulated_of<B: Backend>(x: FloatTensor<B>, modulation: FloatTensor<B>) -> [FloatTensor<B>; 4] {
    let (a, b, x) = (part::<B>(&modulation, 0), part::<B>(&modulation, 1), images::<B>(x, &modulation));
    let u = B::float_add(B::float_add(B::float_mul(x.clone(), a.clone()), x), b);
    let [v, std] = norm_of::<B>(u, 2);
    [rows::<B>(v.clone()), v, std, a]
}

/// The output of [`super::gated`] `[n · pixels, c]`, the same as images, g and k = 1/√(1 + g²).
fn joined_of<B: Backend>(
    x: FloatTensor<B>,
    y: FloatTensor<B>,
    modulation: FloatTensor<B>,
    shrink: FloatTensor<B>,
) -> [FloatTensor<B>; 4] {
    let (g, k) = (part::<B>(&modulation, 2), part::<B>(&shrink, 2));
    let (x, y) = (images::<B>(x, &modulation), images::<B>(y, &modulation));
    let out = B::float_mul(B::float_add(x, B::float_mul(y, g.clone())), k.clone());
    [rows::<B>(out.clone()), out, g, k]
}

#[derive(Debug)]
struct SiluBackward;

impl<B: Backend> Backward<B, 1> for SiluBackward {
    /// SiLU and sigmoid.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let ([node], [y, s], dy) = (ops.parents, ops.state, grads.consume::<B>(&ops.node));
        if let Some(node) = node {
            let slope = B::float_sub(B::float_add(s.clone(), y.clone()), B::float_mul(y, s));
            grads.register::<B>(node.id, B::float_mul(dy, slope));
        }
    }
}

#[derive(Debug)]
struct NormBackward;

impl<B: Backend> Backward<B, 1> for NormBackward {
    /// Output and std.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let ([node], dy) = (ops.parents, grads.consume::<B>(&ops.node));
        if let Some(node) = node {
            grads.register::<B>(node.id, norm_gradient::<B>(dy, ops.state, 1));
        }
    }
}

#[derive(Debug)]
struct ModulatedBackward;

impl<B: Backend> Backward<B, 2> for ModulatedBackward {
    /// x, v as images, std and a.
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let ([of_x, of_modulation], dv) = (ops.parents, grads.consume::<B>(&ops.node));
        let [x, v, std, a] = ops.state;
        let (shape, pixels, c) = (v.shape(), v.shape()[1], v.shape()[2]);
        let x = B::float_reshape(x, Shape::new([shape[0], pixels, c]));
        let du = norm_gradient::<B>(B::float_reshape(dv, shape.clone()), [v, std], 2);
        if let Some(node) = of_modulation {
            let da = B::float_sum_dim(B::float_mul(du.clone(), x), 1);
            let db = B::float_sum_dim(du.clone(), 1);
            let nothing = B::float_mul_scalar(da.clone(), 0.0.into());
            grads.register::<B>(node.id, side_by_side::<B>(vec![da, db, nothing]));
        }
        if let Some(node) = of_x {
            let dx = B::float_add(B::float_mul(du.clone(), a), du);
            grads.register::<B>(node.id, rows::<B>(dx));
        }
    }
}

#[derive(Debug)]
struct JoinedBackward;

impl<B: Backend> Backward<B, 3> for JoinedBackward {
    /// y, the output as images, g and k.
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let ([of_x, of_y, of_modulation], dout) = (ops.parents, grads.consume::<B>(&ops.node));
        let [y, out, g, k] = ops.state;
        let shape = out.shape();
        let (dout, y) = (B::float_reshape(dout, shape.clone()), B::float_reshape(y, shape));
        let dx = B::float_mul(dout.clone(), k.clone());
        if let Some(node) = of_modulation {
            // k Σ dout y - g k² Σ dout out.
            let grows = B::float_sum_dim(B::float_mul(dx.clone(), y), 1);
            let shrinks = B::float_sum_dim(B::float_mul(dout, out), 1);
            let factor = B::float_mul(B::float_mul(k.clone(), k), g.clone());
            let dg = B::float_sub(grows, B::float_mul(shrinks, factor));
            let nothing = B::float_mul_scalar(dg.clone(), 0.0.into());
            grads.register::<B>(node.id, side_by_side::<B>(vec![nothing.clone(), nothing, dg]));
        }
        if let Some(node) = of_y {
            grads.register::<B>(node.id, rows::<B>(B::float_mul(dx.clone(), g)));
        }
        if let Some(node) = of_x {
            grads.register::<B>(node.id, rows::<B>(dx));
        }
    }
}

impl<B: Backend, C: CheckpointStrategy> StockLayers for Autodiff<B, C> {
    fn stock_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match SiluBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = silu_of::<B>(x.into_primitive());
                prep.finish(state.clone(), state[0].clone())
            }
            OpsKind::UnTracked(prep) => prep.finish(silu_of::<B>(x.into_primitive())[0].clone()),
        }
    }

    fn stock_row_norm(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match NormBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = norm_of::<B>(x.into_primitive(), 1);
                prep.finish(state.clone(), state[0].clone())
            }
            OpsKind::UnTracked(prep) => prep.finish(norm_of::<B>(x.into_primitive(), 1)[0].clone()),
        }
    }

    fn stock_modulated(x: FloatTensor<Self>, modulation: FloatTensor<Self>) -> FloatTensor<Self> {
        match ModulatedBackward.prepare::<C>([x.node(), modulation.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                let [rows, v, std, a] = modulated_of::<B>(x.clone(), modulation.into_primitive());
                prep.finish([x, v, std, a], rows)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(modulated_of::<B>(x.into_primitive(), modulation.into_primitive())[0].clone())
            }
        }
    }

    fn stock_joined(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        modulation: FloatTensor<Self>,
        shrink: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shrink = shrink.into_primitive();
        match JoinedBackward.prepare::<C>([x.node(), y.node(), modulation.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (x, y, modulation) = (x.into_primitive(), y.into_primitive(), modulation.into_primitive());
                let [rows, out, g, k] = joined_of::<B>(x, y.clone(), modulation, shrink);
                prep.finish([y, out, g, k], rows)
            }
            OpsKind::UnTracked(prep) => {
                let (x, y, modulation) = (x.into_primitive(), y.into_primitive(), modulation.into_primitive());
                prep.finish(joined_of::<B>(x, y, modulation, shrink)[0].clone())
            }
        }
    }
}
