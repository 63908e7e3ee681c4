//! The image is rounded to 8 bits, encoded (baseline, no chroma subsampling) and decoded.

use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::image::{ImageShape, from_unit, to_byte};
use crate::noise::Stream;
use ::image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use ::image::{ExtendedColorType, ImageDecoder, ImageResult};
use std::io::Cursor;

/// Maximum side that the format supports, in pixels.
const MAX_SIDE: usize = 65535;

/// y is x after JPEG compression at quality `quality`; deterministic.
#[derive(Clone, Debug, PartialEq)]
pub struct Jpeg {
    shape: ImageShape,
    quality: u8,
}

impl Jpeg {
    /// Creates the channel. `quality` is 1 (smallest file) to 100; images have 1 or 3 color channels and
    /// sides up to 65535.
    pub fn new(shape: ImageShape, quality: u8) -> Result<Self> {
        shape.validate("image")?;
        if !(1..=100).contains(&quality) {
            return Err(Error::config("quality", format!("expected 1 to 100, found {quality}")));
        }
        if ![1, 3].contains(&shape.channels) {
            let message = format!("JPEG needs images of 1 or 3 color channels, found {}", shape.channels);
            return Err(Error::config("quality", message));
        }
        if shape.height.max(shape.width) > MAX_SIDE {
            return Err(Error::config("quality", format!("JPEG needs images with sides up to {MAX_SIDE}")));
        }
        Ok(Self { shape, quality })
    }

    fn round_trip(&self, pixels: &[u8]) -> ImageResult<Vec<u8>> {
        let color = if self.shape.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let mut file = Vec::new();
        let (width, height) = (self.shape.width as u32, self.shape.height as u32);
        JpegEncoder::new_with_quality(&mut file, self.quality).encode(pixels, width, height, color)?;
        let mut decoded = vec![0; self.shape.len()];
        JpegDecoder::new(Cursor::new(file))?.read_image(&mut decoded)?;
        Ok(decoded)
    }
}

impl Channel for Jpeg {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn observation_len(&self) -> usize {
        self.shape.len()
    }

    /// JPEG files interleave the colors; signals do not.
    fn observe(&self, x: &[f32], _a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        let (c, n) = (self.shape.channels, self.shape.pixels());
        let pixels: Vec<u8> = (0..n * c).map(|i| to_byte(x[(i % c) * n + i / c])).collect();
        let decoded =
            self.round_trip(&pixels).expect("shape and quality were checked, and the codec reads its own files");
        decoded.iter().enumerate().for_each(|(i, &v)| y[(i % c) * n + i / c] = from_unit(v as f32 / 255.0));
    }
}
