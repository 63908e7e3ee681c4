//! Networks F(x, emb(ln σ), c).

mod any;
mod cost;
mod flat;
mod layers;
mod mlp;
mod parts;
mod spec;
mod unet;

pub use crate::kernels::MatmulPrecision;
pub use any::{AnyNetwork, NetworkConfig};
pub use cost::{Cost, RESERVE};
pub use flat::{Layout, flatten, flatten_gradients, from_host, to_host, unflatten};
pub(crate) use flat::{flatten_parts, joined};
pub use mlp::{Mlp, MlpConfig};
pub(crate) use parts::Replayed;
pub use parts::{InParts, Replay};
pub use spec::{NetworkShape, NetworkSpec};
pub use unet::{Unet, UnetConfig};

use crate::noise::RowStreams;
use crate::transfer;
use burn::tensor::{Device, Tensor};
use diffem_kernels::random::sin_cos_turn;

/// A network body, which [`crate::denoiser`] wraps in its preconditioning. A user's own type also derives
/// burn's `Module` and is built by a [`NetworkSpec`].
pub trait Network: Sync {
    /// Maps the scaled input `x [n, d]`, the `embedding [n, e]` of ln σ and the `condition [n, c]` to the
    /// output `[n, d]`.
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2>;

    /// [`Network::forward`] in training, where dropout (if the network has any) takes its randomness from
    /// the `streams` of the rows.
    fn forward_training(
        &self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        condition: Tensor<2>,
        _streams: RowStreams,
    ) -> Tensor<2> {
        self.forward(x, embedding, condition)
    }

    /// Computes what depends on `condition [n, c]` alone, in the form that [`Network::forward_prepared`]
    /// takes: a sampler calls the network many times with the same condition.
    fn prepare(&self, condition: Tensor<2>) -> Tensor<2> {
        condition
    }

    /// Equals [`Network::forward`] up to rounding, at one noise level for all rows: `x [n, d]`, `embedding
    /// [1, e]`, and the condition as [`Network::prepare`] returns it.
    fn forward_prepared(&self, x: Tensor<2>, embedding: Tensor<2>, prepared: Tensor<2>) -> Tensor<2> {
        let rows = x.dims()[0];
        self.forward(x, crate::kernels::repeated(embedding, rows), prepared)
    }

    /// The network, if it can be differentiated part by part, which `m_step.gradient_checkpointing` asks for.
    fn in_parts(&self) -> Option<&dyn InParts> {
        None
    }

    /// Length e of the noise embedding.
    fn embedding_len(&self) -> usize;
}

/// The network F = 0, with which the denoiser is that of the standardizer's Gaussian.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silent;

impl Network for Silent {
    fn forward(&self, x: Tensor<2>, _embedding: Tensor<2>, _condition: Tensor<2>) -> Tensor<2> {
        x.zeros_like()
    }

    fn embedding_len(&self) -> usize {
        2
    }
}

/// Sinusoidal embedding of ln σ, `[len(sigma), len]`: cosines then sines at geometric frequencies from 1/2
/// turn down to 1/512 turn per unit of ln σ, which distinguishes noise levels over their whole range (Vaswani
/// et al. 2017).
pub(crate) fn embedding(sigma: &[f64], len: usize, device: &Device) -> Tensor<2> {
    let half = len / 2;
    let frequencies: Vec<f64> =
        (0..half).map(|k| 0.5 * 2f64.powf(-8.0 * k as f64 / (half.max(2) - 1) as f64)).collect();
    let mut values = vec![0.0f32; sigma.len() * len];
    for (row, &s) in values.chunks_exact_mut(len).zip(sigma) {
        let log = s.ln();
        for (k, f) in frequencies.iter().enumerate() {
            let turns = f * log;
            let (sin, cos) = sin_cos_turn(((turns - turns.floor()) * 4_294_967_296.0) as u64 as u32);
            (row[k], row[half + k]) = (cos, sin);
        }
    }
    transfer::to_device(values, [sigma.len(), len], device)
}
