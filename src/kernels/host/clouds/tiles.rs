//! Points cut into compact tiles by recursive median splits (the leaves of a k-d tree), with one
//! bounding box per tile.
//!
//! Tiles make sums over all pairs cheap in two ways: one comparison skips a tile that is far from a point,
//! and a tile that is needed is read as vectors (coordinate-major inside a tile).

use super::vector::LANES;

/// Points per tile: enough to fill vectors, few enough for tight boxes. WebAssembly's short vectors work best
/// with half as many as wide ones (512 points in the plane: a quarter faster).
pub const TILE: usize = if cfg!(target_arch = "wasm32") { LANES } else { 2 * LANES };

/// `n` points of dimension `d`, reordered; all tiles are full except the last, which is padded.
pub struct Tiles {
    n: usize,
    d: usize,
    /// `[tiles, d, TILE]`, padding at zero.
    columns: Vec<f64>,
    /// `[n, d]` in the same order.
    rows: Vec<f64>,
    /// `[tiles, d]` each.
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Tiles {
    /// Cuts the points `values` (`[n, d]`, finite, n > 0) into tiles, with all values multiplied by `scale`.
    pub fn new(values: &[f32], d: usize, scale: f64) -> Self {
        let points = Points { values, d };
        let n = values.len() / d;
        let mut order: Vec<usize> = (0..n).collect();
        split(points, &mut order);
        let rows = order.iter().flat_map(|&i| points.row(i)).map(|&x| f64::from(x) * scale).collect();
        Self { n, d, columns: vec![], rows, low: vec![], high: vec![] }.laid_out()
    }

    fn laid_out(mut self) -> Self {
        self.columns = vec![0.0; self.count() * self.d * TILE];
        for (i, row) in self.rows.chunks_exact(self.d).enumerate() {
            let start = (i / TILE) * self.d * TILE + i % TILE;
            row.iter().enumerate().for_each(|(k, &x)| self.columns[start + k * TILE] = x);
        }
        self.low = self.bounds(f64::min);
        self.high = self.bounds(f64::max);
        self
    }

    fn bounds(&self, pick: fn(f64, f64) -> f64) -> Vec<f64> {
        let corner = |tile: &[f64]| -> Vec<f64> {
            (0..self.d).map(|k| tile.iter().skip(k).step_by(self.d).copied().reduce(pick).unwrap_or(0.0)).collect()
        };
        self.rows.chunks(TILE * self.d).flat_map(corner).collect()
    }

    /// Number of points.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of tiles.
    pub fn count(&self) -> usize {
        self.n.div_ceil(TILE)
    }

    /// Point `i`, `[d]`.
    pub fn point(&self, i: usize) -> &[f64] {
        &self.rows[i * self.d..(i + 1) * self.d]
    }

    /// Tile `t`, `[d, TILE]`.
    pub fn tile(&self, t: usize) -> &[f64] {
        &self.columns[t * self.d * TILE..(t + 1) * self.d * TILE]
    }

    /// `value(i)` for every point, then `padding` up to the end of the last tile: `[tiles * TILE]`.
    pub fn padded(&self, value: impl Fn(usize) -> f64, padding: f64) -> Vec<f64> {
        (0..self.count() * TILE).map(|i| if i < self.n { value(i) } else { padding }).collect()
    }

    /// Squared distance between the box `[low, high]` and that of tile `t`.
    fn gap_to_box(&self, t: usize, low: &[f64], high: &[f64]) -> f64 {
        let (own_low, own_high) = self.corners(t);
        let mut gap = 0.0;
        for k in 0..self.d {
            let side = (own_low[k] - high[k]).max(low[k] - own_high[k]).max(0.0);
            gap += side * side;
        }
        gap
    }

    /// Lowest and highest coordinates of tile `t`, `[d]` each.
    pub fn corners(&self, t: usize) -> (&[f64], &[f64]) {
        let range = t * self.d..(t + 1) * self.d;
        (&self.low[range.clone()], &self.high[range])
    }

    /// Squared distances between the boxes of all tiles of `self` and of `other`:
    /// `[self.count(), other.count()]`.
    pub fn gaps(&self, other: &Self) -> Vec<f64> {
        let pairs = (0..self.count()).flat_map(|s| (0..other.count()).map(move |t| (s, t)));
        pairs.map(|(s, t)| other.gap_to_box(t, self.corners(s).0, self.corners(s).1)).collect()
    }
}

/// Points row by row.
#[derive(Clone, Copy)]
struct Points<'a> {
    values: &'a [f32],
    d: usize,
}

impl<'a> Points<'a> {
    fn row(self, i: usize) -> &'a [f32] {
        &self.values[i * self.d..(i + 1) * self.d]
    }
}

/// Splits `order` at the median of its widest coordinate, and the halves again, down to single tiles. Splits
/// fall on multiples of [`TILE`], so that only the last tile is not full.
fn split(points: Points, order: &mut [usize]) {
    let tiles = order.len().div_ceil(TILE);
    if tiles < 2 {
        return;
    }
    let k = widest(points, order);
    let cut = tiles / 2 * TILE;
    order.select_nth_unstable_by(cut, |&i, &j| points.row(i)[k].total_cmp(&points.row(j)[k]));
    let (left, right) = order.split_at_mut(cut);
    split(points, left);
    split(points, right);
}

fn widest(points: Points, order: &[usize]) -> usize {
    let width = |k: usize| {
        let values = || order.iter().map(|&i| points.row(i)[k]);
        values().fold(f32::MIN, f32::max) - values().fold(f32::MAX, f32::min)
    };
    (0..points.d).max_by(|&a, &b| width(a).total_cmp(&width(b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles() -> (Vec<f32>, Tiles) {
        let values: Vec<f32> = (0..2 * 300).map(|i| (i as f32 * 7.7).sin()).collect();
        let tiles = Tiles::new(&values, 2, 2.0);
        (values, tiles)
    }

    #[test]
    fn every_point_is_kept_once() {
        let (values, tiles) = tiles();
        let mut expected: Vec<Vec<f64>> =
            values.chunks_exact(2).map(|r| r.iter().map(|&x| 2.0 * f64::from(x)).collect()).collect();
        let mut found: Vec<Vec<f64>> = (0..tiles.n()).map(|i| tiles.point(i).to_vec()).collect();
        for rows in [&mut expected, &mut found] {
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        }
        assert_eq!(expected, found);
    }

    #[test]
    fn both_layouts_and_the_boxes_agree() {
        let (_, tiles) = tiles();
        for i in 0..tiles.n() {
            let (low, high) = tiles.corners(i / TILE);
            for (k, &x) in tiles.point(i).iter().enumerate() {
                assert_eq!(tiles.tile(i / TILE)[k * TILE + i % TILE], x);
                assert!(low[k] <= x && x <= high[k]);
            }
        }
    }

    #[test]
    fn gaps_are_lower_bounds_and_not_all_zero() {
        let (_, tiles) = tiles();
        let gaps = tiles.gaps(&tiles);
        for (i, j) in (0..tiles.n()).flat_map(|i| (0..tiles.n()).map(move |j| (i, j))) {
            let square: f64 = tiles.point(i).iter().zip(tiles.point(j)).map(|(a, b)| (a - b).powi(2)).sum();
            assert!(square >= gaps[(i / TILE) * tiles.count() + j / TILE]);
        }
        assert!(gaps.iter().any(|&gap| gap > 0.01));
    }
}
