//! DiffEM (arXiv 2510.12691): the network sees the observation and is trained as the posterior, on reconstructions that are
//! corrupted afresh.

use super::learning::{Conditions, Context, LearningMethod};
use super::training::{TrainingBatch, TrainingSource};
use crate::channel::Channel;
use crate::conditioning::{ConditioningConfig, Measurement, feature_len, gain};
use crate::denoiser::{Denoiser, Preconditioned, to_tensor};
use crate::error::Result;
use crate::noise::Stream;
use crate::observations::Observations;
use crate::samples::Samples;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// DiffEM; it has no settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Diffem {}

impl LearningMethod for Diffem {
    fn validate(&self, _channel: &dyn Channel) -> Result<()> {
        Ok(())
    }

    fn feature_len(&self, channel: &dyn Channel, config: &ConditioningConfig) -> usize {
        feature_len(channel, config)
    }

    fn training_batch(&self, source: &TrainingSource<'_>, rows: &[usize], step: usize, first: usize) -> TrainingBatch {
        let conditioning = source.conditioning;
        let condition = |y: &[f32], a: &[f32], features: &mut [f32]| conditioning.condition(y, a, features);
        source.corrupted(rows, (step, first), conditioning.feature_len(), condition)
    }

    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, stream: Stream) -> Tensor<2> {
        let Context { network, schedule, conditioning, device } = context;
        let [x_t, features] = [&batch.x_t, &batch.features].map(|s| to_tensor(s, device));
        let gain = gain(&batch.measurements, |i| batch.sigma[i], schedule, conditioning, device);
        let denoiser = Preconditioned { network, schedule };
        denoiser.forward_training(x_t, &batch.sigma, features, gain.as_ref(), stream)
    }

    fn condition(&self, context: Context<'_>, observations: &Observations, rows: &[usize]) -> Box<dyn Conditions> {
        let conditioning = context.conditioning;
        let mut features = Samples::zeros(rows.len(), conditioning.feature_len());
        let read = |(row, &i): (usize, &usize)| {
            conditioning.condition(observations.y.row(i), observations.operator(i), features.row_mut(row))
        };
        let measurements = rows.iter().enumerate().filter_map(read).collect();
        let features = context.network.prepare(to_tensor(&features, context.device));
        Box::new(Seen { features, measurements })
    }
}

/// The features of the observations, prepared by the network, and the measurements that update its estimates.
struct Seen {
    features: Tensor<2>,
    measurements: Vec<Measurement>,
}

impl Conditions for Seen {
    fn denoiser<'d>(&'d self, context: Context<'d>) -> Box<dyn Denoiser + 'd> {
        let Context { network, schedule, conditioning, device } = context;
        let preconditioned = Preconditioned { network, schedule };
        Box::new(move |x_t: Tensor<2>, sigma: f64| {
            let gain = gain(&self.measurements, |_| sigma, schedule, conditioning, device);
            preconditioned.forward_prepared(x_t, sigma, self.features.clone(), gain.as_ref())
        })
    }
}
