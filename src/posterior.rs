//! A trained posterior in one file: the weights that sample, everything needed to use them, and a few observations to try.
//!
//! The file is safetensors (see [`crate::checkpoint`]): the network's tensors under their own names, `examples.y [n, m]`,
//! `examples.a [n, k]` where the channel has parameters, `examples.x [n, d]` where the truth is known, and a [`Recipe`] as
//! JSON. Whoever opens one need not trust it: whatever does not fit together is an [`Error`], before much memory is taken.

use crate::channel::{Channel, ChannelConfig, Compose};
use crate::checkpoint::{self, Arrays, Precision, StandardizerMeta, join_weights, split_weights, take};
use crate::conditioning::Standardizer;
use crate::conditioning::{Conditioning, ConditioningConfig, feature_len};
use crate::em::EStep;
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::network::{AnyNetwork, Layout, NetworkConfig, from_host, unflatten};
use crate::noise::Key;
use crate::observations::Observations;
use crate::sampler::SamplerConfig;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// What the file is, as [`checkpoint::encode`] calls it.
const CONTENT: &str = "bundle";
/// Prefix of the arrays that are not the network's.
const EXAMPLES: &str = "examples.";
/// Most values of a signal, an observation or an operator; keeps products of sizes from overflowing.
const MAX_VALUES: usize = 1 << 24;

/// Everything but numbers that a posterior is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Name of the run.
    pub name: String,
    /// Lap whose posterior this is, from 1.
    pub lap: usize,
    /// Length d of a signal.
    pub signal: usize,
    /// Shape of the images that the signals are, if they are images.
    pub image: Option<ImageShape>,
    /// The channel.
    pub channel: ChannelConfig,
    /// Noise levels.
    pub schedule: Schedule,
    /// How observations enter the denoiser.
    pub conditioning: ConditioningConfig,
    /// The network.
    pub network: NetworkConfig,
    /// The run's sampler.
    pub sampler: SamplerConfig,
}

/// Observations that travel along.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// y and a; may be none.
    pub observations: Observations,
    /// The signals behind them, where they are known.
    pub x: Option<Samples>,
}

/// A posterior ready to sample.
pub struct Posterior {
    /// What it was made of.
    pub recipe: Recipe,
    /// The channel.
    pub channel: Compose,
    /// The network with its weights, outside autodiff.
    pub network: AnyNetwork,
    /// Coordinates in which the diffusion runs.
    pub standardizer: Standardizer,
    /// Observations to try.
    pub examples: Examples,
    /// Where the network lives.
    pub device: Device,
    /// Number of weights.
    pub parameters: usize,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    recipe: Recipe,
    standardizer: StandardizerMeta,
}

/// The bytes of a bundle; `weights` is the flat vector of `layout`, kept in `precision`.
///
/// # Errors
/// A weight that `precision` cannot hold.
pub fn encode(
    recipe: &Recipe,
    standardizer: &Standardizer,
    (layout, weights): (&Layout, &[f32]),
    examples: &Examples,
    precision: Precision,
) -> Result<Vec<u8>> {
    let mut arrays = split_weights(layout, weights);
    let table = |name: &str, s: &Samples| (format!("{EXAMPLES}{name}"), vec![s.n(), s.d()], s.as_slice().to_vec());
    let Observations { y, a } = &examples.observations;
    arrays.push(table("y", y));
    arrays.extend(a.iter().map(|a| table("a", a)));
    arrays.extend(examples.x.iter().map(|x| table("x", x)));
    let meta = Meta { recipe: recipe.clone(), standardizer: StandardizerMeta::of(standardizer) };
    let of = |name: &str| if name.starts_with(EXAMPLES) { Precision::F32 } else { precision };
    checkpoint::encode_with(CONTENT, &arrays, &meta, &of)
}

