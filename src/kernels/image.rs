//! The image layers on flex, wired into burn's autodiff as extension operations.

use super::flex::{Values, dims, register, tensor};
use super::parameters::BlockParameters;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use diffem_kernels::{
    Block, Grid, Saved, conv, conv_backward, norm_rows, norm_rows_backward, upsampled, upsampled_backward,
};
use std::sync::Arc;

#[backend_extension(Autodiff, Flex)]
pub(crate) trait ImageLayers: Backend {
    fn fused_conv3(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        size: [usize; 2],
        stride: usize,
    ) -> FloatTensor<Self>;
    fn fused_row_norm(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_upsample(x: FloatTensor<Self>, width: usize) -> FloatTensor<Self>;
    fn fused_block(
        x: FloatTensor<Self>,
        modulation: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        size: [usize; 2],
    ) -> FloatTensor<Self>;
}

pub(super) fn conv3(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, size: [usize; 2], stride: usize) -> Tensor<2> {
    let (x, w, b) = (x.into_dispatch(), w.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_conv3(x, w, b, size, stride))
}

pub(super) fn row_norm(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_row_norm(x.into_dispatch()))
}

pub(super) fn upsample(x: Tensor<2>, width: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_upsample(x.into_dispatch(), width))
}

pub(super) fn block(x: Tensor<2>, modulation: Tensor<2>, p: BlockParameters, size: [usize; 2]) -> Tensor<2> {
    let [w1, w2] = [p.w1, p.w2].map(|w| w.into_dispatch());
    let [b1, b2] = [p.b1, p.b2].map(|b| b.into_dispatch());
    let (x, modulation) = (x.into_dispatch(), modulation.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_block(x, modulation, w1, b1, w2, b2, size))
}

fn grid(pixels: usize, [h, w]: [usize; 2]) -> Grid {
    assert_eq!(pixels % (h * w), 0, "{pixels} pixels are not images of {h} x {w}");
    Grid { n: pixels / (h * w), h, w }
}

impl ImageLayers for Flex {
    fn fused_conv3(x: FlexTensor, w: FlexTensor, b: FlexTensor, size: [usize; 2], stride: usize) -> FlexTensor {
        let ([pixels, _], [_, m]) = (dims(&x), dims(&w));
        let (x, w, b) = (Values::new(x), Values::new(w), Values::new(b));
        let y = conv(grid(pixels, size), x.get(), w.get(), b.get(), stride);
        tensor(y, [pixels / (stride * stride), m])
    }

    fn fused_row_norm(x: FlexTensor) -> FlexTensor {
        let [rows, c] = dims(&x);
        tensor(norm_rows(Values::new(x).get(), c), [rows, c])
    }

    fn fused_upsample(x: FlexTensor, width: usize) -> FlexTensor {
        let [rows, c] = dims(&x);
        tensor(upsampled(Values::new(x).get(), c, width), [4 * rows, c])
    }

    fn fused_block(
        x: FlexTensor,
        modulation: FlexTensor,
        w1: FlexTensor,
        b1: FlexTensor,
        w2: FlexTensor,
        b2: FlexTensor,
        size: [usize; 2],
    ) -> FlexTensor {
        block_forward([x, modulation, w1, b1, w2, b2], size, false).0
    }
}

fn block_forward(operands: [FlexTensor; 6], size: [usize; 2], save: bool) -> (FlexTensor, Option<Saved>) {
    let shape = dims(&operands[0]);
    let values = operands.map(Values::new);
    let (out, saved) = operands_of(&values, grid(shape[0], size)).forward(save);
    (tensor(out, shape), saved)
}

fn operands_of(values: &[Values; 6], grid: Grid) -> Block<'_> {
    let [x, modulation, w1, b1, w2, b2] = values.each_ref().map(Values::get);
    Block { grid, x, modulation, w1, b1, w2, b2 }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 3> for ConvBackward {
    type State = ([NodeId; 2], [usize; 2], usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [nx, nw, nb] = ops.parents.map(|parent| parent.map(|node| node.id));
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let (nodes, size, stride) = ops.state;
        let [x, w] = nodes.map(|node| checkpointer.retrieve_node_output::<FlexTensor>(node));
        let (x_shape, w_shape) = (dims(&x), dims(&w));
        let (x, w) = (Values::new(x), Values::new(w));
        let grid = grid(x_shape[0], size);
        let wanted = [nx.is_some(), nw.is_some() || nb.is_some()];
        let gradients = conv_backward(grid, x.get(), w.get(), dy.get(), stride, wanted);
        if let Some(dx) = gradients.x {
            register(grads, nx, || tensor(dx, x_shape));
        }
        if let Some([dw, db]) = gradients.parameters {
            register(grads, nw, || tensor(dw, w_shape));
            register(grads, nb, || tensor(db, [w_shape[1]]));
        }
    }
}

