//! Measures how long a training step and a reconstruction take. Real ones are timed with the network, channel
//! and device of the run, on signals of pure noise. If one takes too long, a part of it is timed and the rest
//! is extrapolated.

use crate::config::Config;
use anyhow::Result;
use burn::tensor::Device;
use diffem::channel::{Channel, Compose};
use diffem::em::{MStep, MStepConfig};
use diffem::network::flatten;
use diffem::noise::{Key, Purpose};
use diffem::optim::OptimState;
use diffem::posterior::Model;
use diffem::{Observations, Posterior, Samples};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// How many times the patience a part may take before nothing larger is timed.
const MAX_PATIENCE: f64 = 4.0;
/// Number of signals to train on.
const SIGNALS: usize = 512;
/// Number of network calls of the samplers that are timed first.
const FEW_CALLS: usize = 4;

/// Measured times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Speed {
    /// Time per optimizer step of the M-step.
    pub step: f64,
    /// Time per observation of the E-step, with all its network calls.
    pub observation: f64,
}

/// The parts of a run that the timing needs.
pub struct Bench<'a> {
    pub config: &'a Config,
    pub channel: Arc<Compose>,
    pub device: &'a Device,
    /// Minimum number of seconds over which repetitions are averaged.
    pub patience: f64,
}

impl Bench<'_> {
    /// Times both halves of a lap.
    pub fn speed(&self) -> Result<Speed> {
        let workers = rayon::current_num_threads();
        let m = &self.config.m_step;
        let (x, seen, posterior) = self.subject()?;
        let mut state = OptimState::new(flatten(posterior.network()));
        let mut step = |batch: usize, piece: usize| -> Result<f64> {
            let config = MStepConfig { batch, micro_batch: piece, ..m.clone() };
            let mut m_step = MStep::new(&posterior, (&x, &seen), &config, 0, 1);
            self.repeated(|i| Ok(_ = m_step.step(&mut state, i).into_scalar::<f32>()))
        };
        let most = MAX_PATIENCE * self.patience;
        let step = step_seconds(m.batch, m.micro_batch, (workers, most), &mut step)?;
        let (shard, calls) = (self.config.e_step.shard, self.config.e_step.sampler.calls());
        let mut draw = |size: usize, calls: usize| self.draw(&posterior, size, workers, calls);
        let observation = shard_seconds(shard, calls, most, &mut draw)? / (shard * workers) as f64;
        Ok(Speed { step, observation })
    }

    /// Signals, their observations and the run's posterior.
    pub fn subject(&self) -> Result<(Samples, Observations, Posterior)> {
        let x = noise(SIGNALS, self.channel.signal_len());
        let seen = Observations::observe(self.channel.as_ref(), &x, 0);
        let posterior = self.posterior(&x)?;
        Ok((x, seen, posterior))
    }

    /// The run's posterior before any training, in the coordinates that the run would derive from `x`.
    fn posterior(&self, x: &Samples) -> Result<Posterior> {
        let model = self.config.model(self.channel.clone());
        let network = model.build_network(self.config.seed, self.device)?;
        let standardizer = model.conditioning.standardizer(self.channel.as_ref(), x);
        Ok(Posterior::new(model, network, standardizer, self.device.clone()))
    }

    /// Seconds for one shard of `size` observations per worker. A sampler of at most `calls` network calls is
    /// timed, and the result is scaled to `calls`.
    fn draw(&self, posterior: &Posterior, size: usize, workers: usize, calls: usize) -> Result<f64> {
        let x = noise(size * workers, self.channel.signal_len());
        let observations = Observations::observe(self.channel.as_ref(), &x, 0);
        let sampler = self.config.e_step.sampler.with_calls(calls);
        let model = Model { sampler: sampler.clone(), shard: size, ..posterior.model().clone() };
        let (network, standardizer) = (posterior.network().clone(), posterior.standardizer().clone());
        let posterior = Posterior::new(model, network, standardizer, self.device.clone());
        let seconds = self.repeated(|_| Ok(_ = posterior.sample(&observations, 1)?))?;
        Ok(seconds * calls as f64 / sampler.calls() as f64)
    }

    /// Mean seconds of `work(i)`, repeated until the patience is at its end.
    fn repeated(&self, mut work: impl FnMut(usize) -> Result<()>) -> Result<f64> {
        let begun = Instant::now();
        for i in 0.. {
            work(i)?;
            let seconds = begun.elapsed().as_secs_f64();
            if seconds >= self.patience {
                return Ok(seconds / (i + 1) as f64);
            }
        }
        Ok(0.0)
    }
}

/// Standard normal signals `[n, d]`.
fn noise(n: usize, d: usize) -> Samples {
    let mut x = Samples::zeros(n, d);
    (0..n).for_each(|i| Key::new(0, Purpose::Truth, 0).stream(i, 0).fill_normal(x.row_mut(i)));
    x
}

