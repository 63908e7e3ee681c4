//! How long a run takes on several ranks, by a model of their work and their messages.
//!
//! A rank computes as fast as this machine does with the same threads and device. A step lasts as long as the largest share
//! of its micro-batches, an E-step as long as the largest share of the shards. Per step, a rank sends a slice of each of its
//! gradients to every other rank, and the sum of its own slice; it packs, receives and adds them in memory, and on a GPU
//! they pass between device and host. Messages do not overlap with computation. The start, the optimizer's update (which
//! every rank takes), the held-out comparison and files are not counted.

use super::{Estimate, Half, VALUE};
use crate::config::Config;
use crate::report::units::{bytes, duration};
use serde::Serialize;

/// Seconds until a message arrives.
const LATENCY: f64 = 5e-6;
/// Bytes per second that a rank sends while it receives as many: a network of 100 Gbit/s per rank.
const NETWORK: f64 = 10e9;
/// Bytes per second that a rank copies or adds.
const MEMORY: f64 = 5e9;
/// Bytes per second between a GPU and its host.
const BUS: f64 = 20e9;

/// The prediction for a number of ranks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnRanks {
    pub ranks: usize,
    pub m_step_seconds: f64,
    pub e_step_seconds: Option<f64>,
    /// Seconds of both halves that are communication.
    pub communication_seconds: f64,
    pub seconds_per_lap: Option<f64>,
    /// Time of one rank divided by that of all ranks together.
    pub efficiency: Option<f64>,
    /// Bytes that a rank sends per optimizer step.
    pub bytes_per_step: f64,
    /// Largest number of micro-batches per rank and step.
    pub micro_batches: usize,
    /// Number of ranks without a micro-batch.
    pub idle: usize,
}

/// The estimate together with its predictions.
#[derive(Serialize)]
pub struct WithRanks<'e> {
    #[serde(flatten)]
    estimate: &'e Estimate,
    ranks: Vec<OnRanks>,
}

/// What of a configuration the model goes by.
struct Work {
    parameters: f64,
    steps: f64,
    pieces: usize,
    shards: usize,
    /// Bytes of all reconstructions.
    table: f64,
    /// Number of micro-batches or shards that a rank computes at once.
    workers: usize,
    on_gpu: bool,
}

impl<'e> WithRanks<'e> {
    /// Adds predictions for each of `counts` ranks to `estimate` of `config`.
    pub fn new(estimate: &'e Estimate, config: &Config, counts: &[usize]) -> Self {
        let n = estimate.observations.unwrap_or(0);
        let on_gpu = !["flex", "ndarray"].contains(&estimate.device.as_str());
        let work = Work {
            parameters: estimate.parameters as f64,
            steps: config.m_step.steps as f64,
            pieces: config.m_step.batch.div_ceil(config.m_step.micro_batch),
            shards: n.div_ceil(config.e_step.shard),
            table: (n * config.signal_len()) as f64 * VALUE as f64,
            workers: if on_gpu { 1 } else { estimate.workers },
            on_gpu,
        };
        let predicted = counts.iter().map(|&count| work.on(count, &estimate.m_step, estimate.e_step.as_ref()));
        Self { estimate, ranks: predicted.collect() }
    }

    /// The predictions as a table to read.
    pub fn table(&self) -> String {
        let lines: String = self.ranks.iter().map(|on| format!("  {:8} {}\n", on.ranks, on.line())).collect();
        format!(
            "On several ranks, each like this machine, by a model with {:.0} GB/s and {:.0} us between ranks:\n{lines}",
            NETWORK * 1e-9,
            LATENCY * 1e6
        )
    }
}

