//! Estimates the cost of a run before it starts: parameters, operations, memory, disk space and time.

mod counts;
mod draws;
pub mod enough;
pub mod found;
mod operator;
pub mod passes;
pub mod ranks;
mod timing;

use crate::config::Config;
use crate::data::mapped::LARGE;
use crate::report::units::{bytes, count, duration, operations};
use anyhow::Result;
use burn::tensor::Device;
use counts::PerStep;
use diffem::channel::{Channel, Compose};
use diffem::network::Cost;
use diffem::sampler::SamplerConfig;
use serde::Serialize;
use std::sync::Arc;
use timing::{Bench, Speed};

/// Bytes per number.
const VALUE: u64 = size_of::<f32>() as u64;
/// Copies of the parameters in memory during training: the network's, the step's, the weights, their average
/// and the two moments.
const COPIES: u64 = 6;
/// Copies of the parameters on disk per lap: the model, the average, and a state with the weights, their
/// average and the two moments.
const COPIES_ON_DISK: u64 = 6;

/// Seconds of training above which the estimate says how to shorten it.
const LONG: f64 = 7200.0;

/// Estimated cost of a run. Fields that depend on the number of observations are `None` if it is unknown.
#[derive(Debug, Serialize)]
pub struct Estimate {
    pub name: String,
    pub device: String,
    pub workers: usize,
    pub laps: usize,
    /// Number n of observations.
    pub observations: Option<usize>,
    /// Why n is unknown.
    pub unknown: Option<String>,
    pub parameters: u64,
    /// Floating-point operations per network call for one signal.
    pub flop_per_call: u64,
    pub m_step: Half,
    pub e_step: Option<Half>,
    /// How observations update the network's estimates.
    pub update: String,
    /// The E-step's sampler.
    pub sampler: String,
    /// Shares of the variance that its draws keep, see `SamplerConfig::variance_shares`: smallest and largest.
    pub variance_share: [f64; 2],
    /// What would keep them, where these do not.
    pub sampler_advice: Option<String>,
    pub memory_bytes: Memory,
    /// Size of the files of a finished lap.
    pub disk_bytes_per_lap: Option<u64>,
    /// Kernels and bytes per step; `None` on the CPU, or where they were not asked for.
    pub counts: Option<PerStep>,
    /// Measured times per optimizer step and per observation with all its network calls.
    pub measured_seconds: Speed,
    pub seconds_per_lap: Option<f64>,
    /// Time of all laps, without start, held-out comparison and figures.
    pub seconds: Option<f64>,
}

/// One half of a lap.
#[derive(Debug, Serialize)]
pub struct Half {
    /// Network calls, each for one signal; those of training steps include a backward pass.
    pub network_calls: u64,
    /// Number of floating-point operations.
    pub flop: f64,
    pub seconds: f64,
}

/// Approximate size of the arrays in memory at the peak of an M-step, without program and figures.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Weights, their average, and the optimizer's moments.
    pub weights: u64,
    /// Gradients of the micro-batches of a step.
    pub gradients: u64,
    /// Activations that concurrent micro-batches keep for their backward passes.
    pub activations: u64,
    /// Observations, truth and reconstructions, except tables of 64 MB or more, which are in mapped files.
    pub data: Option<u64>,
    pub total: u64,
}