/// Seconds per step of `batch` rows in pieces of `piece` rows, one piece per worker at a time. The function
/// `time(batch, piece)` times steps; it is called with larger and larger pieces, up to `most` seconds.
fn step_seconds(
    batch: usize,
    piece: usize,
    (workers, most): (usize, f64),
    time: &mut dyn FnMut(usize, usize) -> Result<f64>,
) -> Result<f64> {
    let piece = piece.min(batch);
    let pieces = batch.div_ceil(piece);
    let at_once = workers.min(pieces);
    // The first call is slower than the others and is not counted.
    time(at_once, 1)?;
    let mut rows = 1;
    let seconds = loop {
        let seconds = time(at_once * rows, rows)?;
        if rows == piece || 2.0 * seconds > most {
            break seconds;
        }
        rows = (4 * rows).min(piece);
    };
    let whole = seconds * piece as f64 / rows as f64 * pieces.div_ceil(at_once) as f64;
    if rows == piece && pieces > at_once && whole < most { time(batch, piece) } else { Ok(whole) }
}

/// Seconds for one shard of `shard` observations per worker with `calls` network calls. `time(shard, calls)`
/// times shards; it is called with larger and larger shards, up to `most` seconds, and with few calls first.
fn shard_seconds(
    shard: usize,
    calls: usize,
    most: f64,
    time: &mut dyn FnMut(usize, usize) -> Result<f64>,
) -> Result<f64> {
    let few = calls.min(FEW_CALLS);
    // Network calls of fewer rows are padded to this number.
    let mut rows = shard.min(8);
    time(rows, few)?;
    let seconds = loop {
        let seconds = time(rows, few)?;
        if rows == shard || 2.0 * seconds > most {
            break seconds;
        }
        rows = (4 * rows).min(shard);
    };
    let whole = seconds * shard as f64 / rows as f64 * calls as f64 / few as f64;
    if rows == shard && whole < most { time(shard, calls) } else { Ok(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times a step with two workers that take `row` seconds per row.
    fn step(row: f64, tried: &mut Vec<(usize, usize)>) -> f64 {
        let mut time = |batch: usize, piece: usize| {
            tried.push((batch, piece));
            let pieces = batch.div_ceil(piece);
            Ok(row * piece.min(batch) as f64 * pieces.div_ceil(2) as f64)
        };
        step_seconds(256, 16, (2, 2.0), &mut time).unwrap()
    }

    /// A blur is diagonal in the cosine basis, so the diagonal update must be timed, not a dense one or none.
    #[test]
    fn a_blur_is_timed_with_its_own_update() {
        let settings = [
            r#"data={kind="file",path="x",shape={channels=1,height=8,width=8}}"#,
            r#"channel=[{kind="blur",sigma=1.0},{kind="noise",std=0.1}]"#,
        ];
        let config = crate::config::load("digits", &settings.map(String::from)).unwrap();
        let (channel, device) = (Arc::new(config.build_channel().unwrap()), Device::flex());
        let bench = Bench { config: &config, channel, device: &device, patience: 0.5 };
        let posterior = bench.posterior(&noise(64, 64)).unwrap();
        let conditioning = posterior.model().conditioned(posterior.standardizer());
        assert!(conditioning.basis().is_some() && conditioning.power().is_some());
    }

    #[test]
    fn a_fast_step_is_timed_whole() {
        let mut tried = Vec::new();
        let seconds = step(0.01, &mut tried);
        assert!((seconds - 1.28).abs() < 1e-9, "{seconds}");
        assert_eq!(tried, [(2, 1), (2, 1), (8, 4), (32, 16), (256, 16)]);
    }

    #[test]
    fn a_slow_step_is_inferred_from_a_part() {
        let mut tried = Vec::new();
        let seconds = step(1.0, &mut tried);
        assert!((seconds - 128.0).abs() < 1e-9, "{seconds}");
        assert_eq!(tried, [(2, 1), (2, 1), (8, 4)]);
    }

    #[test]
    fn a_batch_of_one_piece_keeps_one_worker() {
        let seconds = step_seconds(5, 16, (2, 2.0), &mut |batch, piece| Ok((batch * piece) as f64 * 1e-3)).unwrap();
        assert!((seconds - 0.025).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn a_shard_is_timed_whole_or_inferred() {
        let mut tried = Vec::new();
        let mut time = |rows: usize, calls: usize| {
            tried.push((rows, calls));
            Ok((rows * calls) as f64 * 1e-3)
        };
        assert!((shard_seconds(32, 25, 2.0, &mut time).unwrap() - 0.8).abs() < 1e-9);
        assert!((shard_seconds(32, 1000, 2.0, &mut time).unwrap() - 32.0).abs() < 1e-9);
        assert_eq!(tried, [(8, 4), (8, 4), (32, 4), (32, 25), (8, 4), (8, 4), (32, 4)]);
    }
}
