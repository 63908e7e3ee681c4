//! Signals as pictures of 8 bits and as PNG files of 8 or 16 bits.

use crate::files;
#[cfg(test)]
use anyhow::Context;
use anyhow::{Result, bail};
use clap::ValueEnum;
use diffem::image::{ImageShape, to_byte, to_unit};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::path::Path;

/// Bits per value of a PNG file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    #[default]
    #[value(name = "8")]
    Eight,
    #[value(name = "16")]
    Sixteen,
}

/// Writes a signal in [-2, 2] to a PNG file, gray or RGB; values outside the range are clamped.
pub fn write_png(path: &Path, signal: &[f32], shape: ImageShape, bits: Bits) -> Result<()> {
    match bits {
        Bits::Eight => Bytes::of(signal, shape)?.write(path),
        Bits::Sixteen => {
            check(signal, shape)?;
            let level = |v: f32| (f64::from(to_unit(v)) * 65535.0).round().clamp(0.0, 65535.0) as u16;
            let levels: Vec<u16> = signal.iter().copied().map(level).collect();
            let bytes: Vec<u8> = interleaved(&levels, shape).flat_map(u16::to_ne_bytes).collect();
            encode(path, &bytes, shape, [ExtendedColorType::L16, ExtendedColorType::Rgb16])
        }
    }
}

/// Values `[channels, height, width]` pixel by pixel.
fn interleaved<P: Copy>(planes: &[P], shape: ImageShape) -> impl Iterator<Item = P> {
    let (pixels, channels) = (shape.pixels(), shape.channels);
    (0..pixels).flat_map(move |i| (0..channels).map(move |c| planes[c * pixels + i]))
}

/// Writes a PNG file of `bytes` in the first of two colors if it is gray, else in the second.
fn encode(path: &Path, bytes: &[u8], shape: ImageShape, [gray, rgb]: [ExtendedColorType; 2]) -> Result<()> {
    let color = if shape.channels == 1 { gray } else { rgb };
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(bytes, shape.width as u32, shape.height as u32, color)?;
    files::write_atomic(path, &png)
}

fn check(signal: &[f32], shape: ImageShape) -> Result<()> {
    if !matches!(shape.channels, 1 | 3) || signal.len() != shape.len() {
        bail!("an image of {} channels: expected 1 (gray) or 3 (red, green, blue)", shape.channels);
    }
    Ok(())
}

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
        check(signal, shape)?;
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
        let bytes: Vec<u8> = interleaved(&self.planes, self.shape).collect();
        encode(path, &bytes, self.shape, [ExtendedColorType::L8, ExtendedColorType::Rgb8])
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

    #[test]
    fn sixteen_bits_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        for (channels, values) in [(1, vec![-2.0, 0.3]), (3, vec![2.0, -0.001, 0.0, 1.7, -1.9, 9.0])] {
            let shape = ImageShape { channels, height: 1, width: 2 };
            write_png(&path, &values, shape, Bits::Sixteen).unwrap();
            let fit = crate::data::fit::Fit { shape, crop: None, background: 0, resize: false };
            let read = crate::data::picture::read(&path, |picture| fit.values(picture)).unwrap();
            assert!(read.iter().zip(&values).all(|(a, b)| (a - b.min(2.0)).abs() < 4.0 / 65535.0), "{read:?}");
        }
    }
}
