//! The micro-batches of an M-step: reconstructions with fresh corruption and noise.
//!
//! Every number is a function of (seed, lap, step, row), so the results do not depend on the micro-batches or
//! on the workers.

use super::clean::Clean;
use crate::conditioning::{Conditioning, Measurement};
use crate::image::ImageShape;
use crate::noise::{Key, Purpose, Stream};
use crate::observations::Observations;
use crate::samples::Samples;
use crate::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// When the M-step draws new corruption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Recorruption {
    /// For every mini-batch, so that each step sees new observations.
    #[default]
    EveryBatch,
    /// Once per lap, as the published code does.
    EveryLap,
}

/// Which operators corrupt the reconstructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operators {
    /// `observed` on the command line for data that come with operators of their own, otherwise `drawn`.
    #[default]
    Auto,
    /// Fresh ones, drawn from the distribution that the channel states.
    Drawn,
    /// Those of other observations, whatever their distribution; they must not depend on the signals.
    Observed,
}

/// The data that a lap trains on.
pub(crate) struct TrainingSource<'a> {
    /// Noise levels.
    pub schedule: &'a Schedule,
    /// The channel that corrupts, and how its observations enter the denoiser.
    pub conditioning: Conditioning<'a>,
    /// Reconstructions `[n, d]`.
    pub x: &'a Samples,
    /// The observations that they reconstruct.
    pub observations: &'a Observations,
    /// The rows of `x` that are trained on; mini-batches refer to them by their place in this list.
    pub rows: Vec<usize>,
    /// Clean signals that replace some of the reconstructions.
    pub clean: Option<&'a Clean>,
    /// When new corruption is drawn.
    pub recorruption: Recorruption,
    /// Which operators corrupt.
    pub operators: Operators,
    /// Shape of the images that are mirrored at random; `None` mirrors nothing.
    pub flip: Option<ImageShape>,
    /// Seed of the run.
    pub seed: u64,
    /// Lap, from 1.
    pub lap: usize,
}

/// The host side of a micro-batch of n rows.
pub(crate) struct TrainingBatch {
    /// Targets `[n, d]`, standardized.
    pub x: Samples,
    /// Noisy targets `[n, d]`.
    pub x_t: Samples,
    /// Features of the observations that the network receives, `[n, c]`.
    pub features: Samples,
    /// Noise level of each row.
    pub sigma: Vec<f64>,
    /// Measurements that update the estimate; empty where there is no update.
    pub measurements: Vec<Measurement>,
    /// How the error e of each row counts: as eᵀ W e, where W is a diagonal, `[n, d]`, or a full symmetric
    /// matrix, `[n, d * d]`, in the basis of the measurements if they have one. `None` stands for W = λ(σ) I.
    pub weight: Option<Samples>,
    /// How it counts where the channel has no matrix; `None` stands for W = λ(σ) I.
    pub trust: Option<Trust>,
}

/// Weights W = λ(σ) (α I + (1 - α) P) without a matrix, with P as in [`super::Diffem`].
pub(crate) struct Trust {
    /// α of every row; 1 for a clean signal.
    pub imputed: Vec<f64>,
    /// What the observation of every row measures.
    pub measurements: Vec<Measurement>,
    /// Shape of the images whose row is mirrored.
    pub mirrored: Vec<Option<ImageShape>>,
}

