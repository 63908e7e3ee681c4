//! The sheet on which every figure is drawn: plotters writes the SVG, and this module gives all figures the
//! same look.
//!
//! plotters places elements at whole pixels. The sheet therefore uses units of a tenth of a pixel, which the
//! SVG's `viewBox` scales down. All lengths in this module's interface are in pixels.

use std::fmt::Write as _;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::style::{PAPER, RoleColor};

/// The drawing surface.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Number of the sheet's units per pixel.
pub const UNITS: f64 = 10.0;

/// Converts pixels to the sheet's units.
pub fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

/// A rectangle in pixels, where `x` increases to the right and `y` downward.
#[derive(Clone, Copy, Debug)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// Draws a figure of `width x height` pixels on white and returns the SVG. `paint` receives the surface
/// and a layer of raw SVG (in the sheet's units) that lies above it.
pub fn sheet(
    width: f64,
    height: f64,
    paint: impl for<'a> FnOnce(&Area<'a>, &mut String) -> Result<()>,
) -> Result<String> {
    // A fractional pixel would leave an edge that the white background does not cover.
    let (width, height) = (width.ceil(), height.ceil());
    let (mut svg, mut layer) = (String::new(), String::new());
    {
        let area = SVGBackend::with_string(&mut svg, (units(width) as u32, units(height) as u32)).into_drawing_area();
        area.fill(&PAPER)?;
        paint(&area, &mut layer)?;
        area.present()?;
    }
    let body = svg.split_once('>').map_or("", |(_, rest)| rest).trim_end().trim_end_matches("</svg>");
    let (w, h) = (units(width), units(height));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {w} {h}\" stroke-linejoin=\"round\">{body}{layer}</svg>\n"
    ))
}

/// Returns the style of a line of `width` pixels.
pub fn line(color: RoleColor, alpha: f64, width: f64) -> ShapeStyle {
    color.mix(alpha).stroke_width(units(width) as u32)
}

/// Number of dots per path. It is small because overlapping dots within a path do not darken each other.
const DOTS_PER_PATH: usize = 24;

/// Adds round dots of `radius` pixels at `points` (in the sheet's units) to a layer of raw SVG. A dot takes
/// about 10 bytes, whereas a circle element takes 80.
pub fn dots(layer: &mut String, points: &[(i32, i32)], color: RoleColor, alpha: f64, radius: f64) {
    let width = units(2.0 * radius);
    let RGBColor(r, g, b) = color;
    // Writing to a String cannot fail.
    let _ = write!(
        layer,
        "<g fill=\"none\" stroke=\"#{r:02x}{g:02x}{b:02x}\" stroke-opacity=\"{alpha}\" stroke-width=\"{width}\" \
         stroke-linecap=\"round\">"
    );
    for chunk in points.chunks(DOTS_PER_PATH) {
        let _ = write!(layer, "<path d=\"{}\"/>", dot_path(chunk));
    }
    layer.push_str("</g>\n");
}

/// Returns the path of the dots: lines of zero length, each drawn as its round cap.
fn dot_path(points: &[(i32, i32)]) -> String {
    let (mut path, mut last) = (String::from("M"), None);
    for &(x, y) in points {
        let (from_x, from_y) = last.unwrap_or((0, 0));
        let (dx, dy) = (x - from_x, y - from_y);
        let separator = if dy < 0 { "" } else { " " };
        let _ = write!(path, "{}{dx}{separator}{dy}h0", if last.is_some() { "m" } else { "" });
        last = Some((x, y));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_relative_moves_that_end_where_they_should() {
        assert_eq!(dot_path(&[(10, 20), (15, 18), (0, 18)]), "M10 20h0m5-2h0m-15 0h0");
    }
}
