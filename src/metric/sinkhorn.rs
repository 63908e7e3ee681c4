//! Entropic optimal transport between two point clouds, and the divergence built on it.
//!
//! ```text
//! OT(u, v) = Σ_ij c_ij P_ij,   c_ij = |u_i - v_j|²,   P = argmin Σ_ij c_ij P_ij + reg Σ_ij P_ij ln P_ij
//! ```
//!
//! over plans P with uniform marginals 1/n and 1/m (Cuturi, "Sinkhorn distances", 2013). It is computed by
//! alternating updates of the two potentials in the log domain (Peyré and Cuturi, "Computational optimal
//! transport", 2019, §4.4):
//!
//! ```text
//! g_j = -ln m - ln Σ_i exp(f_i - c_ij / reg)        f_i = -ln n - ln Σ_j exp(g_j - c_ij / reg)
//! ```
//!
//! The value is that of POT's `ot.sinkhorn2(a, b, M, reg, method="sinkhorn_log", numItermax=1024)`, with the
//! same start (f = 0), the same order of updates and the same stopping rule; it is the plan's cost without
//! its entropy. The cost matrix is never stored (see [`Pass`]).

use std::ops::ControlFlow;

use super::{MetricError, check_pair, tiles};
use crate::{Samples, parallel};
use diffem_kernels::clouds::{Pass, Potential, Row, TILE, Tiles};

/// Number of iterations between two evaluations of the stopping rule.
const CHECK_EVERY: usize = 10;

/// The smallest divergence reported (the published protocol's): a value of this size says only that it is no larger.
pub const MIN_DIVERGENCE: f64 = 1e-6;

/// Settings of the solver. The defaults are those of the published manifold benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct Sinkhorn {
    /// Weight of the entropy, in units of the cost (squared distance); > 0. Default 1e-3.
    pub reg: f64,
    /// Maximum number of iterations (each updates both potentials); >= 1. Default 1024.
    pub max_iterations: usize,
    /// Iterations stop when the Euclidean norm of the violation of v's marginal is below this
    /// value; >= 0. Default 1e-9.
    pub tolerance: f64,
}

impl Default for Sinkhorn {
    fn default() -> Self {
        Self { reg: 1e-3, max_iterations: 1024, tolerance: 1e-9 }
    }
}

/// Result of [`Sinkhorn::cost`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transport {
    /// Σ c P, in squared units of the samples.
    pub cost: f64,
    /// Number of iterations done.
    pub iterations: usize,
    /// Whether the tolerance was met before the last allowed iteration.
    pub converged: bool,
}

impl Sinkhorn {
    /// OT(u, v) for `u [n, d]` and `v [m, d]`.
    ///
    /// # Errors
    /// An empty set, rows of different lengths, a value that is not finite, a setting out of its range.
    pub fn cost(&self, u: &Samples, v: &Samples) -> Result<Transport, MetricError> {
        self.cost_with(u, v, &mut |_| ControlFlow::Continue(()))
    }

    /// [`Sinkhorn::cost`], calling `observer` after every iteration with the number done; `Break`
    /// ends the computation.
    ///
    /// # Errors
    /// As [`Sinkhorn::cost`], and [`MetricError::Stopped`] if the observer ends the computation.
    pub fn cost_with(
        &self,
        u: &Samples,
        v: &Samples,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Transport, MetricError> {
        self.check()?;
        check_pair(u, v, 1)?;
        let scale = self.reg.sqrt().recip();
        let (u, v) = (tiles(u, scale), tiles(v, scale));
        let transport = Solver::new(&u, &v).solve(self, observer)?;
        match transport.cost.is_finite() {
            true => Ok(transport),
            false => Err(setting("reg", self.reg, "a value at which |u - v|² / reg does not overflow: raise it")),
        }
    }

    /// max(OT(u1, v) - OT(u1, u2), 1e-6): how much farther `v` is from the truth sample `u1` than a second
    /// truth sample `u2` is (all `[n, d]`; n may differ). Compare only values at the same n, because the
    /// floor and the bias depend on it.
    ///
    /// # Errors
    /// As [`Sinkhorn::cost`].
    pub fn divergence(&self, u1: &Samples, u2: &Samples, v: &Samples) -> Result<f64, MetricError> {
        Ok((self.cost(u1, v)?.cost - self.cost(u1, u2)?.cost).max(MIN_DIVERGENCE))
    }

    fn check(&self) -> Result<(), MetricError> {
        if !(self.reg.is_finite() && self.reg > 0.0) {
            return Err(setting("reg", self.reg, "a finite number above 0"));
        }
        if self.max_iterations == 0 {
            return Err(setting("max_iterations", 0.0, "at least 1"));
        }
        if self.tolerance.is_nan() || self.tolerance < 0.0 {
            return Err(setting("tolerance", self.tolerance, "a number >= 0"));
        }
        Ok(())
    }
}

fn setting(name: &'static str, value: f64, expected: &'static str) -> MetricError {
    MetricError::Setting { name, value, expected }
}

/// The two half steps on points scaled by 1/√reg.
struct Solver<'a> {
    u: Side<'a>,
    v: Side<'a>,
}

/// One side: its points and its sums over the other side's points.
struct Side<'a> {
    points: &'a Tiles,
    pass: Pass<'a>,
    sums: Vec<Row>,
}

impl<'a> Side<'a> {
    fn new(points: &'a Tiles, other: &'a Tiles) -> Self {
        let pass = Pass::new(points, other);
        let sums = pass.start();
        Self { points, pass, sums }
    }

