//! Products of matrices on flex, alone or in batches, by the kernels of the fused layers. Flex has others of its own, which
//! the browser's module therefore does without.

use super::flex::{Values, register, tensor};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Shape, Tensor};
use diffem_kernels::Matrix;

#[backend_extension(Autodiff, Flex)]
pub(crate) trait Products: Backend {
    fn fused_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// `[.., n, k]` times `[.., k, m]`, both with the same dimensions before the last two.
pub(super) fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_matmul(a.into_dispatch(), b.into_dispatch()))
}

/// Rows and columns of each matrix of a batch.
fn size(batch: &Values) -> [usize; 2] {
    let shape = batch.shape();
    let last = shape.num_dims() - 1;
    [shape[last - 1], shape[last]]
}

/// The matrices of a batch.
fn matrices(batch: &Values) -> impl Iterator<Item = Matrix<'_>> {
    let [rows, columns] = size(batch);
    batch.get().chunks_exact((rows * columns).max(1)).map(move |values| Matrix::new(values, rows, columns))
}

/// The products of the matrices of two batches, as a batch of the shape of `like` but for its `[rows, columns]`.
fn products<'a>(
    pairs: impl Iterator<Item = (Matrix<'a>, Matrix<'a>)>,
    like: &Shape,
    [rows, columns]: [usize; 2],
) -> FlexTensor {
    let (mut shape, last) = (like.clone(), like.num_dims() - 1);
    (shape[last - 1], shape[last]) = (rows, columns);
    let mut out = vec![0.0; shape.num_elements()];
    let places = out.chunks_exact_mut((rows * columns).max(1));
    pairs.zip(places).for_each(|((a, b), out)| a.times_into(b, out, false));
    tensor(out, shape)
}

impl Products for Flex {
    fn fused_matmul(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (a, b) = (Values::new(a), Values::new(b));
        products(matrices(&a).zip(matrices(&b)), a.shape(), [size(&a)[0], size(&b)[1]])
    }
}

#[derive(Debug)]
struct MatmulBackward;

impl Backward<Flex, 2> for MatmulBackward {
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [na, nb] = ops.parents.map(|parent| parent.map(|node| node.id));
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let [a, b] = ops.state.map(|node| Values::new(checkpointer.retrieve_node_output(node)));
        let turned = |batch| matrices(batch).map(Matrix::t);
        register(grads, na, || products(matrices(&dy).zip(turned(&b)), a.shape(), size(&a)));
        register(grads, nb, || products(turned(&a).zip(matrices(&dy)), b.shape(), size(&b)));
    }
}

impl<C: CheckpointStrategy> Products for Autodiff<Flex, C> {
    fn fused_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        match MatmulBackward.prepare::<C>([a.node(), b.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = [prep.checkpoint(&a), prep.checkpoint(&b)];
                prep.finish(state, Flex::fused_matmul(a.into_primitive(), b.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_matmul(a.into_primitive(), b.into_primitive())),
        }
    }
}
