//! Sums of distances.

use super::tiles::{TILE, Tiles};
use super::vector::{self, Kernel, LANES};
use std::ops::Range;

/// Σ w_y |x - y| over the `points` x of `rows` and the points y of the `tiles` of `columns`; `weights`,
/// `[columns.count() * TILE]`, are zero in the padding.
pub fn sum_of_distances(
    rows: &Tiles,
    points: Range<usize>,
    columns: &Tiles,
    tiles: Range<usize>,
    weights: &[f64],
) -> f64 {
    vector::run_widest(Block { rows, columns, weights, points, tiles })
}

/// Distances from some points to some tiles.
struct Block<'a> {
    rows: &'a Tiles,
    columns: &'a Tiles,
    weights: &'a [f64],
    points: Range<usize>,
    tiles: Range<usize>,
}

impl Kernel for Block<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut sums = [0.0; LANES];
        for tile in self.tiles {
            for lane in (0..TILE).step_by(LANES) {
                let columns = &self.columns.tile(tile)[lane..];
                let weights = &self.weights[tile * TILE + lane..][..LANES];
                for i in self.points.clone() {
                    let squares = vector::squared_distances::<FMA>(self.rows.point(i), columns, TILE);
                    for j in 0..LANES {
                        sums[j] += weights[j] * squares[j].sqrt();
                    }
                }
            }
        }
        vector::sum(&sums)
    }
}
