//! Tiles of an image grid, drawn as embedded PNGs, and the keys that explain their colors.

use std::fmt::Write as _;
use std::io::Cursor;

use anyhow::Result;
use base64::Engine as _;
use diffem::image::ImageShape;
use image::{ImageFormat, Rgb, RgbImage};
use plotters::prelude::*;

use super::axis::short;
use super::canvas::{Area, units};
use super::text::{Align, text, text_width};
use crate::figures::style::{self, MISSING, SMALL, TEXT};

/// Layout of an image's values: `[channels, height, width]`, row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of channels: 1 (gray) or 3 (red, green, blue).
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl From<ImageShape> for Shape {
    fn from(ImageShape { channels, height, width }: ImageShape) -> Self {
        Self { channels, height, width }
    }
}

/// One image.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// Values `[channels, height, width]`.
    pub values: &'a [f32],
    /// Mask `[height, width]` of the observed pixels. Other pixels, and those that are not finite, are
    /// hatched in red.
    pub known: Option<&'a [bool]>,
}

/// Returns which pixels a mask observes, one entry per pixel. If the mask has one entry per value, a pixel is
/// observed if one of its colors is. The result is empty for other operators.
pub fn known(a: &[f32], shape: Shape) -> Vec<bool> {
    let pixels = shape.height * shape.width;
    if a.is_empty() || !a.len().is_multiple_of(pixels) || a.len() > shape.channels * pixels {
        return Vec::new();
    }
    (0..pixels).map(|i| a[i..].iter().step_by(pixels).any(|a| *a != 0.0)).collect()
}

/// Mapping from values to colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// Black to white for gray images, else red, green and blue unchanged.
    Natural,
    /// Viridis for the mean over the channels, used for standard deviations.
    Heat,
}

/// A color scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Values at the two ends; values beyond an end get its color.
    pub range: (f32, f32),
    pub colors: Colors,
}

/// Pixel values at the ends of the gray or color scale.
pub const RANGE: (f32, f32) = (diffem::image::PIXEL_MIN, diffem::image::PIXEL_MAX);

impl Tile<'_> {
    /// Draws the tile with each pixel enlarged to `zoom x zoom`.
    pub fn picture(&self, shape: Shape, scale: Scale, zoom: usize) -> RgbImage {
        RgbImage::from_fn((shape.width * zoom) as u32, (shape.height * zoom) as u32, |x, y| {
            let pixel = (y as usize / zoom) * shape.width + x as usize / zoom;
            Rgb(self.color(pixel, shape, scale).unwrap_or_else(|| hatch(x, y)))
        })
    }

    /// Returns the color of one pixel, or `None` if it is missing.
    fn color(&self, pixel: usize, shape: Shape, scale: Scale) -> Option<[u8; 3]> {
        let plane = shape.height * shape.width;
        // The channel of a gray image is repeated three times.
        let values = [0, 1, 2].map(|c| self.values[(c % shape.channels) * plane + pixel]);
        let known = self.known.is_none_or(|known| known[pixel]) && values.iter().all(|v| v.is_finite());
        let (lo, hi) = scale.range;
        known.then(|| paint(scale.colors, values.map(|value| ((value - lo) / (hi - lo)).clamp(0.0, 1.0))))
    }

    /// Returns whether any pixel is missing or not finite.
    pub fn misses_some(&self) -> bool {
        self.values.iter().any(|v| !v.is_finite()) || self.known.is_some_and(|known| known.contains(&false))
    }
}

fn paint(colors: Colors, shares: [f32; 3]) -> [u8; 3] {
    match colors {
        Colors::Natural => shares.map(|share| (255.0 * share).round() as u8),
        Colors::Heat => {
            let RGBColor(r, g, b) = style::heat(shares.iter().sum::<f32>() / 3.0);
            [r, g, b]
        }
    }
}

/// Returns the color of diagonal stripes, which cannot be confused with image values.
fn hatch(x: u32, y: u32) -> [u8; 3] {
    MISSING[((x + y) / 4 % 2) as usize]
}

