//! Training passes that keep only where the parts of a network begin, and compute a part again to differentiate it
//! (gradient checkpointing, Chen et al. 2016, arXiv 1604.06174).

use super::Network;
use crate::noise::RowStreams;
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};
use std::sync::Mutex;

/// A network whose parts can be differentiated one after another.
pub trait InParts: Sync {
    /// [`Network::forward_training`] outside autodiff. The second value differentiates it.
    fn forward_in_parts<'a>(
        &'a self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        condition: Tensor<2>,
        streams: RowStreams,
    ) -> (Tensor<2>, Box<dyn Replay + 'a>);
}

/// Where the parts of a training pass began.
pub trait Replay: Send {
    /// Gradients of all parameters for the gradient `[n, d]` of the output.
    fn gradients(self: Box<Self>, output: Tensor<2>) -> Vec<GradientsParams>;
}

/// A network whose output is a leaf of the autodiff graph: what comes after it is differentiated first, then the network in
/// parts.
pub(crate) struct Replayed<'a> {
    network: &'a dyn Network,
    parts: &'a dyn InParts,
    /// The output of the one call, and where its parts began.
    pass: Mutex<Option<(Tensor<2>, Box<dyn Replay + 'a>)>>,
}

impl<'a> Replayed<'a> {
    /// `None` for a network that cannot be differentiated in parts.
    pub fn new(network: &'a dyn Network) -> Option<Self> {
        network.in_parts().map(|parts| Self { network, parts, pass: Mutex::default() })
    }

    /// Gradients of the network's parameters, from those of what came after the network's one call.
    pub fn gradients(self, after: &mut Gradients) -> Vec<GradientsParams> {
        let pass = self.pass.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        pass.and_then(|(output, replay)| Some(replay.gradients(output.grad_remove(after)?))).unwrap_or_default()
    }
}

impl Network for Replayed<'_> {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.network.forward(x, embedding, condition)
    }

    fn forward_training(
        &self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        condition: Tensor<2>,
        streams: RowStreams,
    ) -> Tensor<2> {
        let (output, replay) = self.parts.forward_in_parts(x.inner(), embedding.inner(), condition.inner(), streams);
        let output = Tensor::from_inner(output).require_grad();
        let earlier =
            self.pass.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace((output.clone(), replay));
        assert!(earlier.is_none(), "a training pass calls the network once");
        output
    }

    fn embedding_len(&self) -> usize {
        self.network.embedding_len()
    }
}
