//! The look of all figures: one color per role, the same in every figure, and the fonts.

use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

/// The color of a role.
pub type RoleColor = RGBColor;

// The palette of Okabe and Ito, which color-blind readers can tell apart, and grays.
const ORANGE: RoleColor = RGBColor(230, 159, 0);
const SKY: RoleColor = RGBColor(86, 180, 233);
const GREEN: RoleColor = RGBColor(0, 158, 115);
const BLUE: RoleColor = RGBColor(0, 114, 178);
const VERMILLION: RoleColor = RGBColor(213, 94, 0);
const PURPLE: RoleColor = RGBColor(204, 121, 167);
const INK: RoleColor = RGBColor(26, 26, 26);
const GRAY: RoleColor = RGBColor(95, 95, 95);

/// The true signals.
pub const TRUTH: RoleColor = ORANGE;
/// What a run starts from.
pub const START: RoleColor = GRAY;
/// Reconstructions of a lap.
pub const RECONSTRUCTIONS: RoleColor = BLUE;
/// Posteriors: their draws together, their bands and their means.
pub const POSTERIOR: RoleColor = BLUE;
/// Single draws of posteriors, beside their means.
pub const DRAW: RoleColor = SKY;
/// The trained prior.
pub const PRIOR: RoleColor = PURPLE;
/// Observations, and reconstructions that are corrupted afresh to be compared with them.
pub const OBSERVATIONS: RoleColor = GREEN;
/// What is known in closed form.
pub const EXACT: RoleColor = VERMILLION;
/// What no estimate can be expected to pass: the score of truth against truth and the like.
pub const FLOOR: RoleColor = TRUTH;
/// A perfectly calibrated posterior.
pub const PERFECT: RoleColor = GRAY;
/// The training loss.
pub const LOSS: RoleColor = BLUE;
/// Lines where a lap begins.
pub const LAP: RoleColor = RGBColor(205, 205, 205);
/// Contenders of a comparison, in their order.
pub const CONTENDERS: [RoleColor; 6] = [BLUE, VERMILLION, GREEN, PURPLE, SKY, GRAY];

/// Headings, labels and legends.
pub const TEXT: RoleColor = INK;
/// Secondary text.
pub const NOTE: RoleColor = GRAY;
/// Frames of panels.
pub const FRAME: RoleColor = RGBColor(130, 130, 130);
/// Lines across a panel at the ticks.
pub const GRID: RoleColor = RGBColor(233, 233, 233);
/// What everything is drawn on.
pub const PAPER: RoleColor = WHITE;
/// The two stripes of a missing pixel: a muted red that no scale of values contains.
pub const MISSING: [[u8; 3]; 2] = [[196, 116, 110], [218, 156, 150]];

/// The color of a spread, from 0 to 1.
pub fn heat(share: f32) -> RoleColor {
    ViridisRGB.get_color(share)
}

/// Font of every text: the first is embedded for the PNG, a viewer of the SVG takes the first that it has.
pub const FONTS: &str = "Ubuntu, Helvetica, Arial, sans-serif";
/// Size of tick labels.
pub const SMALL: f64 = 11.0;
/// Size of headings, axis names and legends.
pub const NORMAL: f64 = 13.0;
