//! DiffEM (arXiv 2510.12691): the network sees the observation and is trained as the posterior, on reconstructions that are
//! corrupted afresh.
//!
//! A reconstruction is partly measured and partly imputed. Targets that are imputed tie the network to the
//! previous lap, whose draws they are, so the error e = D - x_i counts less where observation i measured
//! nothing:
//!
//! ```text
//! λ(σ) eᵀ (α I + (1 - α) P_i) e,   P_i = K_i A_i
//! ```
//!
//! with the imputed weight α. P_i is the mask of observation i, or the projector onto the rows of its A_i.
//! If the operators do not depend on the signals, every value is measured in some observations, and the true
//! distribution is a fixed point of EM for any α > 0. The imputed values remain in the network's input.

use super::learning::{Conditions, Context, LearningMethod};
use super::training::{TrainingBatch, TrainingSource, Trust};
use crate::channel::Channel;
use crate::conditioning::{Conditioning, ConditioningConfig, MatrixFree, Measurement, feature_len, gain, remainder};
use crate::denoiser::{Denoiser, Preconditioned, to_samples, to_tensor};
use crate::error::{Error, Result};
use crate::kernels::sparse_to_device;
use crate::noise::{RowStreams, Stream};
use crate::observations::Observations;
use crate::samples::Samples;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// DiffEM with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Diffem {
    /// Weight α of imputed values as training targets, relative to measured ones, in (0, 1]; 1 is the published
    /// method. It applies where the operators of the observations differ, but not with the signal, and the channel is
    /// linear with Gaussian noise; elsewhere all values have weight 1.
    pub imputed_weight: f64,
    /// First factor ω of over-relaxation, 1 to 4; 1 is the published method. The E-step's denoiser becomes
    /// D + (ω - 1) (D - D') with the previous lap's D', which goes ω times as far as the M-step did and costs a
    /// second network call. A factor above 1 is lowered as the held-out score stops improving, so it needs
    /// `monitor.holdout` > 0.
    pub relaxation: f64,
}

/// Largest factor of over-relaxation; larger ones diverge.
const MAX_RELAXATION: f64 = 4.0;

impl Default for Diffem {
    fn default() -> Self {
        Self { imputed_weight: 0.1, relaxation: 1.0 }
    }
}

impl Diffem {
    /// True where imputed values count less than measured ones, and the channel tells them apart.
    fn weighs(&self, conditioning: Conditioning<'_>) -> bool {
        self.imputed_weight < 1.0 && conditioning.tells_measured()
    }

    /// The weights of the errors of a batch with noise levels `sigma`, see [`TrainingBatch::weight`].
    fn weights(
        &self,
        source: &TrainingSource<'_>,
        rows: &[usize],
        (step, first): (usize, usize),
        sigma: &[f64],
    ) -> Option<Samples> {
        let (conditioning, alpha) = (source.conditioning, self.imputed_weight);
        if !self.weighs(conditioning) || conditioning.is_matrix_free() {
            return None;
        }
        let (d, variance) = (source.x.d(), source.schedule.sigma_data.powi(2));
        let mut weights = Samples::zeros(rows.len(), conditioning.update_len());
        for (row, (i, &s)) in source.places(rows).into_iter().zip(sigma).enumerate() {
            let (w, mirrored) = (weights.row_mut(row), source.mirrored(step, first + row));
            let alpha = if source.clean(step, first + row).is_some() { 1.0 } else { alpha };
            conditioning.write_measured(source.observations.operator(i), variance, mirrored, w);
            let lambda = source.schedule.loss_weight(s);
            w.iter_mut().for_each(|w| *w = (lambda * (1.0 - alpha) * f64::from(*w)) as f32);
            // The diagonal, of a matrix or of its own.
            let stride = if w.len() == d { 1 } else { d + 1 };
            w.iter_mut().step_by(stride).for_each(|w| *w += (lambda * alpha) as f32);
        }
        Some(weights)
    }
}

