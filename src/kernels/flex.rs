//! The fused layers on flex: forward and backward on host slices, wired into burn's autodiff as
//! extension operations.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Autodiff, Backend, DType, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bytes, Shape, Tensor};
use diffem_kernels::{Matrix, add_rows, norm_silu, norm_silu_backward};
use std::sync::Arc;

#[backend_extension(Autodiff, Flex)]
pub(crate) trait FusedLayers: Backend {
    fn fused_dense(x: FloatTensor<Self>, w: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_dense_norm_silu(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

pub(super) fn dense(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_dense(x.into_dispatch(), w.into_dispatch(), b.into_dispatch()))
}

/// SiLU(LayerNorm(x W + b) γ + β); `b` is `[m]`, or `[n, m]` for a separate bias per row.
pub(super) fn dense_norm_silu<const D: usize>(
    x: Tensor<2>,
    w: Tensor<2>,
    b: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_dense_norm_silu(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    ))
}

/// A contiguous f32 tensor and the values it spans.
pub(super) struct Values(FlexTensor);

impl Values {
    pub(super) fn new(tensor: FlexTensor) -> Self {
        assert_eq!(tensor.dtype(), DType::F32, "the fused operations compute in f32");
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }

    /// The values of a tensor on flex outside autodiff.
    pub(super) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        Self::new(tensor.clone().try_into_primitive::<Flex>().expect("a flex tensor outside autodiff"))
    }

    pub(super) fn get(&self) -> &[f32] {
        let start = self.0.layout().start_offset();
        &self.0.storage::<f32>()[start..start + self.0.layout().num_elements()]
    }

    pub(super) fn shape(&self) -> &Shape {
        self.0.layout().shape()
    }

    fn matrix(&self) -> Matrix<'_> {
        let [rows, columns] = dims(&self.0);
        Matrix::new(self.get(), rows, columns)
    }
}

pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

pub(super) fn dims(t: &FlexTensor) -> [usize; 2] {
    let shape = t.layout().shape();
    [shape[0], shape[1]]
}

/// x W + b, row-major; `b [m]` or `[n, m]`.
fn affine(x: &Values, w: &Values, b: &Values) -> Vec<f32> {
    diffem_kernels::affine(x.matrix(), w.matrix(), b.get())
}

/// Registers the gradients of x W + b with the nodes of x, W and b, given dz. Only those that are tracked are
/// computed: a product with the transposed Jacobian needs no gradient of the weights, and the first layer
/// needs none of its input.
fn affine_backward(
    grads: &mut Gradients,
    [nx, nw, nb]: [Option<NodeId>; 3],
    x: &Values,
    w: &Values,
    b_shape: Shape,
    dz: &[f32],
) {
    let ([n, k], [_, m]) = (dims(&x.0), dims(&w.0));
    let dz_matrix = Matrix::new(dz, n, m);
    register(grads, nx, || tensor(dz_matrix.times(w.matrix().t()), [n, k]));
    register(grads, nw, || tensor(x.matrix().t().times(dz_matrix), [k, m]));
    register(grads, nb, || {
        let mut db = vec![0.0; b_shape.num_elements()];
        add_rows(dz, &mut db);
        tensor(db, b_shape)
    });
}

impl FusedLayers for Flex {
    fn fused_dense(x: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (x, w, b) = (Values::new(x), Values::new(w), Values::new(b));
        let shape = [dims(&x.0)[0], dims(&w.0)[1]];
        tensor(affine(&x, &w, &b), shape)
    }

    fn fused_dense_norm_silu(
        x: FlexTensor,
        w: FlexTensor,
        b: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
    ) -> FlexTensor {
        let (x, w, b, gamma, beta) =
            (Values::new(x), Values::new(w), Values::new(b), Values::new(gamma), Values::new(beta));
        let shape = [dims(&x.0)[0], dims(&w.0)[1]];
        tensor(norm_silu(&affine(&x, &w, &b), gamma.get(), beta.get()), shape)
    }
}

#[derive(Debug)]
struct DenseBackward;

impl Backward<Flex, 3> for DenseBackward {
    type State = (NodeId, NodeId);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let x = Values::new(checkpointer.retrieve_node_output(ops.state.0));
        let w = Values::new(checkpointer.retrieve_node_output(ops.state.1));
        let b_shape = Shape::from([dims(&w.0)[1]]);
        affine_backward(grads, parents, &x, &w, b_shape, dy.get());
    }
}

/// Registers a node's gradient, which is computed only if the node is tracked.
pub(super) fn register(grads: &mut Gradients, node: Option<NodeId>, gradient: impl FnOnce() -> FlexTensor) {
    if let Some(node) = node {
        grads.register::<Flex>(node, gradient());
    }
}

#[derive(Debug)]
struct DenseNormBackward;

impl Backward<Flex, 5> for DenseNormBackward {
    /// Nodes of x, W, γ, β, the pre-activations z, and the shape of b.
    type State = ([NodeId; 4], Arc<Vec<f32>>, Shape);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [nx, nw, nb, ng, nbeta] = ops.parents.map(|parent| parent.map(|node| node.id));
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let (nodes, z, b_shape) = ops.state;
        let [x, w, gamma, beta] = nodes.map(|node| Values::new(checkpointer.retrieve_node_output(node)));
        let m = dims(&w.0)[1];
        let norm = norm_silu_backward(&z, dy.get(), gamma.get(), beta.get());
        affine_backward(grads, [nx, nw, nb], &x, &w, b_shape, &norm.z);
        register(grads, ng, || tensor(norm.gamma, [m]));
        register(grads, nbeta, || tensor(norm.beta, [m]));
    }
}

impl<C: CheckpointStrategy> FusedLayers for Autodiff<Flex, C> {
    fn fused_dense(x: FloatTensor<Self>, w: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        match DenseBackward.prepare::<C>([x.node(), w.node(), b.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&w));
                prep.finish(state, Flex::fused_dense(x.into_primitive(), w.into_primitive(), b.into_primitive()))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::fused_dense(x.into_primitive(), w.into_primitive(), b.into_primitive()))
            }
        }
    }

    fn fused_dense_norm_silu(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node(), b.node(), gamma.node(), beta.node()];
        match DenseNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = [prep.checkpoint(&x), prep.checkpoint(&w), prep.checkpoint(&gamma), prep.checkpoint(&beta)];
                let (x, w, b) =
                    (Values::new(x.into_primitive()), Values::new(w.into_primitive()), Values::new(b.into_primitive()));
                let (z, b_shape) = (affine(&x, &w, &b), b.shape().clone());
                let (gamma, beta) = (Values::new(gamma.into_primitive()), Values::new(beta.into_primitive()));
                let y = tensor(norm_silu(&z, gamma.get(), beta.get()), [dims(&x.0)[0], dims(&w.0)[1]]);
                prep.finish((state, Arc::new(z), b_shape), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_dense_norm_silu(
                x.into_primitive(),
                w.into_primitive(),
                b.into_primitive(),
                gamma.into_primitive(),
                beta.into_primitive(),
            )),
        }
    }
}