    /// The potential that meets this side's marginal exactly, given the other side's potential.
    fn update(&mut self, other: &Potential) -> Potential {
        parallel::for_each_chunk_mut(&mut self.sums, TILE, |block, sums| self.pass.log_sums(other, block, sums));
        let log_weight = -(self.points.n() as f64).ln();
        Potential::new(self.points, |i| log_weight - self.sums[i].log_sum())
    }

    /// The mean cost of the plan whose other potential is `other` and whose marginal here is exact.
    fn mean_cost(&mut self, other: &Potential) -> f64 {
        parallel::for_each_chunk_mut(&mut self.sums, TILE, |block, sums| self.pass.costs(other, block, sums));
        self.sums.iter().map(Row::mean_cost).sum::<f64>() / self.points.n() as f64
    }

    /// Euclidean norm of the violation of this side's marginal under potential `now`, given the
    /// `next` one. Since `next` meets the marginal 1/n, that of `now` is exp(now - next) / n: no sum
    /// over the plan is needed.
    fn violation(&self, now: &Potential, next: &Potential) -> f64 {
        let n = self.points.n();
        let squares = (0..n).map(|j| ((now.at(j) - next.at(j)).exp_m1() / n as f64).powi(2));
        squares.sum::<f64>().sqrt()
    }
}

impl<'a> Solver<'a> {
    fn new(u: &'a Tiles, v: &'a Tiles) -> Self {
        Self { u: Side::new(u, v), v: Side::new(v, u) }
    }

    fn solve(
        mut self,
        settings: &Sinkhorn,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Transport, MetricError> {
        let mut g = self.v.update(&Potential::new(self.u.points, |_| 0.0));
        let (mut iterations, mut converged) = (0, false);
        while !converged && iterations < settings.max_iterations {
            let f = self.u.update(&g);
            let next = self.v.update(&f);
            converged = iterations % CHECK_EVERY == 0 && self.v.violation(&g, &next) < settings.tolerance;
            iterations += 1;
            if observer(iterations).is_break() {
                return Err(MetricError::Stopped { iteration: iterations });
            }
            if !converged && iterations < settings.max_iterations {
                g = next;
            }
        }
        Ok(Transport { cost: settings.reg * self.u.mean_cost(&g), iterations, converged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f32]) -> Samples {
        Samples::new(values.to_vec(), 1)
    }

    #[test]
    fn one_point_to_one_point_is_the_squared_distance() {
        let found = Sinkhorn::default().cost(&points(&[1.0]), &points(&[-2.0])).unwrap();
        assert!((found.cost - 9.0).abs() < 1e-12 && found.converged && found.iterations == 1, "{found:?}");
    }

    /// Costs 0 and 1, by symmetry P = (1, e) / 2 (1 + e) with e = exp(-1 / reg).
    #[test]
    fn two_points_have_a_closed_form() {
        let solver = Sinkhorn { reg: 1.0, ..Sinkhorn::default() };
        let found = solver.cost(&points(&[0.0, 1.0]), &points(&[1.0, 0.0])).unwrap();
        let e = (-1.0_f64).exp();
        assert!((found.cost - e / (1.0 + e)).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn divergence_has_a_floor_and_grows_with_distance() {
        let grid = |shift: f32| points(&(0..200).map(|i| i as f32 / 100.0 + shift).collect::<Vec<_>>());
        let solver = Sinkhorn { reg: 0.05, ..Sinkhorn::default() };
        assert_eq!(solver.divergence(&grid(0.0), &grid(0.3), &grid(0.0)).unwrap(), MIN_DIVERGENCE);
        let moved = solver.divergence(&grid(0.0), &grid(0.0), &grid(0.3)).unwrap();
        assert!((moved - 0.09).abs() < 1e-6, "{moved}");
    }

    #[test]
    fn the_observer_counts_and_can_stop() {
        let grid = points(&[0.0, 0.4, 0.5, 1.5]);
        let mut seen = vec![];
        let stop_at_three = &mut |iteration| {
            seen.push(iteration);
            if iteration == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let solver = Sinkhorn { tolerance: 0.0, ..Sinkhorn::default() };
        let stopped = solver.cost_with(&grid, &points(&[0.1, 2.0]), stop_at_three);
        assert_eq!((stopped, seen), (Err(MetricError::Stopped { iteration: 3 }), vec![1, 2, 3]));
    }

    fn error(solver: Sinkhorn, u: &Samples, v: &Samples) -> String {
        solver.cost(u, v).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let (one, plain) = (points(&[0.0]), Sinkhorn::default);
        assert!(error(plain(), &one, &Samples::default()).starts_with("`v` has 0 rows"));
        assert!(error(plain(), &one, &Samples::zeros(1, 2)).contains("rows of `v` have 2 values, those of `u` 1"));
        assert!(error(plain(), &points(&[0.0, f32::NAN]), &one).starts_with("row 1 of `u` holds a NaN"));
        for reg in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(error(Sinkhorn { reg, ..plain() }, &one, &one).starts_with("`reg` is"));
        }
        assert!(error(Sinkhorn { max_iterations: 0, ..plain() }, &one, &one).starts_with("`max_iterations` is 0"));
        assert!(error(Sinkhorn { tolerance: -1.0, ..plain() }, &one, &one).starts_with("`tolerance` is -1"));
        let far = points(&[1e30]);
        assert!(error(Sinkhorn { reg: 1e-300, ..plain() }, &one, &far).contains("does not overflow"));
    }
}
