//! Coordinates in which sinograms are nearly independent: cosines along the detectors, waves along the angles.
//!
//! The singular functions of line integrals through a disk are polynomials of degree k along a line times waves of m half
//! turns with m <= k, and A Aᵀ has the eigenvalue c / (k + 1) there (Natterer 2001, "The Mathematics of Computerized
//! Tomography", chapter IV). A line seen from behind is the same line, so m and k are both even or both odd. Few angles take waves for
//! each other, and images have corners, so the diagonal is found from products.

use crate::basis::cosines;
use crate::channel::Modes;
use crate::noise::{Key, Purpose};
use nalgebra::{DMatrix, DMatrixView};
use std::f64::consts::PI;

/// Probes have nonzero coordinates only at frequencies of one remainder, along detectors and along angles: those between them
/// disturb each other little.
const APART: [usize; 2] = [16, 7];
/// Least share of the mean variance that a coordinate is given.
const LEAST: f64 = 1e-4;

/// The coordinates of the planes of a sinogram.
#[derive(Clone, Debug)]
pub(super) struct SinogramModes {
    /// Cosines along the detectors, `[detectors, detectors]`, the even frequencies first.
    across: DMatrix<f64>,
    /// Waves along the angles in columns, `[angles, angles]`, for even and odd frequencies.
    along: [DMatrix<f64>; 2],
    /// About the diagonal of A Aᵀ, `[detectors, angles]` column by column.
    pub powers: Vec<f64>,
}

/// Wave numbers along the angles, in half turns, of one parity; a sine after the cosine of the same number where both exist.
fn waves(angles: usize, odd: usize) -> Vec<(usize, bool)> {
    let pair = |m: usize| [(m, false), (m, true)].into_iter().take(if m == 0 || m == angles { 1 } else { 2 });
    (odd..=angles).step_by(2).flat_map(pair).collect()
}

/// The matrix of these waves.
fn matrix(angles: usize, odd: usize) -> DMatrix<f64> {
    let waves = waves(angles, odd);
    DMatrix::from_fn(angles, angles, |angle, column| {
        let (m, sine) = waves[column];
        let single = m == 0 || m == angles;
        let phase = PI * (m * angle % (2 * angles)) as f64 / angles as f64;
        (if single { 1.0 } else { 2.0 } / angles as f64).sqrt() * if sine { phase.sin() } else { phase.cos() }
    })
}

impl SinogramModes {
    /// Those of one plane's sinogram of `angles` times `detectors` values, where `product` is that with A Aᵀ.
    pub fn new(detectors: usize, angles: usize, product: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let n = detectors;
        let cosines = cosines(n);
        let across = DMatrix::from_fn(n, n, |row, s| cosines[(frequency(row, n), s)]);
        let mut modes = Self { across, along: [0, 1].map(|odd| matrix(angles, odd)), powers: Vec::new() };
        modes.powers = modes.probed(product);
        modes
    }

    /// Frequency along the detectors and wave number along the angles of every coordinate.
    fn places(&self) -> Vec<[usize; 2]> {
        let (n, angles) = (self.across.nrows(), self.along[0].nrows());
        let both = [0, 1].map(|odd| waves(angles, odd));
        let place = |i: usize| [frequency(i % n, n), both[frequency(i % n, n) % 2][i / n].0];
        (0..n * angles).map(place).collect()
    }

    /// The diagonal of A Aᵀ: ε ∘ A Aᵀ ε for random signs ε, mean over the two waves of a number.
    fn probed(&self, product: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let (places, mut stream) = (self.places(), Key::new(0, Purpose::Start, 0).stream(1, 0));
        let columns = self.along[0].nrows() + 1;
        let mut sums = vec![(0.0, 0.0); columns * self.across.nrows()];
        for color in (0..APART[0] * APART[1]).map(|i| [i % APART[0], i / APART[0]]) {
            let chosen = |[k, m]: [usize; 2]| [k % APART[0], m / 2 % APART[1]] == color;
            let mut sign = |place: &[usize; 2]| match chosen(*place) {
                true if stream.uniform() < 0.5 => -1.0,
                true => 1.0,
                false => 0.0,
            };
            let signs: Vec<f64> = places.iter().map(&mut sign).collect();
            let seen = self.forward(&product(&self.inverse(&signs)));
            for ((place, sign), seen) in places.iter().zip(&signs).zip(seen) {
                let (sum, count) = &mut sums[place[0] * columns + place[1]];
                (*sum, *count) = (*sum + sign * seen, *count + sign.abs());
            }
        }
        let found = |place: &[usize; 2]| sums[place[0] * columns + place[1]];
        let powers: Vec<f64> = places.iter().map(found).map(|(sum, count)| sum / count).collect();
        let least = LEAST * powers.iter().sum::<f64>() / powers.len() as f64;
        powers.into_iter().map(|power| power.max(least)).collect()
    }

    /// The coordinates of a plane.
    pub fn forward(&self, y: &[f64]) -> Vec<f64> {
        let (n, angles) = (self.across.nrows(), self.along[0].nrows());
        let lines = &self.across * DMatrixView::from_slice(y, n, angles);
        self.turned(&lines, |waves, angle, column| waves[(angle, column)])
    }

    /// The plane of coordinates.
    fn inverse(&self, c: &[f64]) -> Vec<f64> {
        let (n, angles) = (self.across.nrows(), self.along[0].nrows());
        let lines =
            self.turned(&DMatrix::from_column_slice(n, angles, c), |waves, column, angle| waves[(angle, column)]);
        (self.across.transpose() * DMatrixView::from_slice(&lines, n, angles)).as_slice().to_vec()
    }

    /// Every column of the result is the sum of the columns of `lines [detectors, angles]`, times `factor(waves, from, to)` of
    /// its frequency's waves.
    fn turned(&self, lines: &DMatrix<f64>, factor: impl Fn(&DMatrix<f64>, usize, usize) -> f64) -> Vec<f64> {
        let ((n, angles), even) = (lines.shape(), lines.nrows().div_ceil(2));
        let mut out = vec![0.0; n * angles];
        for (to, out) in out.chunks_exact_mut(n).enumerate() {
            for (from, line) in lines.as_slice().chunks_exact(n).enumerate() {
                let [even_factor, odd_factor] = [0, 1].map(|odd| factor(&self.along[odd], from, to));
                for (row, (out, v)) in out.iter_mut().zip(line).enumerate() {
                    *out += v * if row < even { even_factor } else { odd_factor };
                }
            }
        }
        out
    }
}

/// The frequency of a row of `n`, the even ones first.
fn frequency(row: usize, n: usize) -> usize {
    let even = n.div_ceil(2);
    if row < even { 2 * row } else { 2 * (row - even) + 1 }
}

impl Modes for SinogramModes {
    fn function(&self, f: &dyn Fn(f64) -> f64, y: &[f64]) -> Vec<f64> {
        let plane = |y: &[f64]| {
            let mut c = self.forward(y);
            c.iter_mut().zip(&self.powers).for_each(|(c, power)| *c *= f(*power));
            self.inverse(&c)
        };
        y.chunks_exact(self.powers.len()).flat_map(plane).collect()
    }
}
