//! A signal on its way through all stages.

use super::Compose;
use super::noise::noiseless;
use crate::channel::Channel;
use smallvec::SmallVec;

/// What a stage hands to the next one. Training and scores observe millions of short signals, which need no allocation here.
type Short = SmallVec<[f32; 16]>;

impl Compose {
    /// Runs `step(stage, a, input, output)` for every stage in order, from one or more signals `x` to `y`.
    pub(super) fn forward(
        &self,
        x: &[f32],
        a: &[f32],
        y: &mut [f32],
        mut step: impl FnMut(&dyn Channel, &[f32], &[f32], &mut [f32]),
    ) {
        let (mut signal, mut a): (Option<Short>, _) = (None, a);
        for (i, stage) in self.stages.iter().enumerate() {
            let (own, rest) = a.split_at(stage.operator_len());
            a = rest;
            let from = signal.as_deref().unwrap_or(x);
            if i + 1 == self.stages.len() {
                step(stage.as_ref(), own, from, y);
            } else {
                let signals = from.len() / stage.signal_len();
                let mut next = Short::from_elem(0.0, signals * stage.observation_len());
                step(stage.as_ref(), own, from, &mut next);
                signal = Some(next);
            }
        }
    }

    /// True if no more than one stage draws numbers: then all signals may pass a stage before the next one.
    pub(super) fn draws_once(&self) -> bool {
        self.stages.iter().filter(|stage| !noiseless(stage.as_ref())).count() <= 1
    }
}
