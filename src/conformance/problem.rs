//! Three small problems: a projection (dense gain, directions standardized), a mask (diagonal gain,
//! coordinates standardized), and masked images with a U-Net. Their inputs are drawn once and kept in the
//! golden file.

use crate::channel::{
    Channel, ChannelConfig, Compose, MaskConfig, NoiseConfig, PixelMaskConfig, ProjectionConfig, StageConfig,
};
use crate::conditioning::{Conditioning, ConditioningConfig, feature_len};
use crate::conditioning::{Standardize, Standardizer};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::method::Diffem;
use crate::network::{
    AnyNetwork, Layout, MlpConfig, NetworkConfig, UnetConfig, flatten, from_host, to_host, unflatten,
};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::posterior::{Model, Posterior};
use crate::sampler::SamplerConfig;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The networks and the noise keys of every problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The network for vectors.
    pub network: MlpConfig,
    /// The network for images.
    pub unet: UnetConfig,
    /// Seed of every noise key.
    pub seed: u64,
    /// Lap of the noise keys of training and sampling, from 1.
    pub lap: usize,
}

impl Default for Settings {
    /// Networks small enough for their weights and gradients to be kept in the repository.
    fn default() -> Self {
        let unet = UnetConfig {
            channels: vec![5, 6],
            blocks: vec![1, 1],
            heads: vec![0, 2],
            embedding: 12,
            patch: 1,
            dropout: 0.0,
            ..Default::default()
        };
        Self { network: MlpConfig { width: 40, depth: 3, embedding: 32 }, unet, seed: 3, lap: 1 }
    }
}

impl Settings {
    /// The network for signals that are images of the shape `image`, or vectors where it is `None`.
    fn network_of(&self, image: Option<ImageShape>) -> NetworkConfig {
        match image {
            Some(_) => NetworkConfig::Unet(self.unet.clone()),
            None => NetworkConfig::Mlp(self.network.clone()),
        }
    }
}

/// Input arrays of a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// The network's parameters, `[P]`.
    pub weights: Vec<f32>,
    /// Signals `[n, d]`.
    pub x: Samples,
    /// Their observations `[n, m]`.
    pub y: Samples,
    /// Operator parameters `[n, k]`.
    pub a: Samples,
    /// Noisy signals in the standardizer's coordinates, `[n, d]`.
    pub x_t: Samples,
    /// Their noise levels, `[n]`.
    pub sigma: Vec<f32>,
}

/// A problem: a channel, a network and input arrays.
pub struct Problem {
    /// "projection", "mask" or "images".
    pub name: &'static str,
    /// Noise levels.
    pub schedule: Schedule,
    /// The network and the noise keys.
    pub settings: Settings,
    /// The input arrays.
    pub inputs: Inputs,
    image: Option<ImageShape>,
    channel: Arc<Compose>,
    config: ConditioningConfig,
    standardizer: Standardizer,
    observations: Observations,
}

/// A micro-batch on the host.
pub struct Batch {
    /// Signals in the standardizer's coordinates, `[n, d]`.
    pub x: Samples,
    /// Features of the observations, `[n, c]`.
    pub features: Samples,
    /// Noise level of each row.
    pub sigma: Vec<f64>,
    /// K A of each row, `[n, d]` (diagonal) or `[n, d * d]`.
    pub ka: Samples,
    /// K y of each row, `[n, d]`.
    pub ky: Samples,
    /// Weight of each row in the loss.
    pub weight: Vec<f64>,
}

/// Definition of a problem.
pub(super) struct Kind {
    pub name: &'static str,
    /// Signal length.
    pub d: usize,
    /// Number of observations; it is odd, so that the edges of tiles are tested.
    n: usize,
    stages: Vec<StageConfig>,
    image: Option<ImageShape>,
}

fn kinds() -> [Kind; 3] {
    let shape = ImageShape { channels: 2, height: 4, width: 6 };
    let kind = |name, d, n, image, stage| Kind {
        name,
        d,
        n,
        stages: vec![stage, NoiseConfig { std: 0.05.into() }.into()],
        image,
    };
    [
        kind("projection", 5, 45, None, ProjectionConfig { rows: 2 }.into()),
        kind("mask", 16, 45, None, MaskConfig { rate: 0.5 }.into()),
        kind("images", shape.len(), 13, Some(shape), PixelMaskConfig { rate: 0.5, max_rate: None }.into()),
    ]
}

impl Kind {
    fn channel(&self) -> Result<Compose> {
        let config = ChannelConfig(self.stages.clone());
        match self.image {
            Some(shape) => config.build_image(shape),
            None => config.build(self.d),
        }
    }

    fn conditioning(&self) -> ConditioningConfig {
        let standardize = if self.image.is_some() { Standardize::Scale } else { Standardize::Auto };
        ConditioningConfig { standardize, ..Default::default() }
    }
}

/// Names of the problems, in order.
pub(super) fn names() -> [&'static str; 3] {
    kinds().map(|kind| kind.name)
}

/// Builds the problems with the inputs that `inputs` returns for the kind and channel of each.
pub(super) fn problems(
    settings: &Settings,
    mut inputs: impl FnMut(&Kind, &Compose) -> Result<Inputs>,
) -> Result<Vec<Problem>> {
    let build = |kind: Kind| {
        let channel = Arc::new(kind.channel()?);
        let inputs = inputs(&kind, &channel)?;
        let observations = Observations::new(channel.as_ref(), inputs.y.clone(), Some(inputs.a.clone()))?;
        let (settings, config) = (settings.clone(), kind.conditioning());
        let standardizer = config.standardizer(channel.as_ref(), &inputs.x);
        let (name, image) = (kind.name, kind.image);
        Ok(Problem { name, schedule: schedule(), settings, inputs, image, channel, config, standardizer, observations })
    };
    kinds().into_iter().map(build).collect()
}

