//! Figures: a kind of figure per file, drawn as SVG and saved as SVG and PNG.

pub mod calibration;
pub mod chart;
pub mod comparisons;
pub mod corner;
pub mod curves;
pub mod fan;
pub mod grid;
pub mod loss;
pub mod save;
