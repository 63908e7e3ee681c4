//! The inner sum of Sinkhorn's algorithm, over the pairs that matter.
//!
//! ```text
//! L_i = ln Σ_j exp(g_j - |x_i - y_j|²)        C_i = Σ_j |x_i - y_j|² exp(g_j - |x_i - y_j|² - L_i)
//! ```
//!
//! Coordinates are already divided by √reg, and potentials by reg. No y of a tile adds more than
//! exp(max g - gap²) to row i, where `gap²` is the squared distance to the tile's box. If that is below
//! exp(-36) / n of the row's largest term so far, the tile is skipped. The sum of all that is skipped is then
//! below exp(-36) = 2e-16 of the total, which is f64 rounding. The tile that held a row's largest term in the
//! previous pass is summed first, so that nearly all others can be skipped.

use super::tiles::{TILE, Tiles};
use super::vector::{self, Kernel, LANES};

/// A term whose logarithm is below that of a row's largest term by this much plus ln n is under f64 rounding.
const NEGLIGIBLE: f64 = 36.0;

/// Σ exp(s) and Σ c exp(s) of one row, relative to its largest term: exp(`peak`) `sum`, exp(`peak`) `cost`.
#[derive(Clone)]
pub struct Row {
    peak: f64,
    sum: f64,
    cost: f64,
    /// The tile that held the largest term.
    tile: usize,
}

impl Row {
    /// ln Σ_j exp(g_j - c_ij).
    pub fn log_sum(&self) -> f64 {
        self.peak + self.sum.ln()
    }

    /// The mean cost Σ_j c_ij P_ij / Σ_j P_ij; zero unless the pass computed the costs.
    pub fn mean_cost(&self) -> f64 {
        self.cost / self.sum
    }

    fn clear(&mut self) {
        (self.peak, self.sum, self.cost) = (f64::NEG_INFINITY, 0.0, 0.0);
    }

    /// Makes `peak`, found in tile `tile`, the reference if it is larger.
    #[inline(always)]
    fn raise(&mut self, peak: f64, tile: usize) {
        if peak > self.peak {
            let shrink = (self.peak - peak).exp();
            (self.peak, self.tile) = (peak, tile);
            (self.sum, self.cost) = (self.sum * shrink, self.cost * shrink);
        }
    }
}

/// Potentials g of one side, `[tiles * TILE]`, minus infinity in the padding.
pub struct Potential {
    values: Vec<f64>,
    /// The largest value of each tile.
    peaks: Vec<f64>,
}

impl Potential {
    /// g_i = `value(i)` on the points of `tiles`.
    pub fn new(tiles: &Tiles, value: impl Fn(usize) -> f64) -> Self {
        let values = tiles.padded(value, f64::NEG_INFINITY);
        let peaks =
            values.chunks_exact(TILE).map(|tile| tile.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect();
        Self { values, peaks }
    }

    /// g_i.
    pub fn at(&self, i: usize) -> f64 {
        self.values[i]
    }
}

/// Sums over the points of `columns` at every point of `rows`.
pub struct Pass<'a> {
    rows: &'a Tiles,
    columns: &'a Tiles,
    gaps: Vec<f64>,
    negligible: f64,
}

impl<'a> Pass<'a> {
    /// Prepares the pass: squared distances between boxes, `[rows.count(), columns.count()]`.
    pub fn new(rows: &'a Tiles, columns: &'a Tiles) -> Self {
        let negligible = NEGLIGIBLE + (columns.n() as f64).ln();
        Self { rows, columns, gaps: rows.gaps(columns), negligible }
    }

    /// Empty sums, `[rows.n()]`, to be passed to every pass in turn: they remember the tile to begin with.
    pub fn start(&self) -> Vec<Row> {
        let nearest = |i: usize| {
            let gaps = self.gaps_of(i / TILE);
            (0..gaps.len()).min_by(|&a, &b| gaps[a].total_cmp(&gaps[b])).unwrap_or(0)
        };
        (0..self.rows.n()).map(|i| Row { peak: 0.0, sum: 0.0, cost: 0.0, tile: nearest(i) }).collect()
    }