impl TrainingSource<'_> {
    /// The noise key of this lap for `purpose`.
    pub fn key(&self, purpose: Purpose) -> Key {
        Key::new(self.seed, purpose, self.lap)
    }

    /// The rows of `x` at the places `rows`.
    pub fn places(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|row| self.rows[*row]).collect()
    }

    /// Writes x + σ z for the row at place `place` of mini-batch `step` into `x_t` and returns σ.
    pub fn noise(&self, x: &[f32], step: usize, place: usize, x_t: &mut [f32]) -> f64 {
        let mut stream = self.key(Purpose::Loss).stream(place, step);
        let sigma = self.schedule.sigma(self.schedule.draw_time(&mut stream));
        stream.add_noise(x, sigma as f32, x_t);
        sigma
    }

    /// Corrupts the reconstructions `rows` and adds noise. `condition` writes the features of (y, a) into a
    /// row of `feature_len` features, and returns the measurement that updates the estimate, if there is one.
    pub fn corrupted(
        &self,
        rows: &[usize],
        (step, first): (usize, usize),
        feature_len: usize,
        condition: impl Fn(&[f32], &[f32], &mut [f32]) -> Option<Measurement>,
    ) -> TrainingBatch {
        let (channel, n, d) = (self.conditioning.channel, rows.len(), self.x.d());
        let corrupt = self.key(Purpose::Corrupt);
        let (signals, x) = self.signals(rows, step, first);
        let (mut x_t, mut features) = (Samples::zeros(n, d), Samples::zeros(n, feature_len));
        let (mut y, mut a) = (vec![0.0; channel.observation_len()], vec![0.0; channel.operator_len()]);
        let (mut sigma, mut measurements) = (Vec::with_capacity(n), Vec::new());
        for (row, &i) in rows.iter().enumerate() {
            let mut stream = match self.recorruption {
                Recorruption::EveryBatch => corrupt.stream(first + row, step),
                Recorruption::EveryLap => corrupt.stream(i, 0),
            };
            self.corrupt(signals.row(row), &mut stream, &mut a, &mut y);
            measurements.extend(condition(&y, &a, features.row_mut(row)));
            sigma.push(self.noise(x.row(row), step, first + row, x_t.row_mut(row)));
        }
        TrainingBatch { x, x_t, features, sigma, measurements, weight: None, trust: None }
    }

    /// Draws an operator and an observation of `x`.
    fn corrupt(&self, x: &[f32], stream: &mut Stream, a: &mut [f32], y: &mut [f32]) {
        let channel = self.conditioning.channel;
        if self.operators != Operators::Observed || a.is_empty() {
            return channel.corrupt(x, stream, a, y);
        }
        a.copy_from_slice(self.observations.operator(self.rows[stream.below(self.rows.len())]));
        channel.observe(x, a, stream, y);
    }

    /// Shape of the image at place `place` of mini-batch `step` if it is mirrored.
    pub fn mirrored(&self, step: usize, place: usize) -> Option<ImageShape> {
        self.flip.filter(|_| self.key(Purpose::Flip).stream(place, step).uniform() < 0.5)
    }

    /// The clean signal at place `place` of mini-batch `step` if one replaces the reconstruction there.
    pub fn clean(&self, step: usize, place: usize) -> Option<&[f32]> {
        self.clean?.draw(&mut self.key(Purpose::Clean).stream(place, step))
    }

    /// Returns the reconstructions `rows`, some of them replaced by clean signals and some mirrored, before and after
    /// standardization.
    fn signals(&self, rows: &[usize], step: usize, first: usize) -> (Samples, Samples) {
        let mut signals = self.x.select(&self.places(rows));
        for row in 0..rows.len() {
            if let Some(clean) = self.clean(step, first + row) {
                signals.row_mut(row).copy_from_slice(clean);
            }
            if let Some(shape) = self.mirrored(step, first + row) {
                shape.mirror(signals.row_mut(row));
            }
        }
        let standardized = self.conditioning.standardizer.standardize(&signals);
        (signals, standardized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, MaskConfig, NoiseConfig, PixelMaskConfig};
    use crate::conditioning::{ConditioningConfig, Features, Standardize, Standardizer};
    use crate::method::{Diffem, LearningMethod};
    use std::cell::RefCell;

    /// Lap 1 of a run with seed 0 on all rows of `x`.
    fn source<'a>(
        schedule: &'a Schedule,
        conditioning: Conditioning<'a>,
        x: &'a Samples,
        observations: &'a Observations,
    ) -> TrainingSource<'a> {
        TrainingSource {
            schedule,
            conditioning,
            x,
            observations,
            rows: (0..x.n()).collect(),
            clean: None,
            recorruption: Recorruption::default(),
            operators: Operators::default(),
            flip: None,
            seed: 0,
            lap: 1,
        }
    }

    /// Every observation has the mask 0 1 1, which a channel that hides half of the values would draw for one in eight.
    #[test]
    fn the_operators_are_those_of_observations_or_drawn() {
        let channel = ChannelConfig(vec![MaskConfig { rate: 0.5 }.into()]).build(3).unwrap();
        let mask = [0.0, 1.0, 1.0];
        let observations = Observations::new(&channel, Samples::zeros(4, 3), Some(Samples::new(mask.repeat(4), 3)));
        let (config, standardizer, x) =
            (ConditioningConfig::default(), Standardizer::identity(3), Samples::zeros(4, 3));
        let (schedule, observations) = (Schedule::default(), observations.unwrap());
        let alike = |operators| {
            let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
            let source = TrainingSource { operators, ..source(&schedule, conditioning, &x, &observations) };
            let found = RefCell::new(0);
            source.corrupted(&[0, 1, 2, 3].repeat(20), (0, 0), 3, |_, a, _| {
                *found.borrow_mut() += usize::from(a == mask);
                None
            });
            found.into_inner()
        };
        assert_eq!(alike(Operators::Observed), 80);
        assert!((2..30).contains(&alike(Operators::Drawn)) && alike(Operators::Auto) == alike(Operators::Drawn));
    }

    /// A step of `cifar10-mask75`: what is drawn on the host, while a device trains on the step before.
    #[test]
    fn a_mini_batch_of_color_pictures_is_drawn_in_milliseconds() {
        let shape = ImageShape { channels: 3, height: 32, width: 32 };
        let stages = [NoiseConfig { std: 1e-3.into() }.into(), PixelMaskConfig { rate: 0.75, max_rate: None }.into()];
        let channel = ChannelConfig::from(stages).build_image(shape).unwrap();
        let (n, d) = (256, shape.len());
        let x = Samples::new((0..n * d).map(|i| (i as f32 * 0.37).sin()).collect(), d);
        let observations = Observations::observe(&channel, &x, 0);
        let config = ConditioningConfig {
            features: Features::Observation,
            standardize: Standardize::None,
            measurement_update: false,
            ..Default::default()
        };
        let (schedule, standardizer) = (Schedule::default(), Standardizer::identity(d));
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        let source = TrainingSource { flip: Some(shape), ..source(&schedule, conditioning, &x, &observations) };
        // As the command line does.
        crate::parallel::keep_freed_memory();
        let rows: Vec<usize> = (0..n).collect();
        let method = Diffem { imputed_weight: 1.0, ..Default::default() };
        let draw = |step| {
            let began = std::time::Instant::now();
            assert_eq!(method.training_batch(&source, &rows, step, 0).x_t.n(), n);
            began.elapsed().as_secs_f64() * 1e3
        };
        let fastest = (0..5).map(draw).fold(f64::MAX, f64::min);
        println!("256 rows of 3072 values: {fastest:.1} ms on one core");
        assert!(fastest < 500.0);
    }
}
