//! What distinguishes one learning method from another.

use super::training::{TrainingBatch, TrainingSource};
use crate::channel::Channel;
use crate::conditioning::{Conditioning, ConditioningConfig};
use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::network::Network;
use crate::noise::{RowStreams, Stream};
use crate::observations::Observations;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::{Device, Tensor};

/// A network on its device, with everything that its denoiser needs.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub network: &'a dyn Network,
    pub schedule: &'a Schedule,
    pub conditioning: Conditioning<'a>,
    pub device: &'a Device,
}

/// What distinguishes one learning method from another.
pub(crate) trait LearningMethod: Sync {
    /// Checks the settings, and that the method suits `channel`.
    fn validate(&self, channel: &dyn Channel) -> Result<()>;

    /// Number of features of an observation that the network receives.
    fn feature_len(&self, channel: &dyn Channel, config: &ConditioningConfig) -> usize;

    /// Returns those of `rows` whose reconstructions in `x [n, d]` are suitable for training; never empty.
    fn training_rows(&self, _x: &Samples, rows: Vec<usize>) -> Vec<usize> {
        rows
    }

    /// Builds the host side of the micro-batch of `rows`, whose first row has place `first` in mini-batch
    /// `step`.
    fn training_batch(&self, source: &TrainingSource<'_>, rows: &[usize], step: usize, first: usize) -> TrainingBatch;

    /// Returns D of a micro-batch, `[n, d]`, in training, on the autodiff device of `context`.
    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, streams: RowStreams) -> Tensor<2>;

    /// Prepares the observations at `rows` for sampling, one row per draw.
    fn condition(&self, context: Context<'_>, observations: &Observations, rows: &[usize]) -> Box<dyn Conditions>;

    /// True where a draw ends with the mean at the last noise level, without [`Conditions::remainder`].
    fn ends_with_the_mean(&self, _config: &ConditioningConfig) -> bool {
        true
    }

    /// See [`super::Method::relaxation`].
    fn relaxation(&self) -> f64 {
        1.0
    }

    /// See [`super::Method::jacobians_per_call`].
    fn jacobians_per_call(&self) -> usize {
        0
    }

    /// True where training signals are reconstructions, which clean ones can replace.
    fn takes_clean(&self) -> bool {
        true
    }

    /// See [`super::Method::learns_prior`].
    fn learns_prior(&self) -> bool {
        false
    }
}

/// Observations on the device, ready for a sampler that calls the denoiser many times.
pub(crate) trait Conditions {
    /// The denoiser E[x | x_t, y], one observation per row.
    fn denoiser<'d>(&'d self, context: Context<'d>) -> Box<dyn Denoiser + 'd>;

    /// What a draw at the last level `sigma` adds to the mean, `[n, d]`, from the random numbers `stream(row)`; `None`
    /// where the mean itself is returned.
    fn remainder(
        &self,
        _context: Context<'_>,
        _sigma: f64,
        _stream: &(dyn Fn(usize) -> Stream + Sync),
    ) -> Option<Tensor<2>> {
        None
    }
}