impl Diffem {
    /// The same weights for a channel without a matrix.
    fn trust(&self, source: &TrainingSource<'_>, rows: &[usize], (step, first): (usize, usize)) -> Option<Trust> {
        let (conditioning, alpha) = (source.conditioning, self.imputed_weight);
        if !self.weighs(conditioning) || !conditioning.is_matrix_free() {
            return None;
        }
        let y = vec![0.0; conditioning.channel.observation_len()];
        let measure = |i: usize| conditioning.measurement(&y, source.observations.operator(i));
        let measurements = source.places(rows).into_iter().filter_map(measure).collect();
        let mirrored = (0..rows.len()).map(|row| source.mirrored(step, first + row)).collect();
        let imputed = |row| if source.clean(step, first + row).is_some() { 1.0 } else { alpha };
        let imputed = (0..rows.len()).map(imputed).collect();
        Some(Trust { imputed, measurements, mirrored })
    }
}

impl LearningMethod for Diffem {
    fn validate(&self, _channel: &dyn Channel) -> Result<()> {
        let message = format!("expected a number in (0, 1], found {}", self.imputed_weight);
        let right = self.imputed_weight > 0.0 && self.imputed_weight <= 1.0;
        right.then_some(()).ok_or_else(|| Error::config("method.imputed_weight", message))?;
        let message = format!("expected a number in [1, {MAX_RELAXATION}], found {}", self.relaxation);
        let right = (1.0..=MAX_RELAXATION).contains(&self.relaxation);
        right.then_some(()).ok_or_else(|| Error::config("method.relaxation", message))
    }

    fn relaxation(&self) -> f64 {
        self.relaxation
    }

    fn feature_len(&self, channel: &dyn Channel, config: &ConditioningConfig) -> usize {
        feature_len(channel, config)
    }

    fn ends_with_the_mean(&self, config: &ConditioningConfig) -> bool {
        !config.measurement_update
    }

    fn training_batch(&self, source: &TrainingSource<'_>, rows: &[usize], step: usize, first: usize) -> TrainingBatch {
        let conditioning = source.conditioning;
        let condition = |y: &[f32], a: &[f32], features: &mut [f32]| conditioning.condition(y, a, features);
        let batch = source.corrupted(rows, (step, first), conditioning.feature_len(), condition);
        let weight = self.weights(source, rows, (step, first), &batch.sigma);
        let trust = self.trust(source, rows, (step, first));
        TrainingBatch { weight, trust, ..batch }
    }

    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, streams: RowStreams) -> Tensor<2> {
        let Context { network, schedule, conditioning, device } = context;
        let (x_t, features) = (to_tensor(&batch.x_t, device), sparse_to_device(&batch.features, device));
        let gain = gain(&batch.measurements, |i| batch.sigma[i], schedule, conditioning, device);
        let denoiser = Preconditioned { network, schedule };
        denoiser.forward_training(x_t, &batch.sigma, features, gain.as_ref(), streams)
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
            let mean = preconditioned.forward_prepared(x_t, sigma, self.features.clone(), gain.as_ref());
            match conditioning.matrix_free(&self.measurements) {
                Some(free) => updated(free, mean, schedule.posterior_variance(sigma), device),
                None => mean,
            }
        })
    }

    fn remainder(
        &self,
        context: Context<'_>,
        sigma: f64,
        stream: &(dyn Fn(usize) -> Stream + Sync),
    ) -> Option<Tensor<2>> {
        let Context { schedule, conditioning, device, .. } = context;
        remainder(&self.measurements, sigma, schedule, conditioning, device, stream)
    }
}

