//! Building blocks of SVG charts: canvas, text, axes and panels, legends and tiles.

pub mod axis;
pub mod canvas;
pub mod legend;
pub mod marks;
pub mod panel;
pub mod single;
pub mod text;
pub mod tiles;
