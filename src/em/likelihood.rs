//! The likelihood of held-out observations under the reconstructions, where observations are short.
//!
//! EM raises the likelihood of the observations, so it is the score that theory asks for. The reconstructions
//! define the distribution of the observations that an operator yields, and a kernel estimate of its density
//! needs no more than simulations:
//!
//! ```text
//! l_i = ln mean over j of  N(y_i + h ε_i; y'_j, h²),   y'_j ~ Q(. | x_j, a_i)
//! ```
//!
//! The same h widens both sides, so the true distribution has the largest expectation for any h. On curves this
//! score tells laps apart that differ by a few standard errors of it, long after the energy score has stopped to
//! change. Long observations have no neighbors among the simulations, and no such score.

use crate::channel::Channel;
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;

/// Maximum length of the observations.
const MAX_LEN: usize = 8;
/// Maximum number of simulations per held-out observation.
const SIMULATIONS: usize = 4096;

/// Held-out observations with the kernel that they are compared by; the same in every lap.
pub(super) struct Likelihood {
    /// h of each value.
    widths: Widths,
    /// y + h ε, `[n, m]`.
    widened: Samples,
    /// Weight of the density that every observation has at least.
    least_weight: f64,
    /// That density, a Gaussian twice as wide as the observations.
    least: Vec<f64>,
    key: Key,
}

impl Likelihood {
    /// Prepares the comparison of `held_out` with up to `rows` reconstructions; `None` for long observations.
    pub fn new(held_out: &Observations, rows: usize, seed: u64) -> Option<Self> {
        let (n, m) = (held_out.n(), held_out.y.d());
        if m == 0 || m > MAX_LEN || n < 2 || rows < 2 {
            return None;
        }
        let simulations = SIMULATIONS.min(rows) as f64;
        let column = |j: usize| held_out.y.rows().map(move |y| f64::from(y[j]));
        let mean: Vec<f64> = (0..m).map(|j| column(j).sum::<f64>() / n as f64).collect();
        let variance = |j: usize| column(j).map(|v| (v - mean[j]).powi(2)).sum::<f64>() / n as f64;
        let spread: Vec<f64> = (0..m).map(|j| variance(j).sqrt()).map(|s| if s > 0.0 { s } else { 1.0 }).collect();
        // Narrower than the best width for a density, since laps are compared and not densities.
        let relative = simulations.powf(-1.0 / (m as f64 + 2.0));
        let widths: Vec<f64> = spread.iter().map(|s| s * relative).collect();
        let key = Key::new(seed, Purpose::Monitor, 0);
        let mut widened = held_out.y.clone();
        for i in 0..n {
            // Steps 0 to 2 belong to the other scores.
            let mut stream = key.stream(i, 3);
            widened.row_mut(i).iter_mut().zip(&widths).for_each(|(y, h)| *y += *h as f32 * stream.normal());
        }
        let wide: Vec<f64> = spread.iter().map(|s| 2.0 * s).collect();
        let wide = Widths::new(wide);
        let least = widened.rows().map(|y| wide.log_normal(y, |j| mean[j]).exp()).collect();
        Some(Self { widths: Widths::new(widths), widened, least_weight: 1.0 / simulations, least, key })
    }

    /// The negative log-likelihood of each of the `held_out` observations under the reconstructions `x [n, d]`, in nats.
    pub fn scores(&self, channel: &dyn Channel, held_out: &Observations, x: &Samples) -> Vec<f32> {
        let (m, simulations) = (channel.observation_len(), SIMULATIONS.min(x.n()));
        let (d, signals) = (x.d(), x.as_slice());
        parallel::map(held_out.n(), |i| {
            let (seen, a, mut stream) = (self.widened.row(i), held_out.operator(i), self.key.stream(i, 4));
            // Every observation takes the reconstructions after those of the one before, from the first on after the last.
            let (from, mut y) = (i * simulations % x.n(), vec![0.0f32; simulations * m]);
            let until = x.n().min(from + simulations);
            let (front, back) = y.split_at_mut((until - from) * m);
            channel.observe_all(&signals[from * d..until * d], a, &mut stream, front);
            channel.observe_all(&signals[..(from + simulations - until) * d], a, &mut stream, back);
            let density = |y: &[f32]| self.widths.log_normal(seen, |j| f64::from(y[j])).exp();
            let sum: f64 = y.chunks_exact(m).map(density).sum();
            let density = (1.0 - self.least_weight) * sum / simulations as f64 + self.least_weight * self.least[i];
            -density.max(f64::MIN_POSITIVE).ln() as f32
        })
    }
}