    /// Computes the sums of the rows of tile `block` under `potential`.
    pub fn log_sums(&self, potential: &Potential, block: usize, sums: &mut [Row]) {
        vector::run_widest(Block::<false> { pass: self, potential, block, sums });
    }

    /// [`Pass::log_sums`] and the sums of the costs.
    pub fn costs(&self, potential: &Potential, block: usize, sums: &mut [Row]) {
        vector::run_widest(Block::<true> { pass: self, potential, block, sums });
    }

    fn gaps_of(&self, block: usize) -> &[f64] {
        &self.gaps[block * self.columns.count()..][..self.columns.count()]
    }
}

/// The rows of one tile.
struct Block<'a, const COST: bool> {
    pass: &'a Pass<'a>,
    potential: &'a Potential,
    block: usize,
    sums: &'a mut [Row],
}

impl<const COST: bool> Kernel for Block<'_, COST> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let mut first = [0; TILE];
        for (tile, row) in first.iter_mut().zip(&mut *self.sums) {
            *tile = row.tile;
            row.clear();
        }
        for (i, &tile) in first.iter().enumerate().take(self.sums.len()) {
            self.add::<FMA>(i, tile);
        }
        let floor = self.sums.iter().map(|row| row.peak).fold(f64::INFINITY, f64::min) - self.pass.negligible;
        for tile in 0..self.pass.columns.count() {
            if self.potential.peaks[tile] - self.pass.gaps_of(self.block)[tile] >= floor {
                self.add_tile::<FMA>(tile, &first);
            }
        }
    }
}

