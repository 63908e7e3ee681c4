//! The manifold of the paper's first experiment: a random smooth curve in R^d, the image of z ~ U(0, 1) under
//!
//! ```text
//! x_j(z) = Σ_k a_jk k^(-α) sin(2π (k b_jk z + c_jk)),   k = 1 ..= ⌈ε^(-1/α)⌉,   a, b, c ~ U(0, 1),   ε = 1e-3
//! ```
//!
//! then scaled per coordinate to [-2, 2]. Source: the ground truth of EM-MMPS (Rozet et al. 2024, arXiv
//! 2405.13712), also used by DiffEM (arXiv 2510.12691); there d = 5 and α = 3, which gives k = 1 ..= 10.

use crate::Samples;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// ε: the series is truncated where k^(-α) falls below it.
const CUT_OFF: f64 = 1e-3;

/// Half the width of the range that each coordinate is scaled to.
const LIMIT: f64 = 2.0;

/// Number of intervals of the grid over z in [0, 1] that determines the limits. With α = 3 a curve's extremes
/// lie less than 1e-7 beyond those of the grid: ½ max|x''| (h/2)², with |x''| <= 4π² Σ 1/k < 116.
const GRID: usize = 1 << 14;

/// One term of the series, a k^(-α) sin(2π (k b z + c)).
#[derive(Clone, Debug, PartialEq)]
struct Term {
    /// a k^(-α)
    amplitude: f64,
    /// k b, in turns
    frequency: f64,
    /// c, in turns
    phase: f64,
}

/// Closed curves in the plane that are easy to recognize and the same for every seed; θ = 2π z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outline {
    /// Three loops, (sin θ + 2 sin 2θ, cos θ - 2 cos 2θ).
    #[default]
    Trefoil,
    /// A heart, (12 sin θ - 4 sin 3θ, 13 cos θ - 5 cos 2θ - 2 cos 3θ - cos 4θ).
    Heart,
}

/// A curve in R^d with the limits of each coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// `[d][k]`
    terms: Vec<Vec<Term>>,
    /// Smallest and largest value of each coordinate over z in [0, 1].
    limits: Vec<(f64, f64)>,
}

impl Curve {
    /// Draws a curve in R^`d` of smoothness `alpha` (at least 1, which takes 1000 terms; 3 in the paper).
    ///
    /// `uniforms` returns numbers in [0, 1) and is called in the order a, b, c for k = 1, 2, … of the first
    /// coordinate, then of the next. The limits come from a fixed grid over z and not from a sample, so that
    /// the scale of a curve is the same however many points are drawn from it.
    pub fn draw(d: usize, alpha: f64, uniforms: &mut dyn FnMut() -> f64) -> Self {
        let mut coordinate = || (1..=terms_for(alpha)).map(|k| Term::draw(k as f64, alpha, uniforms)).collect();
        let terms: Vec<Vec<Term>> = (0..d).map(|_| coordinate()).collect();
        let limits = terms.iter().map(|series| limits(series)).collect();
        Self { terms, limits }
    }

    /// The curve of `outline`.
    pub fn outline(outline: Outline) -> Self {
        let sine = |amplitude: f64, frequency: f64| Term { amplitude, frequency, phase: 0.0 };
        // cos θ = sin(θ + ¼ turn).
        let cosine = |amplitude: f64, frequency: f64| Term { amplitude, frequency, phase: 0.25 };
        let terms = match outline {
            Outline::Trefoil => vec![vec![sine(1.0, 1.0), sine(2.0, 2.0)], vec![cosine(1.0, 1.0), cosine(-2.0, 2.0)]],
            Outline::Heart => vec![
                vec![sine(12.0, 1.0), sine(-4.0, 3.0)],
                vec![cosine(13.0, 1.0), cosine(-5.0, 2.0), cosine(-2.0, 3.0), cosine(-1.0, 4.0)],
            ],
        };
        let limits = terms.iter().map(|series| limits(series)).collect();
        Self { terms, limits }
    }

    /// Length d of a point.
    pub fn d(&self) -> usize {
        self.terms.len()
    }

    /// The point at `z`, `[d]`, before scaling.
    pub fn point(&self, z: f64) -> Vec<f64> {
        self.terms.iter().map(|series| sum(series, z)).collect()
    }

    /// The points at every `z` (in [0, 1]), `[n, d]`, scaled per coordinate to [-2, 2].
    pub fn samples(&self, z: &[f64]) -> Samples {
        let values = z.iter().flat_map(|&z| self.scaled(z)).map(|x| x as f32).collect();
        Samples::new(values, self.terms.len())
    }

    fn scaled(&self, z: f64) -> impl Iterator<Item = f64> {
        self.point(z).into_iter().zip(&self.limits).map(|(x, &(low, high))| {
            // A constant coordinate has no range to scale, so it goes to the middle.
            if high > low { LIMIT * (2.0 * (x - low) / (high - low) - 1.0) } else { 0.0 }
        })
    }
}

impl Term {
    fn draw(k: f64, alpha: f64, uniforms: &mut dyn FnMut() -> f64) -> Self {
        Self { amplitude: uniforms() * k.powf(-alpha), frequency: k * uniforms(), phase: uniforms() }
    }

