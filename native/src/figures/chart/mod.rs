//! Charts in SVG: the canvas, its axes, legends and tiles.

pub mod axis;
pub mod canvas;
pub mod legend;
pub mod tiles;
