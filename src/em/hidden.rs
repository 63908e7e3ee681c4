//! Judges a posterior without clean data by values that it is not shown.
//!
//! For channels of masks, some of the measured values of each held-out observation are hidden, the rest is
//! reconstructed, and the draws are compared with what was hidden:
//!
//! ```text
//! ES = mean over i of  E|y' - y_i| - ½ E|y' - y''|   over the hidden values,   y' ~ Q(. | x, a_i), x ~ q(. | what is left)
//! ```
//!
//! It is the energy score of the posterior itself (Gneiting & Raftery 2007), smallest for the true posterior,
//! with a few more missing values than in training. The energy score of the reconstructions, which serves all
//! channels, compares them with single observations and hardly sees what a picture looks like as a whole.

use crate::channel::{Channel, is_mask, write_seen};
use crate::error::Result;
use crate::metric::energy_score;
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;

/// Fraction of the measured values that are hidden.
const HIDDEN: f64 = 0.1;
/// Maximum number of observations that are judged.
const OBSERVATIONS: usize = 256;
/// Draws per observation.
const DRAWS: usize = 8;

/// Returns that many draws of the posterior for each of the observations, `[n · draws, d]`.
pub(super) type Sample<'a> = dyn Fn(&Observations, usize) -> Result<Samples> + 'a;

/// Held-out observations with hidden values; the same in every lap.
pub(super) struct HiddenValues {
    whole: Observations,
    /// What is left of them.
    left: Observations,
    /// Which values of each observation are hidden.
    places: Vec<Vec<usize>>,
    seed: u64,
}

