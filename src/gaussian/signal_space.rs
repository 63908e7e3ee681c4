//! The system of one observation in the space of its signal, for maps A with white noise s²:
//!
//! ```text
//! K r = S w,   (AᵀA S + c I) w = Aᵀ r,   c = (s² + δ) / v
//! ```
//!
//! All vectors are in the coordinates in which S is diagonal. There AᵀA + c S⁻¹, the map of S w, is nearly diagonal too for
//! most channels of images and the basis of cosines: κ + c / S with the diagonal κ of AᵀA. Its inverse
//! is the preconditioner. With κ = 0 what is left is conjugate gradient in the product uᵀ S w. An iteration takes one product
//! with AᵀA and two transforms. Numbers have 64 bits wherever the map has such products: what rounding adds to directions that
//! were not measured grows by S / c.

use super::combination::{Combination, Covariance, History, add, combined, dot, mean_of_bands};
use crate::channel::Normal;
use crate::noise::{Key, Purpose};

/// Number of random signs per coordinate that the diagonal is found from.
const PROBES: usize = 2;
/// Share of the error that the solution may have that rough products may make.
const TENTH: f64 = 0.1;

/// When conjugate gradient stops.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub iterations: usize,
    /// Norm of the residual, relative to that of the first one.
    pub residual: f64,
    /// Squared norm of S^-½ times the error of K r.
    pub square: f64,
}

/// The system of one observation.
pub(crate) struct SignalSystem<'a> {
    normal: Normal<'a>,
    /// Whether rough products do: what they add to directions that were not measured grows by S / c.
    rough: bool,
    covariance: Covariance<'a>,
    v: f64,
    c: f64,
    end: End,
}

impl<'a> SignalSystem<'a> {
    /// With the covariance v S before the observation.
    pub(super) fn new(normal: Normal<'a>, covariance: Covariance<'a>, v: f64, floor: f64, end: End) -> Self {
        let c = (normal.variance + floor) / (v * normal.gain * normal.gain);
        let allowed = TENTH * (end.square / (v * covariance.len() as f64)).sqrt();
        let rough = normal.rough.as_ref().is_some_and(|rough| covariance.greatest() * rough.error <= allowed * c);
        Self { normal, rough, covariance, v, c, end }
    }

    /// Aᵀ r / g of `r [m]`, which [`SignalSystem::solve`] takes.
    pub fn back(&self, r: &[f32]) -> Vec<f64> {
        let mut out = vec![0.0; self.covariance.len()];
        (self.normal.back)(r, &mut out);
        out.iter_mut().for_each(|v| *v /= self.normal.gain);
        out
    }

