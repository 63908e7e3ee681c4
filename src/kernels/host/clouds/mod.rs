//! Sums over all pairs of points of two clouds, in f64.

mod distances;
mod softmin;
mod tiles;
mod vector;

pub use distances::sum_of_distances;
pub use softmin::{Pass, Potential, Row};
pub use tiles::{TILE, Tiles};
