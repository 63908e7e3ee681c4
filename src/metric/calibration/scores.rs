//! Proper scores and spread against skill. The scores are "fair": unbiased in the number of draws.

/// Scores of one signal.
pub(super) struct Row {
    /// Mean over its values.
    pub crps: f64,
    pub energy_score: f64,
    /// For each value: variance of the draws (divided by L - 1) and squared error of their mean.
    pub spread: Vec<(f64, f64)>,
}

pub(super) fn row(x: &[f32], draws: &[&[f32]]) -> Row {
    let values = |j: usize| draws.iter().map(|draw| f64::from(draw[j])).collect::<Vec<_>>();
    let crps = (0..x.len()).map(|j| crps(f64::from(x[j]), values(j))).sum::<f64>() / x.len() as f64;
    let spread = (0..x.len()).map(|j| moments(f64::from(x[j]), &values(j))).collect();
    Row { crps, energy_score: energy_score(x, draws), spread }
}

/// E|x' - x| - E|x' - x''|/2; of the L sorted draws, draw k is above k others and below L - 1 - k others.
fn crps(x: f64, mut draws: Vec<f64>) -> f64 {
    draws.sort_by(f64::total_cmp);
    let l = draws.len() as f64;
    let error = draws.iter().map(|v| (v - x).abs()).sum::<f64>() / l;
    let pairs = draws.iter().enumerate().map(|(k, v)| (2.0 * k as f64 - l + 1.0) * v).sum::<f64>();
    error - pairs / (l * (l - 1.0))
}

/// The fair energy score of two or more `draws` for the outcome `x`.
pub(crate) fn energy_score(x: &[f32], draws: &[&[f32]]) -> f64 {
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let l = draws.len() as f64;
    let error = draws.iter().map(|draw| distance(draw, x)).sum::<f64>() / l;
    let pairs: f64 =
        (0..draws.len()).map(|k| draws[..k].iter().map(|other| distance(draws[k], other)).sum::<f64>()).sum();
    error - pairs / (l * (l - 1.0))
}

fn moments(x: f64, draws: &[f64]) -> (f64, f64) {
    let l = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / l;
    let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (l - 1.0);
    (variance, (mean - x).powi(2))
}

/// Root mean squares (spread, skill) over all values, and over tenths of them in ascending order of
/// spread. The squared error of a mean of L draws exceeds that of the exact mean by variance / L,
/// which is subtracted.
pub(super) fn spread_skill(rows: &[Row], l: usize) -> (f64, f64, Vec<(f64, f64)>) {
    let mut all: Vec<(f64, f64)> = rows.iter().flat_map(|row| row.spread.iter().copied()).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let root = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        let spread = part.iter().map(|p| p.0).sum::<f64>() / n;
        let error = part.iter().map(|p| p.1).sum::<f64>() / n - spread / l as f64;
        (spread.sqrt(), error.max(0.0).sqrt())
    };
    let (spread, skill) = root(&all);
    let tenth = all.len().div_ceil(10);
    (spread, skill, all.chunks(tenth).map(root).collect())
}