#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 1> for NormBackward {
    type State = NodeId;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [nx] = ops.parents.map(|parent| parent.map(|node| node.id));
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let x = checkpointer.retrieve_node_output::<FlexTensor>(ops.state);
        let shape = dims(&x);
        register(grads, nx, || tensor(norm_rows_backward(Values::new(x).get(), dy.get(), shape[1]), shape));
    }
}

#[derive(Debug)]
struct UpsampleBackward;

impl Backward<Flex, 1> for UpsampleBackward {
    type State = ([usize; 2], usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [nx] = ops.parents.map(|parent| parent.map(|node| node.id));
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let (shape, width) = ops.state;
        register(grads, nx, || tensor(upsampled_backward(dy.get(), shape[1], width), shape));
    }
}

#[derive(Debug)]
struct BlockBackward;

impl Backward<Flex, 6> for BlockBackward {
    type State = ([NodeId; 6], [usize; 2], Arc<Saved>);

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let dout = Values::new(grads.consume::<Flex>(&ops.node));
        let (nodes, size, saved) = ops.state;
        let operands = nodes.map(|node| checkpointer.retrieve_node_output::<FlexTensor>(node));
        let shapes = operands.each_ref().map(|t| t.layout().shape().clone());
        let pixels = shapes[0][0];
        let values = operands.map(Values::new);
        let want_parameters = parents[2..].iter().any(Option::is_some);
        let g = operands_of(&values, grid(pixels, size)).backward(&saved, dout.get(), want_parameters);
        let gradients = [g.x, g.modulation].into_iter().chain(g.parameters.into_iter().flatten());
        for ((node, gradient), shape) in parents.into_iter().zip(gradients).zip(shapes) {
            register(grads, node, || tensor(gradient, shape));
        }
    }
}

impl<C: CheckpointStrategy> ImageLayers for Autodiff<Flex, C> {
    fn fused_conv3(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        size: [usize; 2],
        stride: usize,
    ) -> FloatTensor<Self> {
        match ConvBackward.prepare::<C>([x.node(), w.node(), b.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x), prep.checkpoint(&w)];
                let (x, w, b) = (x.into_primitive(), w.into_primitive(), b.into_primitive());
                prep.finish((nodes, size, stride), Flex::fused_conv3(x, w, b, size, stride))
            }
            OpsKind::UnTracked(prep) => {
                let (x, w, b) = (x.into_primitive(), w.into_primitive(), b.into_primitive());
                prep.finish(Flex::fused_conv3(x, w, b, size, stride))
            }
        }
    }

    fn fused_row_norm(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match NormBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&x);
                prep.finish(node, Flex::fused_row_norm(x.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_row_norm(x.into_primitive())),
        }
    }

    fn fused_upsample(x: FloatTensor<Self>, width: usize) -> FloatTensor<Self> {
        match UpsampleBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                prep.finish((dims(&x), width), Flex::fused_upsample(x, width))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_upsample(x.into_primitive(), width)),
        }
    }

    fn fused_block(
        x: FloatTensor<Self>,
        modulation: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        size: [usize; 2],
    ) -> FloatTensor<Self> {
        let operands = [x, modulation, w1, b1, w2, b2];
        match BlockBackward.prepare::<C>(operands.each_ref().map(|t| t.node())).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = operands.each_ref().map(|t| prep.checkpoint(t));
                let (out, saved) = block_forward(operands.map(|t| t.into_primitive()), size, true);
                let saved = saved.expect("forward was asked to save");
                prep.finish((nodes, size, Arc::new(saved)), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(block_forward(operands.map(|t| t.into_primitive()), size, false).0),
        }
    }
}
