//! The sheet that every figure is drawn on: plotters writes the SVG, this module keeps its look the same everywhere.
//!
//! plotters places things on whole pixels. The sheet therefore counts in tenths of a pixel and lets the SVG's `viewBox`
//! scale it down. All lengths in this module's interface are pixels.

use std::fmt::Write as _;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;

/// A color of a series.
pub type SeriesColor = RGBColor;
/// The drawing surface.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A panel with its two axes.
pub type Panel<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// Okabe-Ito blue.
pub const BLUE: SeriesColor = RGBColor(0, 114, 178);
/// Okabe-Ito vermillion.
pub const VERMILLION: SeriesColor = RGBColor(213, 94, 0);
/// Okabe-Ito bluish green.
pub const GREEN: SeriesColor = RGBColor(0, 158, 115);
/// Okabe-Ito reddish purple.
pub const PURPLE: SeriesColor = RGBColor(204, 121, 167);
/// Okabe-Ito orange.
pub const ORANGE: SeriesColor = RGBColor(230, 159, 0);
/// Near black: text and truth.
pub const INK: SeriesColor = RGBColor(26, 26, 26);
/// Secondary text.
pub const GRAY: SeriesColor = RGBColor(95, 95, 95);
const FRAME: SeriesColor = RGBColor(130, 130, 130);
const GRID: SeriesColor = RGBColor(233, 233, 233);

/// Font of every text: the first is embedded for the PNG, a viewer of the SVG takes the first that it has.
pub const FONTS: &str = "Ubuntu, Helvetica, Arial, sans-serif";
/// Size of tick labels.
pub const SMALL: f64 = 11.0;
/// Size of headings, axis names and legends.
pub const NORMAL: f64 = 13.0;

const UNITS: f64 = 10.0;

/// Pixels in the sheet's units.
pub fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

/// A rectangle in pixels, `x` to the right and `y` down.
#[derive(Clone, Copy, Debug)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// Draws a figure of `width x height` pixels on white and returns the SVG. `paint` gets the surface and a layer of
/// raw SVG (in the sheet's units) that ends up above it.
pub fn sheet(
    width: f64,
    height: f64,
    paint: impl for<'a> FnOnce(&Area<'a>, &mut String) -> Result<()>,
) -> Result<String> {
    // A fraction of a pixel would leave an edge that the white does not reach.
    let (width, height) = (width.ceil(), height.ceil());
    let (mut svg, mut layer) = (String::new(), String::new());
    {
        let area = SVGBackend::with_string(&mut svg, (units(width) as u32, units(height) as u32)).into_drawing_area();
        area.fill(&WHITE)?;
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

/// A font of `size` pixels in `color`. plotters-svg divides sizes by 1.24, which is undone here.
fn font(size: f64, color: SeriesColor) -> TextStyle<'static> {
    let style = TextStyle::from((FONTS, size * UNITS * 1.24).into_font());
    TextStyle { color: color.to_backend_color(), ..style }
}

/// A line of `width` pixels.
pub fn line(color: SeriesColor, alpha: f64, width: f64) -> ShapeStyle {
    color.mix(alpha).stroke_width(units(width) as u32)
}

/// Where a text's given point lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Center,
}

/// Writes one line of text, vertically centered on `y`.
pub fn text(area: &Area<'_>, words: &str, at: (f64, f64), size: f64, color: SeriesColor, align: Align) -> Result<()> {
    let horizontal = match align {
        Align::Left => HPos::Left,
        Align::Center => HPos::Center,
    };
    // plotters-svg's "center" is half an x-height below the point; the correction centers capitals instead.
    let style = font(size, color).pos(Pos::new(horizontal, VPos::Center));
    Ok(area.draw_text(words, &style, (units(at.0), units(at.1 + 0.1 * size)))?)
}

/// Width of a text in pixels by the widths of Helvetica, since a sheet knows no fonts; Ubuntu Light is a little narrower.
pub fn text_width(words: &str, size: f64) -> f64 {
    words.chars().map(letter_width).sum::<f64>() * size
}

fn letter_width(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => 0.28,
        'f' | 't' | 'r' | 'I' | '-' | '(' | ')' | '[' | ']' | '/' => 0.34,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.86,
        'A'..='Z' => 0.71,
        _ => 0.56,
    }
}