impl<const COST: bool> Block<'_, COST> {
    #[inline(always)]
    fn point(&self, i: usize) -> &[f64] {
        self.pass.rows.point(self.block * TILE + i)
    }

    /// Adds the terms of `tile` to every row that they affect, except those that began with it.
    #[inline(always)]
    fn add_tile<const FMA: bool>(&mut self, tile: usize, first: &[usize; TILE]) {
        let (low, high) = self.pass.columns.corners(tile);
        let rows = self.pass.rows.tile(self.block);
        for lane in (0..self.sums.len()).step_by(LANES) {
            let gaps = vector::squared_gaps::<FMA>(low, high, &rows[lane..], TILE);
            for i in lane..self.sums.len().min(lane + LANES) {
                let bound = self.potential.peaks[tile] - gaps[i - lane];
                if first[i] != tile && bound >= self.sums[i].peak - self.pass.negligible {
                    self.add::<FMA>(i, tile);
                }
            }
        }
    }

    /// Adds the terms of `tile` to row `i`.
    #[inline(always)]
    fn add<const FMA: bool>(&mut self, i: usize, tile: usize) {
        let columns = self.pass.columns.tile(tile);
        let potential = &self.potential.values[tile * TILE..];
        for lane in (0..TILE).step_by(LANES) {
            let costs = vector::squared_distances::<FMA>(self.point(i), &columns[lane..], TILE);
            let g = potential[lane..].first_chunk().expect("a tile is a multiple of LANES");
            self.add_lanes::<FMA>(i, tile, g, &costs);
        }
    }

    #[inline(always)]
    fn add_lanes<const FMA: bool>(&mut self, i: usize, tile: usize, g: &[f64; LANES], costs: &[f64; LANES]) {
        let mut terms = [0.0; LANES];
        for j in 0..LANES {
            terms[j] = g[j] - costs[j];
        }
        let peak = vector::maximum(&terms);
        let row = &mut self.sums[i];
        if peak < row.peak - self.pass.negligible || peak == f64::NEG_INFINITY {
            return;
        }
        row.raise(peak, tile);
        for term in &mut terms {
            *term = vector::exp::<FMA>(*term - row.peak);
        }
        row.sum += vector::sum(&terms);
        if COST {
            for j in 0..LANES {
                terms[j] *= costs[j];
            }
            row.cost += vector::sum(&terms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(n: usize, seed: f32, spread: f32) -> Tiles {
        let value = |i: usize| ((i as f32 + seed) * 12.9898).sin() * spread;
        Tiles::new(&(0..3 * n).map(value).collect::<Vec<_>>(), 3, 1.0)
    }

    /// ln Σ exp(g - c) and the mean of c under it, over all pairs, without shortcuts.
    fn plainly(x: &[f64], columns: &Tiles, g: &Potential) -> (f64, f64) {
        let cost = |j: usize| x.iter().zip(columns.point(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let peak = (0..columns.n()).map(|j| g.at(j) - cost(j)).fold(f64::NEG_INFINITY, f64::max);
        let weight = |j: usize| (g.at(j) - cost(j) - peak).exp();
        let total: f64 = (0..columns.n()).map(weight).sum();
        (peak + total.ln(), (0..columns.n()).map(|j| cost(j) * weight(j)).sum::<f64>() / total)
    }

    fn check(rows: &Tiles, columns: &Tiles, g: &Potential, pass: &Pass, sums: &mut [Row]) {
        sums.chunks_mut(TILE).enumerate().for_each(|(block, sums)| pass.costs(g, block, sums));
        for (i, row) in sums.iter().enumerate() {
            let (log_sum, mean_cost) = plainly(rows.point(i), columns, g);
            assert!(
                (row.log_sum() - log_sum).abs() < 1e-12 * log_sum.abs().max(1.0),
                "{i} {} {log_sum}",
                row.log_sum()
            );
            assert!((row.mean_cost() / mean_cost - 1.0).abs() < 1e-12, "{i} {} {mean_cost}", row.mean_cost());
        }
    }

    /// Covers wide clouds (most tiles are skipped), narrow ones (none is), and potentials that move the
    /// largest term elsewhere between two passes over the same sums.
    #[test]
    fn leaving_tiles_out_changes_nothing() {
        for spread in [0.5, 4.0, 60.0] {
            let (rows, columns) = (cloud(333, 0.0, spread), cloud(500, 5000.0, spread));
            let pass = Pass::new(&rows, &columns);
            let mut sums = pass.start();
            for height in [0.0, 1.0, 300.0, -2e4, 2e6] {
                let g = Potential::new(&columns, |j| height * (j as f64).cos());
                check(&rows, &columns, &g, &pass, &mut sums);
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_sums() {
        let (rows, columns) = (cloud(TILE - 5, 0.0, 3.0), cloud(300, 700.0, 3.0));
        let (pass, potential) = (Pass::new(&rows, &columns), Potential::new(&columns, |j| (j as f64).sin()));
        let (mut widest, mut fused, mut plain) = (pass.start(), pass.start(), pass.start());
        let block = |sums| Block::<true> { pass: &pass, potential: &potential, block: 0, sums };
        vector::run_widest(block(&mut widest));
        block(&mut fused).run::<true>();
        block(&mut plain).run::<false>();
        for ((a, b), c) in widest.iter().zip(&fused).zip(&plain) {
            assert!((a.log_sum() - b.log_sum()).abs() < 1e-13 && (a.log_sum() - c.log_sum()).abs() < 1e-13);
            assert!((a.mean_cost() / b.mean_cost() - 1.0).abs() < 1e-13);
            assert!((a.mean_cost() / c.mean_cost() - 1.0).abs() < 1e-13);
        }
    }

    #[test]
    fn most_tiles_of_wide_clouds_are_left_out() {
        let (rows, columns) = (cloud(2000, 0.0, 60.0), cloud(2000, 9000.0, 60.0));
        let pass = Pass::new(&rows, &columns);
        let near = pass.gaps.iter().filter(|&&gap| gap < NEGLIGIBLE).count();
        assert!(near * 4 < pass.gaps.len(), "{near} of {}", pass.gaps.len());
    }
}
