//! The noise of a chain: its levels that are unknown, and Σ_y of a linear one.

use super::Compose;
use crate::channel::spectrum::isotropic_of;
use crate::channel::{Channel, LinearChannel, Normal, Preconditioner};

/// True for a stage without noise.
pub(super) fn noiseless(stage: &dyn Channel) -> bool {
    stage.as_linear().is_some_and(|linear| linear.is_noiseless())
}

impl Compose {
    /// The only map of the chain, with its operator, and the gain and the variance of all that follows it.
    fn only_map<'a>(&'a self, a: &'a [f32]) -> Option<(&'a dyn LinearChannel, &'a [f32], f64, f64)> {
        let stages = self.linear_stages(a);
        let ([(map, own)], after) = stages.split_at_checked(self.maps)? else { return None };
        let (gain, variance) = after.iter().fold((1.0, 0.0), |(gain, variance), (stage, own)| {
            let (more, noise) = isotropic_of(*stage, own);
            (gain * more, more * more * variance + noise)
        });
        Some((*map, own, gain, variance))
    }

    pub(super) fn normal_of<'a>(&'a self, a: &'a [f32]) -> Option<Normal<'a>> {
        let (map, own, gain, variance) = self.only_map(a)?;
        let normal = map.as_normal(own)?;
        Some(Normal { gain: gain * normal.gain, variance: gain * gain * normal.variance + variance, ..normal })
    }

    pub(super) fn preconditioner_of<'a>(&'a self, a: &'a [f32]) -> Option<Preconditioner<'a>> {
        let (map, own, gain, variance) = self.only_map(a)?;
        let inner = map.preconditioner(own)?;
        Some(Preconditioner { gain: gain * inner.gain, variance: gain * gain * inner.variance + variance, ..inner })
    }

    /// The same chain with `levels` in place of those that are unknown in its stages, one after another; `None` where there
    /// are none, or fewer or more of them.
    pub fn leveled(&self, mut levels: &[f64]) -> Option<Self> {
        if levels.is_empty() || levels.len() != self.unknown_noise() {
            return None;
        }
        let mut stages = self.stages.clone();
        for stage in &mut stages {
            let (own, rest) = levels.split_at(stage.unknown_noise());
            if let Some(leveled) = stage.with_noise(own) {
                *stage = leveled;
            }
            levels = rest;
        }
        Self::shared(stages).ok()
    }

    /// Those of the one stage whose noise is unknown, where no other stage has noise and only diagonal ones that keep what
    /// they show, such as masks, follow it.
    pub(super) fn terms(&self, clean: &[f32]) -> Vec<Vec<f64>> {
        let Some(place) = self.stages.iter().position(|stage| stage.unknown_noise() > 0) else { return Vec::new() };
        let keeps = |stage: &dyn Channel| noiseless(stage) && !stage.masks().is_empty();
        let alone = self.stages[..place].iter().all(|stage| noiseless(stage.as_ref()))
            && self.stages[place + 1..].iter().all(|stage| keeps(stage.as_ref()));
        if alone { self.stages[place].noise_terms(clean) } else { Vec::new() }
    }

    /// The diagonal of the chain's Σ_y, from products with unit vectors where noise passes a map.
    pub(super) fn diagonal_of_noise(&self, a: &[f32], out: &mut [f64]) {
        let stages = self.linear_stages(a);
        let last = stages.len() - 1;
        if stages[..last].iter().all(|(stage, _)| stage.is_noiseless()) {
            let (stage, a) = stages[last];
            return stage.write_noise_variance(a, out);
        }
        let (mut unit, mut column) = (vec![0.0f32; out.len()], vec![0.0f32; out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            unit[i] = 1.0;
            self.apply_noise(a, &unit, &mut column);
            unit[i] = 0.0;
            *out = f64::from(column[i]);
        }
    }

    /// Σ_y v of the chain: v goes back to the noise of every stage, and what that makes of it forward again.
    pub(super) fn noise_product(&self, a: &[f32], v: &[f32], out: &mut [f32]) {
        let stages = self.linear_stages(a);
        let first = stages.iter().position(|(stage, _)| !stage.is_noiseless()).unwrap_or(stages.len());
        let mut back = vec![v.to_vec()];
        for (stage, a) in stages[(first + 1).min(stages.len())..].iter().rev() {
            let mut previous = vec![0.0; stage.signal_len()];
            stage.adjoint(a, back.last().map_or(&[], Vec::as_slice), &mut previous);
            back.push(previous);
        }
        out.fill(0.0);
        let mut sum: Option<Vec<f32>> = None;
        for ((stage, a), v) in stages[first..].iter().zip(back.iter().rev()) {
            let mut noise = vec![0.0; stage.observation_len()];
            stage.apply_noise(a, v, &mut noise);
            if let Some(before) = sum {
                let mut moved = vec![0.0; noise.len()];
                stage.apply(a, &before, &mut moved);
                noise.iter_mut().zip(moved).for_each(|(noise, moved)| *noise += moved);
            }
            sum = Some(noise);
        }
        if let Some(sum) = sum {
            out.copy_from_slice(&sum);
        }
    }
}