/// Writes `words` over as many lines as fit into `width`.
pub fn paragraph(
    area: &Area<'_>,
    words: &str,
    at: (f64, f64),
    width: f64,
    size: f64,
    color: SeriesColor,
) -> Result<()> {
    for (i, row) in wrapped(words, width, size).iter().enumerate() {
        text(area, row, (at.0, at.1 + i as f64 * 1.4 * size), size, color, Align::Left)?;
    }
    Ok(())
}

/// `words` in lines no wider than `width`, a longer word excepted.
pub fn wrapped(words: &str, width: f64, size: f64) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match rows.last_mut() {
            Some(row) if text_width(row, size) + text_width(word, size) + size < width => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_string()),
        }
    }
    rows
}

/// Room that a labelled axis needs below its panel; see [`Axis::room`] for the left.
pub const MARGIN_BELOW: f64 = 42.0;

/// Draws frame, ticks, grid and labels of a panel whose plotting area is `rect`; labels lie outside `rect`.
pub fn panel<'a>(area: &Area<'a>, rect: Rect, x: &Axis, y: &Axis) -> Result<Panel<'a>> {
    let left = y.room();
    let below = if x.labelled { MARGIN_BELOW } else { 0.0 };
    let outer =
        area.clone().shrink((units(rect.x - left), units(rect.y)), (units(rect.w + left), units(rect.h + below)));
    let mut panel = ChartBuilder::on(&outer)
        .x_label_area_size(units(below))
        .y_label_area_size(units(left))
        .build_cartesian_2d(x.clone(), y.clone())?;
    mesh(&mut panel, x, y)?;
    frame(&mut panel, x, y)?;
    Ok(panel)
}

fn mesh(panel: &mut Panel<'_>, x: &Axis, y: &Axis) -> Result<()> {
    let mut mesh = panel.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(line(GRID, 1.0, 0.8))
        .axis_style(line(FRAME, 1.0, 0.8))
        .label_style(font(SMALL, INK))
        .axis_desc_style(font(NORMAL, INK))
        .set_all_tick_mark_size(units(4.0))
        .x_desc(&x.name)
        .y_desc(&y.name);
    if !x.grid {
        mesh.disable_x_mesh();
    }
    if !y.grid {
        mesh.disable_y_mesh();
    }
    Ok(mesh.draw()?)
}

fn frame(panel: &mut Panel<'_>, x: &Axis, y: &Axis) -> Result<()> {
    let ((l, r), (b, t)) = (x.limits, y.limits);
    let corners = vec![(l, b), (r, b), (r, t), (l, t), (l, b)];
    panel.draw_series([PathElement::new(corners, line(FRAME, 1.0, 0.8))])?;
    Ok(())
}

/// Dots that share a path; within a path overlap does not darken, so few share one.
const DOTS_PER_PATH: usize = 24;

/// Adds round dots of `radius` pixels at `points` (the sheet's units) to a layer of raw SVG: about 10 bytes a dot,
/// where a circle element takes 80.
pub fn dots(layer: &mut String, points: &[(i32, i32)], color: SeriesColor, alpha: f64, radius: f64) {
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

/// Lines of no length, each drawn as its round cap.
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
    fn a_sheet_is_well_formed_scaled_and_keeps_the_layer_on_top() {
        let svg = sheet(120.0, 60.0, |area, layer| {
            layer.push_str("<g id=\"top\"/>");
            text(area, "a < b & c", (60.0, 30.0), NORMAL, INK, Align::Center)
        })
        .unwrap();
        assert_eq!(parsed_size(&svg), (120.0, 60.0));
        assert!(svg.contains("viewBox=\"0 0 1200 600\"") && svg.contains("a &lt; b &amp; c"));
        assert!(svg.find("<text").unwrap() < svg.find("id=\"top\"").unwrap());
    }

    fn parsed_size(svg: &str) -> (f32, f32) {
        let tree = resvg::usvg::Tree::from_str(svg, &resvg::usvg::Options::default()).unwrap();
        (tree.size().width(), tree.size().height())
    }

    #[test]
    fn dots_are_relative_moves_that_end_where_they_should() {
        assert_eq!(dot_path(&[(10, 20), (15, 18), (0, 18)]), "M10 20h0m5-2h0m-15 0h0");
    }

    #[test]
    fn paragraphs_break_between_words() {
        let rows = wrapped("one two three four five six", 80.0, 10.0);
        assert_eq!(rows.join(" "), "one two three four five six");
        assert!(rows.len() > 1 && rows.iter().all(|row| text_width(row, 10.0) < 80.0), "{rows:?}");
    }
}