impl Estimate {
    /// Estimates a run of `config` on `device` and times a few steps for it, each for `patience` seconds.
    /// What they ask of a GPU is counted if `counting`. `observations` is their number, or the error that says why it is
    /// unknown.
    pub fn make(
        config: &Config,
        device: &Device,
        name: String,
        observations: Result<usize>,
        (patience, counting): (f64, bool),
    ) -> Result<Self> {
        let channel = Arc::new(config.build_channel()?);
        let shape = config.model(channel.clone()).shape();
        let (d, cost) = (shape.signal, config.network.cost(shape.signal, shape.image, shape.features)?);
        let bench = Bench { config, channel: channel.clone(), device, patience };
        let speed = bench.speed()?;
        let counts = if counting { bench.counts()? } else { None };
        let (n, unknown) = match observations {
            Ok(n) => (Some(n), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let m_step = m_step(config, &cost, speed);
        let e_step = n.map(|n| e_step(config, &cost, speed, n));
        let lap = e_step.as_ref().map(|e| m_step.seconds + e.seconds);
        let sampler = &config.e_step.sampler;
        let shares = sampler.variance_shares(&config.schedule, device)?;
        Ok(Self {
            name: config.name.clone(),
            device: name,
            workers: rayon::current_num_threads(),
            laps: config.em.laps,
            observations: n,
            unknown,
            parameters: cost.parameters,
            flop_per_call: cost.flops,
            m_step,
            e_step,
            update: operator::describe(config, channel.as_ref()),
            sampler_advice: draws::advice(sampler, &shares, &config.schedule, device)?,
            sampler: format!("{}, {} steps", kind(sampler)?, sampler.steps()),
            variance_share: [
                shares.iter().copied().fold(f64::MAX, f64::min),
                shares.iter().copied().fold(0.0, f64::max),
            ],
            memory_bytes: memory(config, &channel, &cost, n),
            disk_bytes_per_lap: n.map(|n| VALUE * (2 * (n * d) as u64 + COPIES_ON_DISK * cost.parameters)),
            counts,
            measured_seconds: speed,
            seconds_per_lap: lap,
            seconds: lap.map(|lap| lap * config.em.laps as f64),
        })
    }

    /// The estimate as a table to read.
    pub fn table(&self) -> String {
        let lines = [
            ("data", self.observations.map_or("-".into(), |n| format!("{} observations", count(n as u64)))),
            ("network", self.network_line()),
            ("update", self.update.clone()),
            ("M-step", half(&self.m_step)),
            ("E-step", self.e_step.as_ref().map_or("-".into(), half)),
            ("draws", self.draws_line()),
            ("memory", self.memory_line()),
            ("disk", self.disk_bytes_per_lap.map_or("-".into(), |n| format!("{} per lap", bytes(n)))),
            ("time", self.time_line()),
        ];
        let counted = self.counts.iter().flat_map(|counts| {
            [("step", counts.m_step.line()), ("call", format!("{} (sampler, per shard)", counts.network_call.line()))]
        });
        let lines: String =
            lines.into_iter().chain(counted).map(|(name, text)| format!("  {name:8} {text}\n")).collect();
        let unknown = self
            .unknown
            .iter()
            .map(|why| format!("The number of observations is unknown, and what depends on it is left out: {why}\n"));
        let advice = self.shorter().map_or(String::new(), |advice| format!("{advice}\n"));
        let head = format!("{} on {}, {} workers; nothing is written\n", self.name, self.device, self.workers);
        [head, lines, advice, unknown.collect()].concat()
    }

    /// How to shorten a run that takes hours, by the half of a lap that takes most of it.
    fn shorter(&self) -> Option<String> {
        let all = self.seconds.filter(|seconds| *seconds > LONG)?;
        let e_step = self.e_step.as_ref().map_or(0.0, |half| half.seconds);
        let levers = match e_step > self.m_step.seconds {
            true => format!(
                "the reconstructions take most of it ({}): lower e_step.sampler.steps (dpmpp2m-sde does with 24), or data.n",
                self.sampler
            ),
            false => "the training steps take most of it: lower m_step.steps or m_step.batch".into(),
        };
        Some(format!(
            "{} is long: {levers}; a network with fewer channels (network.channels) or larger patches, smaller images and \
             fewer laps (em.laps) shorten both halves",
            duration(all)
        ))
    }

    fn network_line(&self) -> String {
        format!("{} parameters; {} per call", count(self.parameters), operations(self.flop_per_call as f64))
    }

    fn draws_line(&self) -> String {
        let [least, most] = self.variance_share.map(|share| format!("{:.0}", 100.0 * share));
        let range = if least == most { least } else { format!("{least} to {most}") };
        let advice = self.sampler_advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
        format!("{} keep {range} % of the posterior's variance{advice}", self.sampler)
    }

    fn memory_line(&self) -> String {
        let m = &self.memory_bytes;
        let data = m.data.map_or("data not counted".into(), |data| format!("data {}", bytes(data)));
        format!(
            "about {} of arrays: weights and optimizer {}, gradients {}, activations {}, {data}",
            bytes(m.total),
            bytes(m.weights),
            bytes(m.gradients),
            bytes(m.activations)
        )
    }

    fn time_line(&self) -> String {
        let Speed { step, observation } = self.measured_seconds;
        let measured = format!("{} per step, {} per observation (measured)", duration(step), duration(observation));
        match (self.seconds_per_lap, self.seconds) {
            (Some(lap), Some(all)) => {
                format!("{measured}; {} per lap, {} for {} laps", duration(lap), duration(all), self.laps)
            }
            _ => measured,
        }
    }
}

/// The sampler's name in configuration files.
fn kind(sampler: &SamplerConfig) -> Result<String> {
    Ok(serde_json::to_value(sampler)?["kind"].as_str().unwrap_or_default().to_string())
}

fn half(half: &Half) -> String {
    format!(
        "{} network calls, {}, {} per lap",
        count(half.network_calls),
        operations(half.flop),
        duration(half.seconds)
    )
}

fn m_step(config: &Config, cost: &Cost, speed: Speed) -> Half {
    let m = &config.m_step;
    let network_calls = (m.steps * m.batch) as u64;
    Half { network_calls, flop: 3.0 * network_calls as f64 * cost.flops as f64, seconds: m.steps as f64 * speed.step }
}

fn e_step(config: &Config, cost: &Cost, speed: Speed, n: usize) -> Half {
    // From the second lap on, an over-relaxed E-step calls two networks.
    let networks = if config.method.relaxation() > 1.0 { 2 } else { 1 };
    let network_calls = (networks * n * config.e_step.sampler.calls()) as u64;
    Half {
        network_calls,
        flop: network_calls as f64 * cost.flops as f64,
        seconds: (networks * n) as f64 * speed.observation,
    }
}

fn memory(config: &Config, channel: &Compose, cost: &Cost, n: Option<usize>) -> Memory {
    let m = &config.m_step;
    let piece = m.micro_batch.min(m.batch);
    let pieces = m.batch.div_ceil(piece);
    let at_once = rayon::current_num_threads().min(pieces) as u64;
    let weights = COPIES * VALUE * cost.parameters;
    // The gradients of finished pieces wait for the others, and a gradient in computation is held twice.
    let gradients = VALUE * cost.parameters * (pieces as u64 + at_once);
    let activations = VALUE * at_once * piece as u64 * cost.kept_by(m.gradient_checkpointing);
    let table = |width: usize| {
        let bytes = VALUE * n.unwrap_or(0) as u64 * width as u64;
        if bytes < LARGE { bytes } else { 0 }
    };
    // Three tables of signals (truth, reconstructions, training data) and the observations.
    let (m, k) = (channel.observation_len(), channel.operator_len());
    let data = n.map(|_| 3 * table(config.signal_len()) + table(m) + table(k));
    let total = weights + gradients + activations + data.unwrap_or(0);
    Memory { weights, gradients, activations, data, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_presets_have_the_published_numbers_of_parameters() {
        for (preset, parameters) in [("cifar10-mask75", 57_557_379), ("celeba-mask75", 77_627_651)] {
            let config = crate::config::load(preset, &[]).unwrap();
            let features = config.model(Arc::new(config.build_channel().unwrap())).shape().features;
            let cost = config.network.cost(config.signal_len(), config.image_shape(), features).unwrap();
            assert_eq!(cost.parameters, parameters, "{preset}");
        }
    }

    /// A batch of four pieces on any number of workers. Only the data grow with n.
    #[test]
    fn memory_is_the_sum_of_its_parts() {
        let config = crate::config::load("fashion-mask75", &["m_step.micro_batch=16".into()]).unwrap();
        let channel = config.build_channel().unwrap();
        let cost = Cost { parameters: 1000, kept: 50, ..Default::default() };
        let m = memory(&config, &channel, &cost, Some(10));
        let at_once = rayon::current_num_threads().min(4) as u64;
        assert_eq!((m.weights, m.gradients), (24_000, 4000 * (4 + at_once)));
        assert_eq!((m.activations, m.data), (4 * at_once * 16 * 50, Some(4 * 10 * (3 * 784 + 2 * 784))));
        assert_eq!(m.total, m.weights + m.gradients + m.activations + m.data.unwrap());
        let large = memory(&config, &channel, &cost, Some(1 << 20));
        assert_eq!(large.data, Some(0));
        let without = memory(&config, &channel, &cost, None);
        assert_eq!(without.total, m.total - m.data.unwrap());
    }
}
