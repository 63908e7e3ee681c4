//! Ambient Diffusion (Daras et al. 2023, "Ambient Diffusion: learning clean distributions from corrupted data", arXiv
//! 2305.19256), for masks: a prior learned without reconstructions. What is seen of a signal, A x, is hidden further, Ã = A B
//! with B a second mask; the network is shown Ã x_t and Ã and is trained to give back all that was seen:
//!
//! ```text
//! minimize E ‖A (D(Ã x_t, Ã, σ) - x)‖²   ->   D = E[x | Ã x_t, Ã]
//! ```
//!
//! since it cannot tell which of the hidden values were seen. Of what the mask hides it gives the mean: its reconstructions are
//! means given what is seen, sharp only there. Two things are ours, in its favor: a hidden value is preconditioned as one of which
//! nothing is known, whatever σ, D = Ã (c_skip x_t + c_out F) + (1 - Ã) σ_d F; and an observation is reconstructed behind its own
//! mask, nothing of it hidden, with the measurement update of [`crate::conditioning`].

use crate::channel::Channel;
use crate::denoiser::Scalings;
use crate::error::{Error, Result};
use crate::network::{Network, embedding};
use crate::noise::Stream;
use crate::schedule::Schedule;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Settings of Ambient Diffusion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AmbientConfig {
    /// Probability that a seen value is hidden from the network, in (0, 1).
    pub further: f64,
}

impl Default for AmbientConfig {
    fn default() -> Self {
        Self { further: 0.1 }
    }
}

impl AmbientConfig {
    /// Checks the ranges.
    pub fn validate(&self, field: &str) -> Result<()> {
        let message = format!("expected a number in (0, 1), found {}", self.further);
        let right = self.further > 0.0 && self.further < 1.0;
        right.then_some(()).ok_or_else(|| Error::config(format!("{field}.further"), message))
    }

    /// Hides more of what the mask `a` shows.
    pub(crate) fn hide(&self, a: &mut [f32], stream: &mut Stream) {
        a.iter_mut().for_each(|a| *a *= f32::from(stream.uniform() >= self.further));
    }
}

/// Writes which values of a signal the mask `a` shows, 0 or 1 each, into `seen [d]`.
pub(crate) fn write_seen(channel: &dyn Channel, a: &[f32], seen: &mut [f32]) {
    let (mut matrix, mut noise) = (vec![0.0; seen.len()], vec![0.0; seen.len()]);
    if let Some(linear) = channel.as_linear() {
        linear.write_diagonal(a, &mut matrix, &mut noise);
    }
    seen.iter_mut().zip(&matrix).for_each(|(seen, m)| *seen = f32::from(*m != 0.0));
}

/// The network around a further mask, E[x | Ã x_t, Ã].
pub(crate) struct Masked<'a, N> {
    pub network: &'a N,
    pub schedule: &'a Schedule,
    /// Ã, `[n, d]` of 0 and 1.
    pub seen: Tensor<2>,
}

impl<N: Network> Masked<'_, N> {
    /// D for `x_t [n, d]`; `sigma` as in [`crate::denoiser::Preconditioned::forward`].
    pub fn forward(&self, x_t: Tensor<2>, sigma: &[f64]) -> Tensor<2> {
        self.around(x_t, sigma, |x, embedded| self.network.forward(x, embedded, self.seen.clone()))
    }

    /// The same in training.
    pub fn forward_training(&self, x_t: Tensor<2>, sigma: &[f64], stream: Stream) -> Tensor<2> {
        self.around(x_t, sigma, |x, embedded| self.network.forward_training(x, embedded, self.seen.clone(), stream))
    }

    fn around(
        &self,
        x_t: Tensor<2>,
        sigma: &[f64],
        network: impl FnOnce(Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let (device, n, length) = (x_t.device(), x_t.dims()[0], self.network.embedding_len());
        let scalings = Scalings::new(self.schedule, sigma, &device);
        let x_t = x_t * self.seen.clone();
        let f = network(x_t.clone() * scalings.c_in, embedding(sigma, length, &device).expand([n, length]));
        let hidden = f.clone() * (1.0 - self.seen.clone()) * self.schedule.sigma_data;
        (x_t * scalings.c_skip + f * scalings.c_out * self.seen.clone()) + hidden
    }
}
