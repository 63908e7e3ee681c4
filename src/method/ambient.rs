//! Ambient Diffusion (Daras et al. 2023, "Ambient Diffusion: learning clean distributions from corrupted
//! data", arXiv 2305.19256), for masks: it learns a prior without reconstructions. The observed values A x of
//! a signal are masked further, with Ã = A B and B a second mask; the network receives Ã x_t and Ã and is
//! trained to predict all observed values:
//!
//! ```text
//! minimize E ‖A (D(Ã x_t, Ã, σ) - x)‖²   ->   D = E[x | Ã x_t, Ã]
//! ```
//!
//! because it cannot tell which of the hidden values were observed. For the values that the mask hides it
//! predicts the mean: its reconstructions are conditional means given the observed values, and are sharp only
//! there. Two changes are ours and favor the method: a hidden value is preconditioned as one of which nothing
//! is known at any σ, D = Ã (c_skip x_t + c_out F) + (1 - Ã) σ_d F; and an observation is reconstructed with
//! its own mask alone, without a second one, and with the measurement update of [`crate::conditioning`].

use super::learning::{Conditions, Context, LearningMethod};
use super::training::{TrainingBatch, TrainingSource};
use crate::channel::{Channel, is_mask, write_seen};
use crate::conditioning::{ConditioningConfig, Measurement, gain};
use crate::denoiser::{Denoiser, Scalings, to_tensor};
use crate::error::{Error, Result};
use crate::network::{Network, embedding};
use crate::noise::{Purpose, RowStreams, Stream};
use crate::observations::Observations;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Ambient Diffusion with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Ambient {
    /// Probability that an observed value is hidden from the network, in (0, 1).
    pub further: f64,
}

impl Default for Ambient {
    fn default() -> Self {
        Self { further: 0.1 }
    }
}

impl Ambient {
    /// Hides further values that the mask `a` shows.
    fn hide(&self, a: &mut [f32], stream: &mut Stream) {
        a.iter_mut().for_each(|a| *a *= f32::from(stream.uniform() >= self.further));
    }
}

impl LearningMethod for Ambient {
    fn validate(&self, channel: &dyn Channel) -> Result<()> {
        if !(self.further > 0.0 && self.further < 1.0) {
            let message = format!("expected a number in (0, 1), found {}", self.further);
            return Err(Error::config("method.further", message));
        }
        let message = "\"ambient\" needs a channel of masks, with or without noise";
        is_mask(channel).then_some(()).ok_or_else(|| Error::config("method.kind", message))
    }

    fn feature_len(&self, channel: &dyn Channel, _config: &ConditioningConfig) -> usize {
        channel.signal_len()
    }

    /// Masks the observations `rows` further and adds noise to them; reconstructions are not used for
    /// training.
    fn training_batch(&self, source: &TrainingSource<'_>, rows: &[usize], step: usize, first: usize) -> TrainingBatch {
        let (conditioning, n, d) = (source.conditioning, rows.len(), source.x.d());
        let (corrupt, places) = (source.key(Purpose::Corrupt), source.places(rows));
        let x = conditioning.standardizer.standardize(&source.observations.y.select(&places));
        let [mut x_t, mut features, mut weight] = std::array::from_fn(|_| Samples::zeros(n, d));
        let (mut all, mut sigma) = (vec![0.0; d], Vec::with_capacity(n));
        for (row, &i) in places.iter().enumerate() {
            let mut a = source.observations.operator(i).to_vec();
            write_seen(conditioning.channel, &a, &mut all);
            self.hide(&mut a, &mut corrupt.stream(first + row, step));
            write_seen(conditioning.channel, &a, features.row_mut(row));
            let s = source.noise(x.row(row), step, first + row, x_t.row_mut(row));
            let [shown, hidden] = [source.schedule.loss_weight(s), source.schedule.sigma_data.powi(-2)];
            for ((weight, all), kept) in weight.row_mut(row).iter_mut().zip(&all).zip(features.row(row)) {
                *weight = all * if *kept == 1.0 { shown } else { hidden } as f32;
            }
            sigma.push(s);
        }
        TrainingBatch { x, x_t, features, sigma, measurements: Vec::new(), weight: Some(weight), trust: None }
    }

    fn takes_clean(&self) -> bool {
        false
    }

    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, streams: RowStreams) -> Tensor<2> {
        let [x_t, seen] = [&batch.x_t, &batch.features].map(|s| to_tensor(s, context.device));
        let masked = Masked { network: context.network, schedule: context.schedule, seen };
        masked.forward_training(x_t, &batch.sigma, streams)
    }

    fn condition(&self, context: Context<'_>, observations: &Observations, rows: &[usize]) -> Box<dyn Conditions> {
        let conditioning = context.conditioning;
        let mut masks = Samples::zeros(rows.len(), conditioning.channel.signal_len());
        for (row, &i) in rows.iter().enumerate() {
            write_seen(conditioning.channel, observations.operator(i), masks.row_mut(row));
        }
        let measure = |&i: &usize| conditioning.measurement(observations.y.row(i), observations.operator(i));
        let measurements = rows.iter().filter_map(measure).collect();
        Box::new(OwnMasks { masks: to_tensor(&masks, context.device), measurements })
    }
}

/// The observations' own masks `[n, d]`, and the measurements that update the estimates.
struct OwnMasks {
    masks: Tensor<2>,
    measurements: Vec<Measurement>,
}

impl Conditions for OwnMasks {
    fn denoiser<'d>(&'d self, context: Context<'d>) -> Box<dyn Denoiser + 'd> {
        let Context { network, schedule, conditioning, device } = context;
        let masked = Masked { network, schedule, seen: self.masks.clone() };
        Box::new(move |x_t: Tensor<2>, sigma: f64| {
            let d0 = masked.forward(x_t.clone(), &[sigma]);
            match gain(&self.measurements, |_| sigma, schedule, conditioning, device) {
                Some(gain) => gain.apply(d0, x_t),
                None => d0,
            }
        })
    }
}

/// The denoiser E[x | Ã x_t, Ã] of a network under a further mask.
struct Masked<'a> {
    network: &'a dyn Network,
    schedule: &'a Schedule,
    /// Ã, `[n, d]` of 0 and 1.
    seen: Tensor<2>,
}

impl Masked<'_> {
    /// Returns D for `x_t [n, d]`; `sigma` is as in [`crate::denoiser::Preconditioned::forward`].
    fn forward(&self, x_t: Tensor<2>, sigma: &[f64]) -> Tensor<2> {
        self.around(x_t, sigma, |x, embedded| self.network.forward(x, embedded, self.seen.clone()))
    }

    /// [`Masked::forward`] in training.
    fn forward_training(&self, x_t: Tensor<2>, sigma: &[f64], streams: RowStreams) -> Tensor<2> {
        self.around(x_t, sigma, |x, embedded| self.network.forward_training(x, embedded, self.seen.clone(), streams))
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
        let f = network(scalings.c_in.times(x_t.clone()), embedding(sigma, length, &device).expand([n, length]));
        let hidden = f.clone() * (1.0 - self.seen.clone()) * self.schedule.sigma_data;
        (scalings.c_skip.times(x_t) + scalings.c_out.times(f) * self.seen.clone()) + hidden
    }
}