/// Adds a picture to a layer of raw SVG, at half its size in pixels.
pub fn embed(layer: &mut String, picture: &RgbImage, at: (f64, f64)) -> Result<()> {
    let mut png = Vec::new();
    picture.write_to(&mut Cursor::new(&mut png), ImageFormat::Png)?;
    let (w, h) = (f64::from(picture.width()) / 2.0, f64::from(picture.height()) / 2.0);
    let data = base64::engine::general_purpose::STANDARD.encode(png);
    writeln!(
        layer,
        "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" image-rendering=\"optimizeSpeed\" \
         xlink:href=\"data:image/png;base64,{data}\"/>",
        units(at.0),
        units(at.1),
        units(w),
        units(h)
    )?;
    Ok(())
}

/// One entry below the grid: a color scale with its end values, or the hatching of missing pixels.
#[derive(Debug, PartialEq)]
pub struct Key {
    name: String,
    scale: Option<Scale>,
}

/// Width of a color scale in pixels.
const BAR: u32 = 80;
const GAP: f64 = 6.0;

impl Key {
    /// Creates the key of a color scale.
    pub fn scale(name: &str, scale: Scale) -> Self {
        Self { name: name.into(), scale: Some(scale) }
    }

    /// Creates the key of missing pixels.
    pub fn missing() -> Self {
        Self { name: "missing".into(), scale: None }
    }

    /// Text to the right of the bar.
    fn label(&self) -> String {
        let end = |v: f32| short(f64::from(v));
        match self.scale {
            Some(Scale { range: (lo, hi), .. }) => {
                format!("{}, {} to {}", self.name, end(lo), end(hi))
            }
            None => self.name.clone(),
        }
    }

    /// Width in pixels from the left of the bar to the end of the label.
    pub fn width(&self) -> f64 {
        f64::from(self.bar_width()) + GAP + text_width(&self.label(), SMALL)
    }

    fn bar_width(&self) -> u32 {
        if self.scale.is_some() { BAR } else { 12 }
    }

    /// Draws the key with the center of its left edge at `(x, y)`.
    pub fn draw(&self, area: &Area<'_>, layer: &mut String, (x, y): (f64, f64)) -> Result<()> {
        let columns = 2 * self.bar_width();
        let bar = RgbImage::from_fn(columns, 24, |px, py| {
            Rgb(match self.scale {
                Some(scale) => paint(scale.colors, [px as f32 / (columns - 1) as f32; 3]),
                None => hatch(px, py),
            })
        });
        embed(layer, &bar, (x, y - 6.0))?;
        text(area, &self.label(), (x + f64::from(self.bar_width()) + GAP, y), SMALL, TEXT, Align::Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };
    const UNIT: Scale = Scale { range: (0.0, 1.0), colors: Colors::Natural };

    #[test]
    fn pixels_get_their_color_and_missing_ones_the_hatch() {
        let mut values: Vec<f32> = (0..64).map(|i| (i % 2) as f32).collect();
        values[63] = f32::NAN;
        let known: Vec<bool> = (0..64).map(|i| i >= 8).collect();
        let tile = Tile { values: &values, known: Some(&known) };
        let picture = tile.picture(SHAPE, UNIT, 18);
        assert_eq!(picture.dimensions(), (144, 144));
        assert_eq!([(20, 30), (10, 30)].map(|(x, y)| picture.get_pixel(x, y).0), [[255; 3], [0; 3]]);
        assert!([(20, 9), (140, 140)].iter().all(|&(x, y)| MISSING.contains(&picture.get_pixel(x, y).0)));
        assert!(tile.misses_some() && !Tile { values: &values[..63], known: None }.misses_some());
    }

    #[test]
    fn color_images_are_channel_first() {
        let values = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let shape = Shape { channels: 3, height: 1, width: 2 };
        let picture = Tile { values: &values, known: None }.picture(shape, UNIT, 1);
        assert_eq!([0, 1].map(|x| picture.get_pixel(x, 0).0), [[255, 0, 0], [0, 0, 255]]);
    }

    #[test]
    fn keys_print_the_ends_of_their_scale() {
        let key = Key::scale("deviation", Scale { range: (0.0, 0.123_456), colors: Colors::Heat });
        assert_eq!((key.label().as_str(), Key::missing().label().as_str()), ("deviation, 0 to 0.123", "missing"));
    }
}