    fn at(&self, z: f64) -> f64 {
        self.amplitude * (TAU * (self.frequency * z + self.phase)).sin()
    }
}

/// ⌈ε^(-1/α)⌉, computed so that a rounding error does not turn a whole number (10 for α = 3) into the next
/// one.
fn terms_for(alpha: f64) -> usize {
    (CUT_OFF.powf(-1.0 / alpha) * (1.0 - 1e-12)).ceil() as usize
}

fn sum(series: &[Term], z: f64) -> f64 {
    series.iter().map(|term| term.at(z)).sum()
}

fn limits(series: &[Term]) -> (f64, f64) {
    let values = (0..=GRID).map(|i| sum(series, i as f64 / GRID as f64));
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniforms from the golden ratio, which are evenly spread and the same on every machine.
    fn golden(mut i: usize) -> impl FnMut() -> f64 {
        move || {
            i += 1;
            (i as f64 * 0.618_033_988_749_894_9).fract()
        }
    }

    fn curve(seed: usize) -> Curve {
        Curve::draw(5, 3.0, &mut golden(seed))
    }

    fn grid(n: usize) -> Vec<f64> {
        (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()
    }

    #[test]
    fn the_series_has_ten_terms_at_alpha_three() {
        assert_eq!([1.0, 1.5, 2.0, 3.0, 6.0].map(terms_for), [1000, 100, 32, 10, 4]);
        let mut drawn = 0;
        Curve::draw(5, 3.0, &mut || {
            drawn += 1;
            0.5
        });
        assert_eq!(drawn, 5 * 10 * 3);
    }

    #[test]
    fn a_point_is_the_sum_of_the_formula() {
        let mut next = golden(7);
        let curve = Curve::draw(2, 3.0, &mut golden(7));
        for (x, z) in curve.point(0.3).iter().zip([0.3; 2]) {
            let formula: f64 = (1..=10)
                .map(|k| {
                    let (k, a, b, c) = (f64::from(k), next(), next(), next());
                    a / (k * k * k) * (2.0 * std::f64::consts::PI * (k * b * z + c)).sin()
                })
                .sum();
            assert!((x - formula).abs() < 1e-12, "{x} {formula}");
        }
    }

    #[test]
    fn outlines_are_the_sums_of_their_formulas() {
        let agrees = |outline: Outline, formula: &dyn Fn(f64) -> [f64; 2]| {
            let curve = Curve::outline(outline);
            for z in grid(20) {
                let point = curve.point(z);
                assert!(point.iter().zip(formula(TAU * z)).all(|(x, f)| (x - f).abs() < 1e-12), "{outline:?} {z}");
            }
        };
        agrees(Outline::Trefoil, &|t| [t.sin() + 2.0 * (2.0 * t).sin(), t.cos() - 2.0 * (2.0 * t).cos()]);
        agrees(Outline::Heart, &|t| {
            let y = 13.0 * t.cos() - 5.0 * (2.0 * t).cos() - 2.0 * (3.0 * t).cos() - (4.0 * t).cos();
            [16.0 * t.sin().powi(3), y]
        });
    }

    #[test]
    fn samples_fill_the_range_and_do_not_leave_it() {
        for seed in [0, 1, 1000] {
            let x = curve(seed).samples(&grid(3000));
            for j in 0..5 {
                let column = || x.rows().map(move |row| row[j]);
                let (low, high) = (column().fold(f32::MAX, f32::min), column().fold(f32::MIN, f32::max));
                assert!((-2.0 - 1e-6..-1.99).contains(&low), "{low}");
                assert!((1.99..2.0 + 1e-6).contains(&high), "{high}");
            }
        }
    }

    #[test]
    fn the_scale_does_not_depend_on_the_sample() {
        let (curve, z) = (curve(3), grid(40));
        let all = curve.samples(&z);
        for i in [0, 17, 39] {
            assert_eq!(curve.samples(&z[i..=i]).row(0), all.row(i));
        }
    }

    #[test]
    fn the_curve_is_continuous() {
        // |x'| <= 2π Σ k^-2 < 2π π²/6
        let (curve, step, slope) = (curve(11), 1e-3, TAU * 1.645);
        for z in grid(500) {
            for (x, near) in curve.point(z).iter().zip(curve.point(z + step)) {
                assert!((x - near).abs() <= slope * step);
            }
        }
    }

    #[test]
    fn whole_frequencies_close_the_curve() {
        let close = |b: f64| {
            let mut abc = [0.7, b, 0.2].into_iter().cycle();
            let curve = Curve::draw(3, 3.0, &mut || abc.next().unwrap());
            curve.point(0.1).iter().zip(curve.point(1.1)).all(|(x, y)| (x - y).abs() < 1e-12)
        };
        assert!(close(1.0) && !close(0.5));
    }

    #[test]
    fn the_same_uniforms_give_the_same_curve() {
        assert_eq!(curve(5), curve(5));
        assert_ne!(curve(5), curve(6));
    }

    #[test]
    fn a_constant_coordinate_goes_to_the_middle() {
        let x = Curve::draw(2, 3.0, &mut || 0.0).samples(&[0.0, 0.4]);
        assert_eq!(x.as_slice(), [0.0; 4]);
    }
}