impl HiddenValues {
    /// Hides values of `held_out`; `None` where the channel is not one of masks.
    pub fn new(channel: &dyn Channel, held_out: &Observations, seed: u64) -> Result<Option<Self>> {
        let Some(all) = held_out.a.as_ref().filter(|_| is_mask(channel)) else { return Ok(None) };
        let (d, key) = (channel.signal_len(), Key::new(seed, Purpose::Split, 0));
        let (mut chosen, mut y, mut a, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (zero, mut before, mut after) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
        let mut nothing = vec![0.0; channel.observation_len()];
        for i in 0..held_out.n().min(OBSERVATIONS) {
            // Step 0 belongs to the split itself.
            let mut stream = key.stream(i, 1);
            let kept: Vec<f32> = all.row(i).iter().map(|a| a * f32::from(stream.uniform() >= HIDDEN)).collect();
            write_seen(channel, all.row(i), &mut before);
            write_seen(channel, &kept, &mut after);
            let hidden: Vec<usize> = (0..d).filter(|&j| before[j] > after[j]).collect();
            if hidden.is_empty() {
                continue;
            }
            // What an observation shows of a missing value: nothing, or noise alone.
            channel.observe(&zero, &kept, &mut stream, &mut nothing);
            let mut left = held_out.y.row(i).to_vec();
            hidden.iter().for_each(|&j| left[j] = nothing[j]);
            chosen.push(i);
            y.extend(left);
            a.extend(kept);
            places.push(hidden);
        }
        if chosen.len() < 2 {
            return Ok(None);
        }
        let a = Samples::new(a, channel.operator_len());
        let left = Observations::new(channel, Samples::new(y, channel.observation_len()), Some(a))?;
        Ok(Some(Self { whole: held_out.select(&chosen), left, places, seed }))
    }

    /// The score of every observation; smaller is better. `sample` returns that many draws for each of the
    /// observations. The noise is the same in every lap.
    pub fn scores(&self, channel: &dyn Channel, sample: &Sample<'_>) -> Result<Vec<f32>> {
        let (x, key) = (sample(&self.left, DRAWS)?, Key::new(self.seed, Purpose::Monitor, 0));
        Ok(parallel::map(self.whole.n(), |i| {
            let (places, seen, a) = (&self.places[i], self.whole.y.row(i), self.whole.operator(i));
            let mut y = vec![0.0; channel.observation_len()];
            // Steps 0 and 1 belong to the other scores.
            let mut stream = key.stream(i, 2);
            let mut at_places = |k: usize| -> Vec<f32> {
                channel.observe(x.row(i * DRAWS + k), a, &mut stream, &mut y);
                places.iter().map(|&j| y[j]).collect()
            };
            let draws: Vec<Vec<f32>> = (0..DRAWS).map(&mut at_places).collect();
            let truth: Vec<f32> = places.iter().map(|&j| seen[j]).collect();
            energy_score(&truth, &draws.iter().map(Vec::as_slice).collect::<Vec<_>>()) as f32
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, Compose, MaskConfig, NoiseConfig, ProjectionConfig};

    const D: usize = 16;

    fn channel() -> Compose {
        ChannelConfig(vec![NoiseConfig { std: 0.1.into() }.into(), MaskConfig { rate: 0.5 }.into()]).build(D).unwrap()
    }

    /// Signals with one random level each.
    fn levels(n: usize) -> Samples {
        let level = |i| Key::new(2, Purpose::Truth, 0).stream(i, 0).normal();
        Samples::new((0..n).flat_map(|i| [level(i); D]).collect(), D)
    }

    #[test]
    fn only_measured_values_are_hidden_and_the_rest_is_left() {
        let channel = channel();
        let seen = Observations::observe(&channel, &levels(50), 0);
        let hidden = HiddenValues::new(&channel, &seen, 3).unwrap().unwrap();
        for (i, places) in hidden.places.iter().enumerate() {
            let [whole, left] = [&hidden.whole, &hidden.left].map(|o| (o.y.row(i), o.operator(i)));
            for j in 0..D {
                let is_hidden = places.contains(&j);
                assert_eq!(whole.1[j] == 1.0 && left.1[j] == 0.0, is_hidden);
                assert!(if is_hidden { left.0[j] == 0.0 } else { left.0[j] == whole.0[j] });
            }
        }
        let projection = ChannelConfig(vec![ProjectionConfig { rows: 2 }.into()]).build(D).unwrap();
        let seen = Observations::observe(&projection, &levels(50), 0);
        assert!(HiddenValues::new(&projection, &seen, 3).unwrap().is_none());
    }

    /// The true posterior of a level scores better than the same draws too wide, too narrow or beside it.
    #[test]
    fn the_true_posterior_scores_best() {
        let channel = channel();
        let seen = Observations::observe(&channel, &levels(400), 0);
        let hidden = HiddenValues::new(&channel, &seen, 3).unwrap().unwrap();
        let score = |width: f32, shift: f32| {
            let sample = |left: &Observations, draws: usize| {
                let row = |r: usize| {
                    let (y, a) = (left.y.row(r / draws), left.operator(r / draws));
                    let count: f32 = a.iter().sum();
                    let (variance, sum) =
                        (1.0 / (1.0 + count / 0.01), y.iter().zip(a).map(|(y, a)| y * a).sum::<f32>());
                    let z = Key::new(9, Purpose::Draw, r % draws).stream(r / draws, 0).normal();
                    [variance * sum / 0.01 + shift + width * variance.sqrt() * z; D]
                };
                Ok(Samples::new((0..left.n() * draws).flat_map(row).collect(), D))
            };
            let scores = hidden.scores(&channel, &sample).unwrap();
            scores.iter().map(|&s| f64::from(s)).sum::<f64>() / scores.len() as f64
        };
        let right = score(1.0, 0.0);
        assert!(right < score(4.0, 0.0) && right < score(1.0, 0.1) && right < score(1.0, -0.1), "{right}");
    }

    #[test]
    fn the_energy_score_of_two_draws_has_a_closed_form() {
        // |1 - 0| and |3 - 0| on average, minus half of |1 - 3|.
        assert!((energy_score(&[0.0], &[&[1.0], &[3.0]]) - 1.0).abs() < 1e-12);
    }
}
