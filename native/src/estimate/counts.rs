//! What a training step and a network call of the sampler ask of a GPU: kernels, bytes each way, and the time of the thread
//! that asks. Steps of one and two rows are counted, and the run's own sizes are inferred from them: every count is a
//! number per step, one per micro-batch and one per row.

use super::timing::Bench;
use crate::report::units::{bytes, count};
use anyhow::Result;
use diffem::em::{MStep, MStepConfig};
use diffem::network::flatten;
use diffem::optim::OptimState;
use diffem::posterior::Row;
use diffem::transfer::counted;
use diffem::{Observations, Posterior, Samples};
use serde::Serialize;

/// Smallest number of rows of a network call.
const FEW: usize = 8;

/// Counts of one step or call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Kernels launched.
    pub launches: f64,
    /// Tensors sent to the device.
    pub uploads: f64,
    /// Their bytes, without the arguments of kernels.
    pub bytes_up: f64,
    /// Tensors read, each of which waits for the device.
    pub reads: f64,
    /// Their bytes.
    pub bytes_down: f64,
    /// Milliseconds of processor time of the thread that asks, where the system tells.
    pub host_ms: Option<f64>,
}

/// Counts of the M-step and of the E-step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PerStep {
    /// Per optimizer step of the M-step; the losses are read every 25 steps besides.
    pub m_step: Counts,
    /// Per network call of the E-step's sampler for one shard; its draws are read at the end besides.
    pub network_call: Counts,
}

impl Counts {
    fn of(device: &burn::tensor::Device, work: impl FnOnce()) -> Self {
        let before = thread_nanoseconds();
        let (after, t) = counted(device, || {
            work();
            thread_nanoseconds()
        });
        let host_ms = before.zip(after).map(|(before, after)| (after - before) as f64 * 1e-6);
        let [launches, uploads, bytes_up, reads, bytes_down] =
            [t.launches(), t.uploads, t.bytes_up, t.reads, t.bytes_down].map(|count| count as f64);
        Self { launches, uploads, bytes_up, reads, bytes_down, host_ms }
    }

    fn join(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            launches: f(self.launches, other.launches),
            uploads: f(self.uploads, other.uploads),
            bytes_up: f(self.bytes_up, other.bytes_up),
            reads: f(self.reads, other.reads),
            bytes_down: f(self.bytes_down, other.bytes_down),
            host_ms: self.host_ms.zip(other.host_ms).map(|(a, b)| f(a, b).max(0.0)),
        }
    }

    /// self + k (more - less).
    fn plus(self, k: usize, more: Self, less: Self) -> Self {
        self.join(more.join(less, |a, b| a - b), |a, b| a + k as f64 * b)
    }

    /// The counts in words.
    pub fn line(&self) -> String {
        let whole = |value: f64| count(value.max(0.0).round() as u64);
        let size = |value: f64| bytes(value.max(0.0).round() as u64);
        let host = self.host_ms.map_or(String::new(), |ms| format!(", {ms:.1} ms of the host"));
        format!(
            "{} kernels, {} uploads of {}, {} reads of {}{host}",
            whole(self.launches),
            whole(self.uploads),
            size(self.bytes_up),
            whole(self.reads),
            size(self.bytes_down)
        )
    }
}

/// Processor time of this thread so far; `None` where the system does not tell.
fn thread_nanoseconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

impl Bench<'_> {
    /// Counts one step of the M-step and one network call of the E-step; `None` on backends of the CPU.
    pub fn counts(&self) -> Result<Option<PerStep>> {
        if crate::device::Adapter::of(self.device).is_none() {
            return Ok(None);
        }
        let (x, seen, posterior) = self.subject()?;
        let m_step = self.count_step(&posterior, &x, &seen);
        Ok(Some(PerStep { m_step, network_call: self.count_call(&posterior, &seen) }))
    }

    fn count_step(&self, posterior: &Posterior, x: &Samples, seen: &Observations) -> Counts {
        let m = &self.config.m_step;
        let mut state = OptimState::new(flatten(posterior.network()));
        let mut step = |batch: usize, micro_batch: usize| {
            let config = MStepConfig { batch, micro_batch, ..m.clone() };
            let mut m_step = MStep::new(posterior, (x, seen), &config, 0, 1);
            // The first step compiles kernels.
            _ = m_step.step(&mut state, 0);
            Counts::of(self.device, || _ = m_step.step(&mut state, 1))
        };
        let [one, wide, two] = [step(1, 1), step(2, 2), step(2, 1)];
        let pieces = m.batch.div_ceil(m.micro_batch);
        one.plus(m.batch - 1, wide, one).plus(pieces - 1, two, wide)
    }

    fn count_call(&self, posterior: &Posterior, seen: &Observations) -> Counts {
        let call = |rows: usize| {
            let rows = (0..rows).map(|i| Row::of(0, i, 0)).collect();
            let draws = posterior.advance(posterior.begin(seen, rows));
            Counts::of(self.device, || _ = posterior.advance(draws))
        };
        let sampler = &self.config.e_step.sampler;
        // A sampler takes the same number of calls in each step, and one at its end.
        let calls = (sampler.calls() - 1) / sampler.steps();
        let [few, more] = [call(FEW), call(FEW + 1)];
        let step = few.plus(self.config.e_step.shard.saturating_sub(FEW), more, few);
        step.join(step, |a, _| a / calls as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_of_a_run_are_inferred_from_few_rows() {
        // 100 per step, 10 per micro-batch and 1 per row.
        let counts = |pieces: usize, rows: usize| {
            let n = (100 + 10 * pieces + rows) as f64;
            Counts { launches: n, uploads: n, bytes_up: n, reads: n, bytes_down: n, host_ms: Some(n) }
        };
        let [one, wide, two] = [counts(1, 1), counts(1, 2), counts(2, 2)];
        assert_eq!(one.plus(63, wide, one).plus(15, two, wide), counts(16, 64));
    }
}