/// Opens a bundle on `device`.
///
/// # Errors
/// Bytes that are no whole bundle of this version, a recipe outside its ranges, tensors that do not fit it.
pub fn open(bytes: &[u8], device: &Device) -> Result<Posterior> {
    let (arrays, Meta { recipe, standardizer }) = checkpoint::decode::<Meta>(CONTENT, bytes)?;
    let channel = recipe.check(bytes.len())?;
    let (examples, weights): (Arrays, Arrays) = arrays.into_iter().partition(|(name, _, _)| name.starts_with(EXAMPLES));
    let features = feature_len(&channel, &recipe.conditioning);
    let initial = recipe.network.init(recipe.signal, recipe.image, features, 0, device)?;
    let layout = Layout::of(&initial);
    let weights = join_weights(&layout, weights)?;
    if weights.iter().any(|w| !w.is_finite()) {
        return Err(Error::Checkpoint("a weight is NaN or infinite".into()));
    }
    Ok(Posterior {
        network: unflatten(initial, &from_host(weights, device)),
        standardizer: standardizer.standardizer(recipe.signal)?,
        examples: read_examples(examples, &channel)?,
        parameters: layout.len(),
        device: device.clone(),
        channel,
        recipe,
    })
}

fn read_examples(mut arrays: Arrays, channel: &Compose) -> Result<Examples> {
    let known = arrays.iter().any(|(name, _, _)| name == "examples.x");
    let mut table = |name: &str, d: usize| -> Result<Samples> {
        let name = format!("{EXAMPLES}{name}");
        let (shape, values) = take(&mut arrays, &name)?;
        match shape.as_slice() {
            [_, found] if *found == d && d > 0 => Ok(Samples::new(values, d)),
            _ => Err(Error::Checkpoint(format!("tensor `{name}` has shape {shape:?}, expected [n, {d}]"))),
        }
    };
    let y = table("y", channel.observation_len())?;
    let a = (channel.operator_len() > 0).then(|| table("a", channel.operator_len())).transpose()?;
    let x = known.then(|| table("x", channel.signal_len())).transpose()?;
    if let Some(x) = x.as_ref().filter(|x| x.n() != y.n()) {
        return Err(Error::shape("examples.x", format!("{} rows", y.n()), x.n()));
    }
    Ok(Examples { observations: Observations::new(channel, y, a)?, x })
}

impl Recipe {
    /// Checks every range and builds the channel; `bytes` is the size of the file, which no network can exceed.
    fn check(&self, bytes: usize) -> Result<Compose> {
        self.schedule.validate()?;
        self.sampler.validate("sampler")?;
        let multipliers = self.channel.0.iter().filter_map(|stage| stage.as_stage().multiplier());
        let sizes = multipliers.map(|(_, factor)| factor.saturating_mul(self.signal));
        if !(1..=MAX_VALUES).contains(&self.signal) || sizes.max().unwrap_or(0) > MAX_VALUES {
            return Err(Error::config("signal", format!("expected 1 to {MAX_VALUES} values, found more or none")));
        }
        let channel = match self.image {
            Some(shape) => self.channel.build_image(shape)?,
            None => self.channel.build(self.signal)?,
        };
        if channel.signal_len() != self.signal {
            return Err(Error::shape("signal", channel.signal_len(), self.signal));
        }
        let features = feature_len(&channel, &self.conditioning);
        self.network.validate(self.image, features)?;
        // Two bytes a weight, at least.
        if least_parameters(&self.network, self.signal + features) > bytes as u128 / 2 {
            return Err(Error::Checkpoint("the network of this recipe has more weights than the file".into()));
        }
        Ok(channel)
    }
}

/// Weights that such a network has, at least.
fn least_parameters(network: &NetworkConfig, input: usize) -> u128 {
    match network {
        NetworkConfig::Mlp(c) => {
            let (width, depth, input) = (c.width as u128, c.depth as u128, (input + c.embedding) as u128);
            width * input + width * width * (depth - 1)
        }
        NetworkConfig::Unet(c) => {
            let blocks = c.channels.iter().zip(&c.blocks);
            blocks.map(|(&c, &n)| 2 * n as u128 * 18 * (c as u128).pow(2)).sum()
        }
    }
}

impl Posterior {
    /// Posterior sampling of `observations` with `sampler`; `key` is that of [`EStep::shard`].
    pub fn e_step<'a>(
        &'a self,
        observations: &'a Observations,
        sampler: &'a SamplerConfig,
        key: Key,
    ) -> EStep<'a, AnyNetwork> {
        EStep {
            network: &self.network,
            schedule: &self.recipe.schedule,
            conditioning: Conditioning {
                channel: &self.channel,
                config: &self.recipe.conditioning,
                standardizer: &self.standardizer,
            },
            observations,
            sampler,
            key,
            device: &self.device,
        }
    }
}
