//! Signals as 8-bit pictures and PNG files.

use crate::files;
#[cfg(test)]
use anyhow::Context;
use anyhow::{Result, bail};
use diffem::image::{ImageShape, to_byte};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::path::Path;

/// An 8-bit image, stored channel by channel and row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Pixels `[channels, height, width]`.
    pub planes: Vec<u8>,
    /// Shape with 1 (gray) or 3 (red, green, blue) channels.
    pub shape: ImageShape,
}

impl Bytes {
    /// Converts a signal in [-2, 2] to bytes: 255 (v + 2) / 4, rounded; values outside the range are clamped.
    pub fn of(signal: &[f32], shape: ImageShape) -> Result<Self> {
        if !matches!(shape.channels, 1 | 3) || signal.len() != shape.len() {
            bail!("an image of {} channels: expected 1 (gray) or 3 (red, green, blue)", shape.channels);
        }
        Ok(Self { planes: signal.iter().copied().map(to_byte).collect(), shape })
    }

    /// Returns channel `c`, `[height, width]`.
    pub fn plane(&self, c: usize) -> &[u8] {
        &self.planes[c * self.shape.pixels()..(c + 1) * self.shape.pixels()]
    }

    /// Reads a PNG file (tests only) as red, green and blue.
    #[cfg(test)]
    pub fn read(path: &Path) -> Result<Self> {
        let picture = image::load_from_memory(&files::read(path)?).with_context(|| path.display().to_string())?;
        let picture = picture.to_rgb8();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let plane = |c: usize| picture.as_raw()[c..].iter().step_by(3).copied();
        Ok(Self { planes: (0..3).flat_map(plane).collect(), shape: ImageShape { channels: 3, height, width } })
    }

    /// Writes a PNG file, gray (L) or RGB.
    pub fn write(&self, path: &Path) -> Result<()> {
        let (pixels, channels) = (self.shape.pixels(), self.shape.channels);
        let interleaved: Vec<u8> =
            (0..pixels).flat_map(|i| (0..channels).map(move |c| self.planes[c * pixels + i])).collect();
        let color = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let (width, height) = (self.shape.width as u32, self.shape.height as u32);
        let mut png = Vec::new();
        PngEncoder::new(&mut png).write_image(&interleaved, width, height, color)?;
        files::write_atomic(path, &png)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_fills_the_bytes() {
        let shape = ImageShape { channels: 1, height: 1, width: 5 };
        let image = Bytes::of(&[-2.0, 2.0, 0.0, 7.0, -7.0], shape).unwrap();
        assert_eq!(image.planes, [0, 255, 128, 255, 0]);
        assert!(Bytes::of(&[0.0; 2], ImageShape { channels: 2, height: 1, width: 1 }).is_err());
    }

    #[test]
    fn colors_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let shape = ImageShape { channels: 3, height: 2, width: 3 };
        let image = Bytes { planes: (0..18).map(|i| i * 14).collect(), shape };
        image.write(&path).unwrap();
        assert_eq!(Bytes::read(&path).unwrap(), image);
        let gray = Bytes { planes: vec![1, 2], shape: ImageShape { channels: 1, height: 1, width: 2 } };
        gray.write(&path).unwrap();
        assert_eq!(Bytes::read(&path).unwrap().planes, [1, 2, 1, 2, 1, 2]);
    }
}