fn schedule() -> Schedule {
    Schedule { sigma_min: 0.01, sigma_max: 40.0, ..Default::default() }
}

/// Draws a problem's inputs: correlated signals, their observations, noise levels spread over the whole
/// schedule, and weights, scales and shifts that all differ from their initial values.
fn draw(settings: &Settings, kind: &Kind, channel: &Compose, device: &Device) -> Result<Inputs> {
    let key = |purpose| Key::new(settings.seed, purpose, 0);
    let (n, d, schedule, config) = (kind.n, kind.d, schedule(), kind.conditioning());
    let mut x = Samples::zeros(n, d);
    for i in 0..n {
        let mut stream = key(Purpose::Truth).stream(i, 0);
        let common = stream.normal();
        x.row_mut(i).iter_mut().for_each(|v| *v = 0.5 + 0.6 * common + 0.8 * stream.normal());
    }
    let seen = Observations::simulate(channel, &x, key(Purpose::Observe), 0);
    let sigma: Vec<f32> = (0..n).map(|i| schedule.sigma((i as f64 + 0.5) / n as f64) as f32).collect();
    let mut x_t = config.standardizer(channel, &x).standardize(&x);
    for (i, &s) in sigma.iter().enumerate() {
        let mut stream = key(Purpose::Loss).stream(i, 0);
        x_t.row_mut(i).iter_mut().for_each(|v| *v += s * stream.normal());
    }
    let features = feature_len(channel, &config);
    let network = settings.network_of(kind.image).init(d, kind.image, features, settings.seed, device)?;
    let mut weights = to_host(&flatten(&network))?;
    let mut stream = Key::new(settings.seed, Purpose::Weights, 1).stream(0, 0);
    weights.iter_mut().for_each(|w| *w += 0.02 * stream.normal());
    let a = seen.a.unwrap_or_else(|| Samples::zeros(n, 0));
    Ok(Inputs { weights, x, y: seen.y, a, x_t, sigma })
}

/// Problems with drawn inputs.
pub(super) fn drawn(settings: &Settings, device: &Device) -> Result<Vec<Problem>> {
    problems(settings, |kind, channel| draw(settings, kind, channel, device))
}

impl Problem {
    /// How the observations enter the denoiser.
    pub(super) fn conditioning(&self) -> Conditioning<'_> {
        Conditioning { channel: self.channel.as_ref(), config: &self.config, standardizer: &self.standardizer }
    }

    /// y and a.
    pub(super) fn observations(&self) -> &Observations {
        &self.observations
    }

    /// The posterior of `network`, learned by `method`, with `sampler`.
    pub(super) fn posterior(
        &self,
        network: AnyNetwork,
        method: Diffem,
        sampler: &SamplerConfig,
        device: &Device,
    ) -> Posterior {
        let model = Model {
            channel: self.channel.clone(),
            image: self.image,
            schedule: self.schedule.clone(),
            conditioning: self.config.clone(),
            method: method.into(),
            network: self.settings.network_of(self.image),
            sampler: sampler.clone(),
            shard: self.observations.n(),
        };
        Posterior::new(model, network, self.standardizer.clone(), device.clone())
    }

    /// The network with the problem's weights.
    ///
    /// # Errors
    /// A number of weights that does not fit the network.
    pub fn network(&self, device: &Device) -> Result<AnyNetwork> {
        self.network_with(self.settings.unet.dropout, device)
    }

    /// [`Problem::network`] where a U-Net drops values with probability `dropout` in training.
    pub(super) fn network_with(&self, dropout: f64, device: &Device) -> Result<AnyNetwork> {
        let Self { settings, inputs, image, .. } = self;
        let settings = Settings { unet: UnetConfig { dropout, ..settings.unet.clone() }, ..settings.clone() };
        let (d, features) = (inputs.x.d(), self.conditioning().feature_len());
        let network = settings.network_of(*image).init(d, *image, features, settings.seed, device)?;
        let (expected, found) = (Layout::of(&network).len(), inputs.weights.len());
        if expected != found {
            return Err(Error::shape(format!("{}: weights", self.name), expected, found));
        }
        Ok(unflatten(network, &from_host(inputs.weights.clone(), device)))
    }

    /// All rows as one micro-batch; `inputs.x_t` are its noisy signals.
    pub fn batch(&self) -> Batch {
        let (conditioning, n, d) = (self.conditioning(), self.inputs.x.n(), self.channel.signal_len());
        let sigma: Vec<f64> = self.inputs.sigma.iter().map(|&s| s as f64).collect();
        let weight = sigma.iter().map(|&s| self.schedule.loss_weight(s) / (n * d) as f64).collect();
        let width = if self.standardizer.is_diagonal() { d } else { d * d };
        let mut features = Samples::zeros(n, conditioning.feature_len());
        let (mut ka, mut ky) = (Samples::zeros(n, width), Samples::zeros(n, d));
        for (i, &s) in sigma.iter().enumerate() {
            let (y, a) = (self.observations.y.row(i), self.observations.operator(i));
            if let Some(measurement) = conditioning.condition(y, a, features.row_mut(i)) {
                measurement.update(self.schedule.posterior_variance(s), ka.row_mut(i), ky.row_mut(i));
            }
        }
        Batch { x: self.standardizer.standardize(&self.inputs.x), features, sigma, ka, ky, weight }
    }
}
