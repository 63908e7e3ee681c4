//! TIFF stacks, the format of microscopy: the pages of a file, one row per page, as `[n, h, w]` or `[n, c, h, w]`.
//!
//! Integers of 8 and 16 bits are pixels and become values in [-2, 2], as in every other picture; floating-point numbers
//! stay what they are.

mod write;

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Error, Read};

use anyhow::{Context, Result, bail, ensure};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{CompressionMethod, Tag};

use super::dtype::Dtype;
use super::image_set::{scaled, scaled_deep};
use super::pieces::Pieces;
use super::tensor::{Format, Header, Source};
use super::values::{DAMAGED, little_endian};

/// Registered in [`formats`](super::formats).
pub static FORMAT: Format = Format {
    extensions: &["tif", "tiff"],
    open: |file, name| Ok(Box::new(Stack::new(file, name)?)),
    encode: Some(write::encode),
    shaped: true,
    missing: "A TIFF stack holds one array: put several into a .npz, .fits or .h5 file, or let NaN in floating-point \
              pixels say what is missing",
};

/// Most bytes of pixels that a byte of a compressed file can hold: the ratio of LZW, the greatest of those read.
const RATIO: u64 = 4096;

/// An open TIFF file whose pages are known and not yet decoded.
struct Stack {
    decoder: Decoder<BufReader<File>>,
    name: String,
    page: Page,
    pages: usize,
}

/// What all pages of a stack have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    width: usize,
    height: usize,
    channels: usize,
    /// Bytes of a decoded page.
    bytes: u64,
    /// Whether the bytes in the file are the decoded ones.
    packed: bool,
}

impl Stack {
    /// Reads the headers of all pages, which must be alike.
    fn new(file: File, name: &str) -> Result<Self> {
        let length = file.metadata()?.len();
        let mut decoder = Decoder::new(BufReader::new(file)).map_err(damaged)?;
        let page = Page::of(&mut decoder).context("page 0")?;
        let mut pages = 1;
        while decoder.more_images() {
            decoder.next_image().map_err(damaged).with_context(|| format!("page {pages}"))?;
            let other = Page::of(&mut decoder).with_context(|| format!("page {pages}"))?;
            ensure!(
                (other.width, other.height, other.channels) == (page.width, page.height, page.channels),
                "page {pages} has {other} and page 0 has {page}; expected pages of one size. Save each size, and smaller \
                 copies of a picture, to a file of its own"
            );
            pages += 1;
        }
        let most = if page.packed { length.saturating_mul(RATIO) } else { length };
        ensure!(
            page.bytes.saturating_mul(pages) <= most,
            "claims {pages} pages of {page}, more than its {length} bytes can hold: {DAMAGED}"
        );
        Ok(Self { decoder, name: name.into(), page, pages: pages as usize })
    }
}

impl Page {
    /// Reads the header of the page at which `decoder` is.
    fn of(decoder: &mut Decoder<BufReader<File>>) -> Result<Self> {
        let ((width, height), color) = (decoder.dimensions().map_err(damaged)?, decoder.colortype().map_err(damaged)?);
        let channels = match color {
            ColorType::Gray(_) => 1,
            ColorType::RGB(_) => 3,
            ColorType::Multiband { num_samples, .. } => usize::from(num_samples),
            other => bail!(
                "has pixels of type {other:?}; expected gray, RGB or plain channels. Convert it, or put pictures with \
                 transparency into a folder, where `data.kind = \"masked-images\"` reads them"
            ),
        };
        let layout = decoder.image_buffer_layout().map_err(damaged)?;
        let bits = color.bit_depth();
        let (width, height) = (width as usize, height as usize);
        let count = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels)).unwrap_or(0);
        ensure!(count > 0, "has {width} x {height} pixels with {channels} channels; expected at least one value");
        ensure!(
            layout.complete_len / count == usize::from(bits / 8) && layout.complete_len.is_multiple_of(count),
            "has {bits} bits per value, or more values per pixel than colors; expected 8, 16, 32 or 64 bits and no further \
             values. Save it as 32-bit floats"
        );
        let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(damaged)?;
        let packed = compression.is_some_and(|method| method != CompressionMethod::None.to_u16());
        Ok(Self { width, height, channels, bytes: layout.complete_len as u64, packed })
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} pixels and {} channels", self.width, self.height, self.channels)
    }
}

impl Source for Stack {
    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn open(&mut self, _: &str) -> Result<(Header, Box<dyn Read + '_>)> {
        let Page { width, height, channels, .. } = self.page;
        let shape = match channels {
            1 => vec![self.pages, height, width],
            _ => vec![self.pages, channels, height, width],
        };
        let header = Header { dtype: Dtype::F32, big_endian: false, shape, fortran: false, complex: None };
        let (pages, page, decoder, mut next) = (self.pages, self.page, &mut self.decoder, 0);
        let piece = move || match next < pages {
            false => Ok(Vec::new()),
            true => {
                let values = values(decoder, next, page);
                next += 1;
                values
                    .map(|values| little_endian(&values))
                    .map_err(|e| Error::other(format!("page {}: {e:#}", next - 1)))
            }
        };
        Ok((header, Box::new(Pieces::new(piece))))
    }
}

/// The values of page `number`, channel by channel.
fn values(decoder: &mut Decoder<BufReader<File>>, number: usize, page: Page) -> Result<Vec<f32>> {
    decoder.seek_to_image(number).map_err(damaged)?;
    let mut pixels = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut pixels).map_err(damaged)?;
    let values: Vec<f32> = match pixels {
        DecodingResult::U8(pixels) => pixels.into_iter().map(scaled).collect(),
        DecodingResult::U16(pixels) => pixels.into_iter().map(scaled_deep).collect(),
        DecodingResult::F16(values) => values.into_iter().map(f32::from).collect(),
        DecodingResult::F32(values) => values,
        DecodingResult::F64(values) => values.into_iter().map(|value| value as f32).collect(),
        _ => bail!(
            "has signed integers, or integers of 32 or 64 bits, whose range is not known; expected unsigned ones of 8 or 16 \
             bits, or floating-point numbers. Save it as 32-bit floats"
        ),
    };
    let count = page.width * page.height * page.channels;
    ensure!(values.len() == count, "has {} values of {count}; expected smaller pages. {DAMAGED}", values.len());
    if layout.planes == page.channels {
        return Ok(values);
    }
    let plane = |c: usize| values[c..].iter().step_by(page.channels).copied();
    Ok((0..page.channels).flat_map(plane).collect())
}

/// What the decoder says, with the way out.
fn damaged(error: tiff::TiffError) -> anyhow::Error {
    match error {
        tiff::TiffError::UnsupportedError(error) => {
            anyhow::anyhow!("is a TIFF file that is not read ({error}); save it as 32-bit floats without compression")
        }
        tiff::TiffError::LimitsExceeded => {
            anyhow::anyhow!(
                "has pages of more than 256 MiB; expected smaller ones. Cut them, or put them into a .npz file"
            )
        }
        error => anyhow::anyhow!("not a whole TIFF file ({error}): {DAMAGED}"),
    }
}

#[cfg(test)]
mod tests;
