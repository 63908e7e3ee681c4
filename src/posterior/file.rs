//! A trained posterior in one file: the weights used for sampling, everything needed to use them, and a few
//! observations to try.
//!
//! The file is safetensors (see [`crate::checkpoint`]): the network's tensors under their own names,
//! `examples.y [n, m]`, `examples.a [n, k]` where the channel has parameters, `examples.x [n, d]` where the
//! truth is known, and a [`Recipe`] as JSON. A file need not be trusted: any inconsistency is an [`Error`],
//! before much memory is allocated.

use super::model::Model;
use super::trained::Posterior;
use crate::channel::{Channel, ChannelConfig, Compose};
use crate::checkpoint::{self, Arrays, Precision, StandardizerMeta, join_weights, split_weights, take};
use crate::conditioning::ConditioningConfig;
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::method::Method;
use crate::network::{Layout, NetworkConfig, NetworkSpec, flatten, from_host, to_host, unflatten};
use crate::observations::Observations;
use crate::sampler::SamplerConfig;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::Device;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Kind of content, as [`checkpoint::encode`] takes it.
const CONTENT: &str = "bundle";
/// Prefix of the arrays that are not the network's.
const EXAMPLES: &str = "examples.";
/// Maximum number of values in a signal, an observation or an operator; this keeps products of sizes from
/// overflowing.
const MAX_VALUES: usize = 1 << 24;
/// Number of draws that a worker takes at a time, for posteriors read from a file.
const SHARD: usize = 256;

/// Everything that a posterior consists of, except numerical arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe<S = NetworkConfig> {
    /// Name of the run.
    pub name: String,
    /// Lap whose posterior this is, from 1.
    pub lap: usize,
    /// Length d of a signal.
    pub signal: usize,
    /// Shape of the signals, if they are images.
    pub image: Option<ImageShape>,
    /// The channel.
    pub channel: ChannelConfig,
    /// Noise levels.
    pub schedule: Schedule,
    /// How observations enter the denoiser.
    pub conditioning: ConditioningConfig,
    /// How the posterior was learned.
    pub method: Method,
    /// The network.
    pub network: S,
    /// The run's sampler.
    pub sampler: SamplerConfig,
}

/// Observations that are stored with a posterior.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// y and a; there may be none.
    pub observations: Observations,
    /// The signals behind the observations, where they are known.
    pub x: Option<Samples>,
}

/// What a file stores beside the posterior itself.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// Lap whose posterior this is, from 1.
    pub lap: usize,
    /// The channel's settings, from which it is built again.
    pub channel: &'a ChannelConfig,
    /// Observations to try.
    pub examples: &'a Examples,
    /// Precision in which the weights are stored.
    pub precision: Precision,
}

/// A posterior read from a file, with everything stored beside it.
pub struct Bundle<S: NetworkSpec = NetworkConfig> {
    /// Everything that the posterior was built from, except numerical arrays.
    pub recipe: Recipe<S>,
    /// The posterior, ready to sample.
    pub posterior: Posterior<S>,
    /// Observations to try.
    pub examples: Examples,
    /// Number of weights.
    pub parameters: usize,
}

#[derive(Serialize, Deserialize)]
struct Meta<S> {
    recipe: Recipe<S>,
    standardizer: StandardizerMeta,
}

impl<S: NetworkSpec + Serialize> Posterior<S> {
    /// Encodes the posterior as the bytes of a file that [`Posterior::open`] and the browser read.
    ///
    /// # Errors
    /// A weight that the precision cannot hold; a device that fails.
    pub fn encode(&self, export: &Export<'_>) -> Result<Vec<u8>> {
        let mut arrays = split_weights(&Layout::of(&self.network), &to_host(&flatten(&self.network))?);
        let table = |name: &str, s: &Samples| (format!("{EXAMPLES}{name}"), vec![s.n(), s.d()], s.as_slice().to_vec());
        let Observations { y, a } = &export.examples.observations;
        arrays.push(table("y", y));
        arrays.extend(a.iter().map(|a| table("a", a)));
        arrays.extend(export.examples.x.iter().map(|x| table("x", x)));
        let Model { image, schedule, conditioning, method, network, sampler, .. } = self.model.clone();
        let recipe = Recipe {
            name: export.name.to_string(),
            lap: export.lap,
            signal: self.model.channel.signal_len(),
            image,
            channel: export.channel.clone(),
            schedule,
            conditioning,
            method,
            network,
            sampler,
        };
        let meta = Meta { recipe, standardizer: StandardizerMeta::of(&self.standardizer) };
        let of = |name: &str| if name.starts_with(EXAMPLES) { Precision::F32 } else { export.precision };
        checkpoint::encode_with(CONTENT, &arrays, &meta, &of)
    }
}

impl<S: NetworkSpec + DeserializeOwned> Posterior<S> {
    /// Reads a posterior on `device`; [`Bundle::open`] also returns what is stored beside it.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn open(bytes: &[u8], device: &Device) -> Result<Self> {
        Ok(Bundle::open(bytes, device)?.posterior)
    }
}

impl<S: NetworkSpec + DeserializeOwned> Bundle<S> {
    /// Reads the bytes that [`Posterior::encode`] wrote.
    ///
    /// # Errors
    /// Bytes that are not a complete file of this version; a recipe outside its ranges; tensors that do not
    /// fit it.
    pub fn open(bytes: &[u8], device: &Device) -> Result<Self> {
        let (arrays, Meta { recipe, standardizer }) = checkpoint::decode::<Meta<S>>(CONTENT, bytes)?;
        recipe.sampler.validate("sampler")?;
        let channel = Arc::new(recipe.channel()?);
        let model = recipe.model(channel.clone());
        model.validate()?;
        // A file has at least two bytes per weight.
        if model.network.min_parameters(&model.shape()) > bytes.len() as u128 / 2 {
            return Err(Error::Checkpoint("the network of this recipe has more weights than the file".into()));
        }
        let (examples, weights): (Arrays, Arrays) =
            arrays.into_iter().partition(|(name, _, _)| name.starts_with(EXAMPLES));
        let initial = model.build_network(0, device)?;
        let layout = Layout::of(&initial);
        let weights = join_weights(&layout, weights)?;
        if weights.iter().any(|w| !w.is_finite()) {
            return Err(Error::Checkpoint("a weight is NaN or infinite".into()));
        }
        let network = unflatten(initial, &from_host(weights, device));
        let standardizer = standardizer.standardizer(recipe.signal)?;
        Ok(Self {
            posterior: Posterior::new(model, network, standardizer, device.clone()),
            examples: read_examples(examples, &channel)?,
            parameters: layout.len(),
            recipe,
        })
    }
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

impl<S: NetworkSpec> Recipe<S> {
    /// Builds the channel after checking its sizes.
    fn channel(&self) -> Result<Compose> {
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
        Ok(channel)
    }

    fn model(&self, channel: Arc<Compose>) -> Model<S> {
        Model {
            channel,
            image: self.image,
            schedule: self.schedule.clone(),
            conditioning: self.conditioning.clone(),
            method: self.method.clone(),
            network: self.network.clone(),
            sampler: self.sampler.clone(),
            shard: SHARD,
        }
    }
}
