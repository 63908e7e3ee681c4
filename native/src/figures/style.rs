//! Style of all figures: the fonts, and one color per role, which is the same in every figure.

use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

/// The color of a role.
pub type RoleColor = RGBColor;

// Grays and the palette of Okabe and Ito, which color-blind readers can distinguish.
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
/// Reconstructions from which a run starts.
pub const START: RoleColor = GRAY;
/// Reconstructions of a lap.
pub const RECONSTRUCTIONS: RoleColor = BLUE;
/// Posteriors: all draws together, bands and means.
pub const POSTERIOR: RoleColor = BLUE;
/// Single posterior draws, shown beside posterior means.
pub const DRAW: RoleColor = SKY;
/// The trained prior.
pub const PRIOR: RoleColor = PURPLE;
/// Observations, and re-corrupted reconstructions that are compared with them.
pub const OBSERVATIONS: RoleColor = GREEN;
/// Quantities that are known in closed form.
pub const EXACT: RoleColor = VERMILLION;
/// Floors that no estimate is expected to pass, such as the score of truth against truth.
pub const FLOOR: RoleColor = TRUTH;
/// Perfect calibration.
pub const PERFECT: RoleColor = GRAY;
/// The training loss.
pub const LOSS: RoleColor = BLUE;
/// Lines at the start of each lap.
pub const LAP: RoleColor = RGBColor(205, 205, 205);
/// Contenders of a comparison, in order.
pub const CONTENDERS: [RoleColor; 6] = [BLUE, VERMILLION, GREEN, PURPLE, SKY, GRAY];

/// Headings, labels and legends.
pub const TEXT: RoleColor = INK;
/// Secondary text.
pub const NOTE: RoleColor = GRAY;
/// Frames of panels.
pub const FRAME: RoleColor = RGBColor(130, 130, 130);
/// Lines across a panel at the ticks.
pub const GRID: RoleColor = RGBColor(233, 233, 233);
/// Background of all figures.
pub const PAPER: RoleColor = WHITE;
/// The two stripe colors of a missing pixel: muted reds that occur in no color scale.
pub const MISSING: [[u8; 3]; 2] = [[196, 116, 110], [218, 156, 150]];

/// Returns the color of a standard deviation that is scaled to 0 to 1.
pub fn heat(share: f32) -> RoleColor {
    ViridisRGB.get_color(share)
}

/// Fonts of all text. The first is embedded in the PNG; a viewer of the SVG uses the first one that it has.
pub const FONTS: &str = "Ubuntu, Helvetica, Arial, sans-serif";
/// Size of tick labels.
pub const SMALL: f64 = 11.0;
/// Size of headings, axis names and legends.
pub const NORMAL: f64 = 13.0;
