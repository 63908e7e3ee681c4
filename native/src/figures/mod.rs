//! Figures: one kind of figure per module, drawn as SVG and saved as SVG and PNG.

mod calibration;
mod chart;
pub mod comparisons;
pub mod contenders;
mod corner;
mod curves;
mod fan;
mod grid;
mod history;
mod loss;
mod observed;
mod posteriors;
pub mod run;
mod save;
mod style;