/// Standard deviations of independent normal values, with their logarithms: millions of densities need them.
struct Widths {
    std: Vec<f64>,
    ln: Vec<f64>,
}

impl Widths {
    fn new(std: Vec<f64>) -> Self {
        Self { ln: std.iter().map(|s| s.ln()).collect(), std }
    }

    /// Log-density at `y` of normal values with these means.
    fn log_normal(&self, y: &[f32], mean: impl Fn(usize) -> f64) -> f64 {
        let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
        let term = |(j, y): (usize, &f32)| {
            let z = (f64::from(*y) - mean(j)) / self.std[j];
            -0.5 * z * z - self.ln[j] - half_ln_tau
        };
        y.iter().enumerate().map(term).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};

    /// Points on a circle, moved outwards by `shift` and blurred by `blur`.
    fn circle(n: usize, set: usize, shift: f32, blur: f32) -> Samples {
        let key = Key::new(4, Purpose::Truth, set);
        let point = |i: usize| {
            let mut stream = key.stream(i, 0);
            let angle = stream.uniform() as f32 * std::f32::consts::TAU;
            [angle.cos(), angle.sin()].map(|v| v * (1.0 + shift) + blur * stream.normal())
        };
        Samples::new((0..n).flat_map(point).collect(), 2)
    }

    #[test]
    fn a_finer_cloud_is_more_likely() {
        let stages = vec![ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.02.into() }.into()];
        let channel = ChannelConfig(stages).build(2).unwrap();
        let held_out = Observations::observe(&channel, &circle(400, 0, 0.0, 0.0), 0);
        let likelihood = Likelihood::new(&held_out, 4000, 0).unwrap();
        let score = |shift, blur| {
            let scores = likelihood.scores(&channel, &held_out, &circle(4000, 1, shift, blur));
            scores.iter().map(|&s| f64::from(s)).sum::<f64>() / scores.len() as f64
        };
        let right = score(0.0, 0.0);
        assert!(right < score(0.0, 0.1) && score(0.0, 0.1) < score(0.0, 0.3), "blur");
        assert!(right < score(0.1, 0.0) && right < score(-0.1, 0.0), "shift");
    }

    /// With x ~ N(0, 1) and noise n, y is N(0, 1 + n²), and widened by h it is N(0, 1 + n² + h²).
    #[test]
    fn the_likelihood_of_a_gaussian_is_its_closed_form() {
        let channel = ChannelConfig(vec![NoiseConfig { std: 0.5.into() }.into()]).build(1).unwrap();
        let normal = |n, set| {
            let mut x = Samples::zeros(n, 1);
            Key::new(4, Purpose::Truth, set).stream(0, 0).fill_normal(x.as_mut_slice());
            x
        };
        let held_out = Observations::observe(&channel, &normal(2000, 0), 0);
        let likelihood = Likelihood::new(&held_out, 4096, 0).unwrap();
        let scores = likelihood.scores(&channel, &held_out, &normal(4096, 1));
        let law = Widths::new(vec![(1.25 + likelihood.widths.std[0].powi(2)).sqrt()]);
        for (i, score) in scores.iter().enumerate() {
            let y = likelihood.widened.row(i);
            let exact = law.log_normal(y, |_| 0.0);
            // In the tails few simulations are near.
            assert!(y[0].abs() > 1.5 || (f64::from(-score) - exact).abs() < 0.3, "{} {score} {exact}", y[0]);
        }
    }

    #[test]
    fn an_observation_far_from_all_simulations_is_unlikely_and_finite() {
        let channel = ChannelConfig(vec![NoiseConfig { std: 0.5.into() }.into()]).build(1).unwrap();
        let y = Samples::new(vec![-1.0, 1.0, 1e6], 1);
        let held_out = Observations::new(&channel, y, None).unwrap();
        let likelihood = Likelihood::new(&held_out, 100, 0).unwrap();
        let scores = likelihood.scores(&channel, &held_out, &Samples::zeros(100, 1));
        assert!(scores.iter().all(|s| s.is_finite()) && scores[2] > scores[0], "{scores:?}");
        let long = Observations::new(
            &ChannelConfig(vec![NoiseConfig { std: 0.5.into() }.into()]).build(9).unwrap(),
            Samples::zeros(4, 9),
            None,
        );
        assert!(Likelihood::new(&long.unwrap(), 100, 0).is_none());
    }
}
