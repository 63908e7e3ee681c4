//! A panel: a plotting area with a frame and two axes.

use anyhow::Result;
use plotters::prelude::*;

use super::axis::Axis;
use super::canvas::{Area, Rect, line, units};
use super::text::font;
use crate::figures::style::{FRAME, GRID, NORMAL, SMALL, TEXT};

/// A panel with its two axes.
pub type Panel<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// Height that a labeled axis needs below its panel; see [`Axis::room`] for the width at the left.
pub const MARGIN_BELOW: f64 = 42.0;

/// Draws the frame, ticks, grid and labels of a panel with the plotting area `rect`; labels lie outside
/// `rect`.
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
        .label_style(font(SMALL, TEXT))
        .axis_desc_style(font(NORMAL, TEXT))
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
