//! Richardson–Lucy deconvolution (Richardson 1972; Lucy 1974; scikit-image's `restoration.richardson_lucy`),
//! which starts from x = 1/2 and iterates
//!
//! ```text
//! x ← x ∘ Aᵀ (y / (A x + ε)),   ε = 1e-12
//! ```
//!
//! This is the EM iteration for Poisson counts, for non-negative images and operators of unit gain
//! (A 1 = Aᵀ 1 = 1). The number of iterations is the only regularization: on noisy images, the iteration
//! stops when the residual is as small as the noise (Morozov's discrepancy principle).

use crate::channel::LinearChannel;
use crate::parallel;
use crate::samples::Samples;

/// Keeps the quotient finite.
const EPSILON: f32 = 1e-12;

/// Richardson–Lucy iteration on a set of images.
pub struct RichardsonLucy<'a> {
    operator: &'a dyn LinearChannel,
    y: &'a Samples,
    x: Samples,
}

impl<'a> RichardsonLucy<'a> {
    /// Starts from observations `y [n, d]`, in units in which images are non-negative; negative values, which
    /// only noise produces, count as 0.
    pub fn new(operator: &'a dyn LinearChannel, y: &'a Samples) -> Self {
        let x = Samples::new(vec![0.5; y.n() * operator.signal_len()], operator.signal_len());
        Self { operator, y, x }
    }

    /// The current images, `[n, d]`.
    pub fn x(&self) -> &Samples {
        &self.x
    }

    /// Runs `iterations` more iterations on every image.
    pub fn run(&mut self, iterations: usize) {
        self.until(0.0, iterations);
    }

    /// Iterates on each image until its mean squared residual is at most `variance`, for at most `most`
    /// iterations; returns the number of iterations of each image.
    pub fn until(&mut self, variance: f64, most: usize) -> Vec<usize> {
        let (operator, y, x) = (self.operator, self.y, &self.x);
        let rows = parallel::map(y.n(), |i| {
            let mut row = Row { operator, y: y.row(i), x: x.row(i).to_vec(), seen: vec![0.0; y.d()] };
            let count = row.until(variance, most);
            (row.x, count)
        });
        let (rows, counts): (Vec<Vec<f32>>, Vec<usize>) = rows.into_iter().unzip();
        self.x = Samples::new(rows.concat(), self.x.d());
        counts
    }
}

/// One image.
struct Row<'a> {
    operator: &'a dyn LinearChannel,
    y: &'a [f32],
    x: Vec<f32>,
    /// A x.
    seen: Vec<f32>,
}

impl Row<'_> {
    fn until(&mut self, variance: f64, most: usize) -> usize {
        for count in 0..most {
            self.operator.apply(&[], &self.x, &mut self.seen);
            if variance > 0.0 && self.residual() <= variance {
                return count;
            }
            self.step();
        }
        most
    }

    /// mean (y - A x)².
    fn residual(&self) -> f64 {
        let square = |(y, seen): (&f32, &f32)| f64::from(y - seen).powi(2);
        self.y.iter().zip(&self.seen).map(square).sum::<f64>() / self.y.len() as f64
    }

    /// One iteration, given A x.
    fn step(&mut self) {
        let quotient: Vec<f32> = self.y.iter().zip(&self.seen).map(|(y, seen)| y.max(0.0) / (seen + EPSILON)).collect();
        let mut factor = vec![0.0; self.x.len()];
        self.operator.adjoint(&[], &quotient, &mut factor);
        self.x.iter_mut().zip(&factor).for_each(|(x, f)| *x *= f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{BlurConfig, Channel, ChannelConfig, NoiseConfig};
    use crate::image::ImageShape;
    use crate::noise::{Key, Purpose};
    use crate::observations::Observations;

    #[test]
    fn it_stops_at_the_noise_and_sharpens_until_then() {
        let (shape, std) = (ImageShape { channels: 1, height: 16, width: 16 }, 0.01);
        let blur = ChannelConfig(vec![BlurConfig { sigma: 1.0 }.into(), NoiseConfig { std: std.into() }.into()]);
        let blur = blur.build_image(shape).unwrap();
        // A bright square on a dim ground.
        let bright = |p: usize| (5..11).contains(&(p / 16)) && (4..9).contains(&(p % 16));
        let x = Samples::new((0..256).map(|p| if bright(p) { 0.9 } else { 0.1 }).collect(), 256);
        let seen = Observations::simulate(&blur, &x, Key::new(1, Purpose::Observe, 0), 0);
        let linear = blur.as_linear().unwrap();
        let mut lucy = RichardsonLucy::new(linear, &seen.y);
        let counts = lucy.until(std * std, 10_000);
        assert!((2..10_000).contains(&counts[0]), "{counts:?}");
        let mut fitted = vec![0.0; 256];
        linear.apply(&[], lucy.x().row(0), &mut fitted);
        let mean_square =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64;
        let residual = mean_square(&fitted, seen.y.row(0));
        assert!(residual <= std * std && residual > 0.9 * std * std, "{residual}");
        assert!(mean_square(lucy.x().row(0), x.row(0)) < 0.5 * mean_square(seen.y.row(0), x.row(0)));
        // Flux is conserved up to the noise.
        let sum = |v: &[f32]| v.iter().map(|&v| v as f64).sum::<f64>();
        assert!((sum(lucy.x().row(0)) / sum(x.row(0)) - 1.0).abs() < 0.02);
    }
}