    /// The same of r = g A x.
    pub fn seen(&self, x: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; x.len()];
        let rough = self.normal.rough.as_ref().filter(|_| self.rough);
        (rough.map_or(&self.normal.product, |rough| &rough.product))(x, &mut out);
        out
    }

    /// K r for the `back` of r, from the solutions in `history`, to which its own is added.
    pub fn solve(&self, back: &[f64], history: &mut History) -> Vec<f64> {
        let d = back.len();
        let diagonal = history.diagonal.take().unwrap_or_else(|| self.diagonal());
        let mut solution = self.solution(back, &diagonal, history);
        history.diagonal = Some(diagonal);
        history.keep(solution.clone());
        solution.drain(..d);
        solution.truncate(d);
        self.covariance.image(solution)
    }

    /// v zᵀ A S Aᵀ z for the `back` of r, where z solves the system in the space of y.
    pub fn score(&self, back: &[f64]) -> f64 {
        let solution = self.solution(back, &self.diagonal(), &History::default());
        let (w, rest) = solution.split_at(back.len());
        dot(w, &rest[..w.len()]) / self.v
    }

    /// w, then S w, then AᵀA S w, with about the diagonal κ of AᵀA.
    fn solution(&self, back: &[f64], diagonal: &[f64], history: &History) -> Vec<f64> {
        let (d, back) = (back.len(), self.covariance.coordinates(back));
        let way = Combination { length: 3 * d, dual: d..2 * d, image: &|solution| self.image(solution) };
        let mut w = combined(&way, &back, history);
        let mut residual: Vec<f64> = back.iter().zip(self.image(&w)).map(|(b, image)| b - image).collect();
        w.truncate(d);
        self.improve(&mut w, &mut residual, diagonal);
        let moved = self.covariance.scaled(&w);
        let seen = back.iter().zip(&residual).zip(&w).map(|((b, r), w)| b - r - self.c * w).collect();
        [w, moved, seen].concat()
    }

    /// Conjugate gradient from `w` with its `residual`, both of which are followed to the end.
    fn improve(&self, w: &mut [f64], residual: &mut [f64], diagonal: &[f64]) {
        let weights: Vec<f64> = self.covariance.scaled(diagonal).iter().map(|seen| 1.0 / (seen + self.c)).collect();
        let weighed = |residual: &[f64]| residual.iter().zip(&weights).map(|(r, g)| r * g).collect::<Vec<f64>>();
        let mut direction = weighed(residual);
        let mut square = self.covariance.product(residual, &direction);
        // No error is greater than the square of its residual here, and a better preconditioner makes them about equal.
        let enough = self.end.square * self.c;
        let least = (square * self.end.residual * self.end.residual).max(enough);
        for _ in 0..self.end.iterations {
            if square <= least {
                break;
            }
            let moved = self.covariance.scaled(&direction);
            let mut image = self.product(&moved);
            add(&mut image, self.c, &direction);
            let curvature = dot(&moved, &image);
            // Rounding alone can leave a direction that the map does not see.
            if !(curvature > 0.0 && curvature.is_finite()) {
                break;
            }
            let length = square / curvature;
            add(residual, -length, &image);
            add(w, length, &direction);
            // What this step took from the squared error, which is about what the next ones take.
            if length * square <= enough {
                break;
            }
            let spread = weighed(residual);
            let next = self.covariance.product(residual, &spread);
            let ratio = next / square;
            direction.iter_mut().zip(spread).for_each(|(to, from)| *to = from + ratio * *to);
            square = next;
        }
    }

    /// About the diagonal of AᵀA: ε ∘ AᵀA ε has this mean for random signs ε (Bekas, Kokiopoulou and Saad 2007, "An estimator
    /// for the diagonal of a matrix"), here over coordinates of about the same frequency. 0 for single values, where AᵀA is
    /// not nearly diagonal.
    fn diagonal(&self) -> Vec<f64> {
        let (d, mut stream) = (self.covariance.len(), Key::new(0, Purpose::Start, 0).stream(0, 0));
        let Some(bands) = self.covariance.bands() else { return vec![0.0; d] };
        let mut sum = vec![0.0; d];
        for _ in 0..PROBES {
            let signs: Vec<f64> = (0..d).map(|_| if stream.uniform() < 0.5 { -1.0 } else { 1.0 }).collect();
            let seen = self.product(&signs);
            sum.iter_mut()
                .zip(signs.iter().zip(seen))
                .for_each(|(sum, (sign, seen))| *sum += sign * seen / PROBES as f64);
        }
        mean_of_bands(&bands, &sum).into_iter().map(|v| v.max(0.0)).collect()
    }

    /// AᵀA of a signal, both by their coordinates.
    fn product(&self, c: &[f64]) -> Vec<f64> {
        self.covariance.within(c, |x| self.seen(x))
    }

    /// (AᵀA S + c I) w of what is kept of a solution.
    fn image(&self, solution: &[f64]) -> Vec<f64> {
        let d = solution.len() / 3;
        solution[2 * d..].iter().zip(&solution[..d]).map(|(seen, w)| seen + self.c * w).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::spectral::SpectralGaussian;
    use crate::basis::{Basis, Dct};
    use crate::channel::{Channel, ChannelConfig, wide};
    use crate::image::ImageShape;
    use crate::noise::{Key, Purpose};
    use nalgebra::{Cholesky, DMatrix, DVector};

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 32, width: 24 };

    /// Smooth images, whose variances span four orders of magnitude, with the standard deviation 1 per pixel.
    fn smooth() -> SpectralGaussian {
        let basis = Basis::Cosine(Dct::new(SHAPE));
        let variance: Vec<f64> = basis.laplacian().into_iter().map(|l| (0.01 + l).powf(-1.5)).collect();
        let total = variance.iter().sum::<f64>() / SHAPE.len() as f64;
        SpectralGaussian::like(basis, vec![0.0; SHAPE.len()], variance.iter().map(|v| v / total).collect())
    }

    /// K r by matrices, in the coefficients of the prior: the exact correction.
    fn exact(prior: &SpectralGaussian, channel: &dyn Channel, a: &[f32], y: &[f32]) -> DVector<f64> {
        let model = channel.linear_gaussian(a).unwrap();
        let m = y.len();
        let rows: Vec<f64> = (0..m)
            .flat_map(|i| prior.basis().forward(&model.matrix.row(i).iter().copied().collect::<Vec<f64>>()))
            .collect();
        let b = DMatrix::from_row_slice(m, SHAPE.len(), &rows);
        let spread = DMatrix::from_fn(m, SHAPE.len(), |i, j| b[(i, j)] * prior.variance[j]);
        let evidence = &b * spread.transpose() + model.covariance + DMatrix::identity(m, m) * 1e-8;
        spread.transpose() * Cholesky::new(evidence).unwrap().solve(&DVector::from_vec(wide(y)))
    }

    /// At 64 x 64 and 128 x 128 pixels, conjugate gradient in the space of y stops .04 to .5 standard deviations away.
    #[test]
    fn corrections_of_smooth_images_are_those_of_matrices() {
        let prior = smooth();
        for stages in [
            r#"[{"kind":"radon","angles":8,"random_start":true},{"kind":"noise","std":0.01}]"#,
            r#"[{"kind":"radon","angles":30},{"kind":"noise","std":0.01}]"#,
            r#"[{"kind":"downsample","factor":2},{"kind":"noise","std":0.05}]"#,
            r#"[{"kind":"blur","sigma":1.0},{"kind":"pixel-mask","rate":0.4},{"kind":"noise","std":0.1}]"#,
            r#"[{"kind":"multicoil","coils":2,"acceleration":4.0},{"kind":"noise","std":0.05}]"#,
        ] {
            let channel = stages.parse::<ChannelConfig>().unwrap().build_image(SHAPE).unwrap();
            let mut stream = Key::new(3, Purpose::Truth, 0).stream(0, 0);
            let (mut a, mut y) = (vec![0.0f32; channel.operator_len()], vec![0.0f32; channel.observation_len()]);
            channel.draw_operator(&mut stream, &mut a);
            channel.observe(&prior.draw(&mut stream), &a, &mut stream, &mut y);
            let system = prior.system(channel.as_linear().unwrap(), &a, 400);
            assert!(system.in_signal_space().is_some(), "{stages}");
            let found = prior.basis().forward(&system.correction(&wide(&y)));
            let exact = exact(&prior, &channel, &a, &y);
            let squares = found.iter().zip(exact.iter()).zip(&prior.variance).map(|((f, e), v)| (f - e).powi(2) / v);
            let error = (squares.sum::<f64>() / SHAPE.len() as f64).sqrt();
            assert!(error < 0.04, "{stages}: {error} standard deviations");
            // Of zᵀ A S Aᵀ z with z = (y - A K y) / s², as the space of y has it.
            let score = |x: &DVector<f64>| x.iter().zip(&prior.variance).map(|(x, v)| x * x / v).sum::<f64>();
            let relative = system.score(&wide(&y)) / score(&exact) - 1.0;
            assert!(relative.abs() < 0.02, "{stages}: {relative}");
        }
    }
}