impl OnRanks {
    fn line(&self) -> String {
        let time = self.seconds_per_lap.map_or(format!("M-step {}", duration(self.m_step_seconds)), |lap| {
            let share = 100.0 * self.communication_seconds / lap;
            let efficiency = 100.0 * self.efficiency.unwrap_or(0.0);
            format!("{} per lap, efficiency {efficiency:.0} %, communication {share:.0} %", duration(lap))
        });
        let idle = if self.idle > 0 { format!("; {} ranks have no micro-batch", self.idle) } else { String::new() };
        format!("{time}; {} per step and rank{idle}", bytes(self.bytes_per_step as u64))
    }
}

impl Work {
    /// Predicts the M-step and the E-step on `ranks` ranks, where they are known on one.
    fn on(&self, ranks: usize, m_step: &Half, e_step: Option<&Half>) -> OnRanks {
        let others = (ranks - 1) as f64 / ranks as f64;
        let most = self.pieces.div_ceil(ranks);
        let gradient = self.parameters * VALUE as f64;
        let bytes_per_step = (most as f64 + 1.0) * gradient * others;
        let in_memory = if ranks > 1 { 3.0 * most as f64 * gradient / MEMORY } else { 0.0 };
        let bus = if ranks > 1 && self.on_gpu { (most as f64 + 1.0) * gradient / BUS } else { 0.0 };
        let messages = 2.0 * LATENCY * (ranks - 1) as f64;
        let in_m_step = self.steps * (bytes_per_step / NETWORK + in_memory + bus + messages);
        let m_step_seconds = m_step.seconds * self.share(self.pieces, ranks) + in_m_step;
        let in_e_step = if ranks > 1 { self.table * others / NETWORK + self.table / MEMORY } else { 0.0 };
        let e_step_seconds = e_step.map(|half| half.seconds * self.share(self.shards, ranks) + in_e_step);
        let lap = e_step_seconds.map(|e_step| m_step_seconds + e_step);
        let alone = e_step.map(|half| m_step.seconds + half.seconds);
        OnRanks {
            ranks,
            m_step_seconds,
            e_step_seconds,
            communication_seconds: in_m_step + in_e_step,
            seconds_per_lap: lap,
            efficiency: alone.zip(lap).map(|(alone, lap)| alone / (ranks as f64 * lap)),
            bytes_per_step,
            micro_batches: most,
            idle: ranks.saturating_sub(self.pieces),
        }
    }

    /// The part of the time of one rank that the largest share of `things` takes, some of which are worked on at once.
    fn share(&self, things: usize, ranks: usize) -> f64 {
        let rounds = |things: usize| things.div_ceil(self.workers).max(1) as f64;
        rounds(things.div_ceil(ranks)) / rounds(things)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(seconds: f64) -> Half {
        Half { network_calls: 0, flop: 0.0, seconds }
    }

    #[test]
    fn ranks_share_the_work_and_pay_for_their_messages() {
        let work = Work { parameters: 1e6, steps: 100.0, pieces: 8, shards: 64, table: 0.0, workers: 2, on_gpu: false };
        let on = |ranks| work.on(ranks, &half(80.0), Some(&half(20.0)));
        assert_eq!((on(1).seconds_per_lap, on(1).efficiency), (Some(100.0), Some(1.0)));
        // Two of two workers' micro-batches per rank and step: a quarter of the time.
        let four = on(4);
        // Three gradients of 4 MB per step, three quarters of each to others, and six passes through memory.
        let communication = 100.0 * (9e6 / NETWORK + 3.0 * 2.0 * 4e6 / MEMORY + 6.0 * LATENCY);
        assert!((four.communication_seconds - communication).abs() < 1e-9, "{four:?}");
        assert!((four.m_step_seconds - 20.0 - communication).abs() < 1e-9 && four.e_step_seconds == Some(5.0));
        // Ranks beyond the micro-batches help only in the E-step.
        let many = on(16);
        assert_eq!((many.idle, many.micro_batches), (8, 1));
        assert!(many.m_step_seconds > 20.0 && many.e_step_seconds == Some(20.0 / 16.0));
    }
}