/// The update of a batch on the host; rows beyond the observations are copies that the caller drops.
fn updated(free: MatrixFree<'_>, mean: Tensor<2>, variance: f64, device: &Device) -> Tensor<2> {
    let estimate = to_samples(mean).expect("a device whose tensors can be read, as every native one's can");
    to_tensor(&free.update(&estimate, |_| variance), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig};
    use crate::conditioning::Standardizer;
    use crate::image::ImageShape;
    use crate::method::{Clean, Operators, Recorruption};
    use crate::schedule::Schedule;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 1, width: 4 };
    const ALPHA: f64 = 0.1;
    const SIGMA: f64 = 0.5;

    /// The weights of one row in units of λ(σ), for an observation with the operator `a` of a channel without
    /// noise, mirrored or not.
    fn weights(stage: StageConfig, a: Vec<f32>, mirrored: bool) -> Vec<f64> {
        weights_beside(stage, a, mirrored, None)
    }

    /// [`weights`] of a row that a clean signal may replace.
    fn weights_beside(stage: StageConfig, a: Vec<f32>, mirrored: bool, clean: Option<&Clean>) -> Vec<f64> {
        let channel = ChannelConfig(vec![stage, NoiseConfig { std: 0.0.into() }.into()]).build_image(SHAPE).unwrap();
        let (config, standardizer) = (ConditioningConfig::default(), Standardizer::identity(SHAPE.len()));
        let (schedule, m) = (Schedule::default(), channel.observation_len());
        let observations =
            Observations::new(&channel, Samples::zeros(1, m), Some(Samples::new(a.clone(), a.len()))).unwrap();
        let x = Samples::zeros(1, SHAPE.len());
        let mut source = TrainingSource {
            schedule: &schedule,
            conditioning: Conditioning { channel: &channel, config: &config, standardizer: &standardizer },
            x: &x,
            observations: &observations,
            rows: vec![0],
            clean,
            recorruption: Recorruption::default(),
            operators: Operators::default(),
            flip: Some(SHAPE),
            seed: 0,
            lap: 1,
        };
        let step = (0..).find(|step| source.mirrored(*step, 0).is_some() == mirrored).unwrap();
        source.flip = source.flip.filter(|_| mirrored);
        let method = Diffem { imputed_weight: ALPHA, ..Default::default() };
        let weights = method.weights(&source, &[0], (step, 0), &[SIGMA]).unwrap();
        weights.as_slice().iter().map(|&w| f64::from(w) / schedule.loss_weight(SIGMA)).collect()
    }

    fn near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-5), "{found:?} {expected:?}");
    }

    #[test]
    fn what_a_mask_hides_counts_less_and_is_mirrored_with_the_image() {
        let (mask, a) = (StageConfig::from(MaskConfig { rate: 0.5 }), vec![1.0, 1.0, 0.0, 1.0]);
        near(&weights(mask.clone(), a.clone(), false), &[1.0, 1.0, ALPHA, 1.0]);
        near(&weights(mask, a, true), &[1.0, ALPHA, 1.0, 1.0]);
    }

    #[test]
    fn every_value_of_a_clean_signal_counts_fully() {
        let always = Clean { x: Samples::zeros(1, SHAPE.len()), weight: 1.0 };
        let mask = StageConfig::from(MaskConfig { rate: 0.5 });
        near(&weights_beside(mask, vec![1.0, 0.0, 0.0, 1.0], false, Some(&always)), &[1.0; 4]);
    }

    /// Along a row of A an error counts fully, across all rows by α.
    #[test]
    fn what_a_projection_does_not_measure_counts_less() {
        let projection = || StageConfig::from(ProjectionConfig { rows: 1 });
        let row = [0.6, 0.0, 0.8, 0.0];
        for (mirrored, along) in [(false, [0.6, 0.0, 0.8, 0.0]), (true, [0.0, 0.8, 0.0, 0.6])] {
            let w = weights(projection(), row.to_vec(), mirrored);
            let expected =
                |i: usize, j: usize| ALPHA * f64::from(u8::from(i == j)) + (1.0 - ALPHA) * along[i] * along[j];
            let expected: Vec<f64> = (0..16).map(|at| expected(at / 4, at % 4)).collect();
            near(&w, &expected);
        }
    }

    #[test]
    fn an_operator_that_all_share_weights_nothing() {
        let channel = ChannelConfig(vec![NoiseConfig { std: 0.1.into() }.into()]).build(4).unwrap();
        let (config, standardizer) = (ConditioningConfig::default(), Standardizer::identity(4));
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        assert!(!conditioning.tells_measured());
    }

    #[test]
    fn a_weight_outside_its_range_is_named() {
        let channel = ChannelConfig(vec![NoiseConfig { std: 0.1.into() }.into()]).build(4).unwrap();
        for wrong in [0.0, -1.0, 1.5, f64::NAN] {
            let method = Diffem { imputed_weight: wrong, ..Default::default() };
            let message = method.validate(&channel).unwrap_err().to_string();
            assert_eq!(message, format!("method.imputed_weight: expected a number in (0, 1], found {wrong}"));
        }
        for wrong in [0.5, 5.0, f64::NAN] {
            let message =
                Diffem { relaxation: wrong, ..Default::default() }.validate(&channel).unwrap_err().to_string();
            assert_eq!(message, format!("method.relaxation: expected a number in [1, 4], found {wrong}"));
        }
    }
}
