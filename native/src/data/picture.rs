//! The one reader of picture files. The bytes of a file decide its format, not its name; a picture comes back
//! upright, and its header is checked before anything is allocated for its pixels.

use crate::files;
use crate::resources::free_memory;
use anyhow::{Context, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use indicatif::DecimalBytes;
use std::fmt::Display;
use std::fs::File;
#[cfg(any(test, feature = "parquet"))]
use std::io::Cursor;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Extensions of the files in a folder that are read as pictures.
pub const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];
/// The same in words.
pub const KNOWN: &str = ".png, .jpg, .webp, .bmp or .tif";

/// Formats that are decoded, and the most bytes of pixels that a byte of such a file can hold: the ratio of
/// deflate, of blocks that share one bit, and of runs. `None` where the format sets no bound.
const FORMATS: [(ImageFormat, Option<u64>); 5] = [
    (ImageFormat::Png, Some(1040)),
    (ImageFormat::Jpeg, Some(2048)),
    (ImageFormat::Bmp, Some(1024)),
    (ImageFormat::WebP, None),
    (ImageFormat::Tiff, None),
];
/// Bytes of pixels that any file may claim, however small it is.
const SMALL: u64 = 1 << 20;
/// Most pixels of a picture.
const MAX_PIXELS: u64 = 1 << 28;
/// Bytes of pixels from which pictures are read one after the other, not by all workers at once.
const LARGE: u64 = 64 << 20;
/// Copies of the pixels in memory while a picture is turned upright and fitted.
const COPIES: u64 = 3;

/// Guards the memory that a large picture takes.
static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Columns of the upright picture.
    pub width: usize,
    /// Rows of the upright picture.
    pub height: usize,
    /// Whether pixels can be transparent.
    pub alpha: bool,
}

/// Reads the header of the file at `path`.
pub fn header(path: &Path) -> Result<Header> {
    let file = files::open(path)?;
    let read = || -> Result<Header> {
        let mut decoder = open(file)?;
        let (width, height) = decoder.dimensions();
        let (width, height) = match turns(orientation(&mut decoder)) {
            true => (height, width),
            false => (width, height),
        };
        Ok(Header { width: width as usize, height: height as usize, alpha: decoder.color_type().has_alpha() })
    };
    read().with_context(|| path.display().to_string())
}

/// Decodes the file at `path` and passes the upright picture to `with`; errors of both name the file.
pub fn read<T>(path: &Path, with: impl FnOnce(DynamicImage) -> Result<T>) -> Result<T> {
    let file = files::open(path)?;
    let read = || -> Result<T> {
        let decoder = open(file)?;
        let alone = (decoder.total_bytes() >= LARGE).then(|| ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner));
        let result = with(decode(decoder)?);
        drop(alone);
        result
    };
    read().with_context(|| path.display().to_string())
}

/// Decodes a whole picture file that is in memory.
#[cfg(feature = "parquet")]
pub fn parse(bytes: &[u8]) -> Result<DynamicImage> {
    decode(decoder(Cursor::new(bytes), bytes.len() as u64)?)
}

fn open(file: File) -> Result<impl ImageDecoder> {
    let length = file.metadata()?.len();
    decoder(BufReader::new(file), length)
}

/// The decoder of a file of `length` bytes, whose header claims no more than the file and the memory can hold.
fn decoder<'r>(file: impl BufRead + Seek + 'r, length: u64) -> Result<impl ImageDecoder + 'r> {
    ensure!(length > 0, "not a picture: the file is empty");
    let mut reader = ImageReader::new(file).with_guessed_format().map_err(not_whole)?;
    let expected = "expected PNG, JPEG, WebP, BMP or TIFF";
    let Some(format) = reader.format() else { bail!("not a picture: it begins like no known format; {expected}") };
    let Some((_, ratio)) = FORMATS.iter().find(|(known, _)| *known == format) else {
        bail!("is a {format:?} file, whatever its name says; {expected}");
    };
    reader.limits(Limits::no_limits());
    let decoder = reader.into_decoder().map_err(not_whole)?;
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        bail!("has floating-point pixels; expected 8 or 16 bits (arrays of other numbers go into a .npz file)");
    }
    check_claim(decoder.dimensions(), decoder.total_bytes(), length, *ratio, free_memory())?;
    Ok(decoder)
}

/// Refuses a size that the file of `length` bytes cannot have, or that does not fit into `free` bytes of
/// memory.
fn check_claim(size: (u32, u32), bytes: u64, length: u64, ratio: Option<u64>, free: u64) -> Result<()> {
    let (width, height) = size;
    let pixels = u64::from(width) * u64::from(height);
    ensure!(pixels > 0, "not a whole picture: it has {width} x {height} pixels");
    ensure!(
        pixels <= MAX_PIXELS,
        "claims {width} x {height} pixels; expected at most {MAX_PIXELS} in all (16384 x 16384); make it smaller"
    );
    let most = ratio.map_or(u64::MAX, |ratio| length.saturating_mul(ratio).max(SMALL));
    ensure!(
        bytes <= most,
        "not a whole picture: it claims {width} x {height} pixels, more than its {length} bytes can hold; copy it again"
    );
    let needed = COPIES * bytes;
    ensure!(
        needed <= free,
        "of {width} x {height} pixels needs about {} of memory and {} are free; make it smaller",
        DecimalBytes(needed),
        DecimalBytes(free)
    );
    Ok(())
}

fn decode(mut decoder: impl ImageDecoder) -> Result<DynamicImage> {
    let orientation = orientation(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(not_whole)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// How the pixels are to be turned; metadata that cannot be read turn nothing.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// Whether an orientation exchanges width and height.
fn turns(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Turns an error of the image decoder into an error in the style of this program.
fn not_whole(error: impl Display) -> anyhow::Error {
    anyhow!("not a whole picture: {}", error.to_string().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
    use tempfile::{TempDir, tempdir};

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn file(bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.png");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn error(bytes: &[u8]) -> String {
        let (_dir, path) = file(bytes);
        let error = format!("{:#}", read(&path, |_| Ok(())).unwrap_err());
        error.split_once("/a.png: ").unwrap().1.to_string()
    }

    /// A whole PNG file whose header says something else than its pixels.
    fn claim(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = encoded(&RgbaImage::new(1, 1).into(), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        bytes
    }

    #[test]
    fn the_bytes_of_a_file_decide_its_format() {
        let rgba: DynamicImage = RgbaImage::from_fn(2, 3, |x, y| Rgba([9 * x as u8, 70 * y as u8, 3, 200])).into();
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
            let (_dir, path) = file(&encoded(&rgba, format));
            assert_eq!(read(&path, |picture| Ok(picture.into_rgba8())).unwrap(), rgba.to_rgba8(), "{format:?}");
            assert_eq!(header(&path).unwrap(), Header { width: 2, height: 3, alpha: true }, "{format:?}");
        }
        let rgb: DynamicImage = RgbImage::from_pixel(8, 8, Rgb([10, 20, 30])).into();
        let (_dir, path) = file(&encoded(&rgb, ImageFormat::Jpeg));
        assert_eq!(header(&path).unwrap(), Header { width: 8, height: 8, alpha: false });
        assert_eq!(error(b""), "not a picture: the file is empty");
        assert!(error(b"GIF89a and more").starts_with("is a Gif file, whatever its name says; expected PNG, JPEG"));
        assert!(error(b"hello").starts_with("not a picture: it begins like no known format"));
    }

    #[test]
    fn sixteen_bits_are_kept() {
        let deep = image::ImageBuffer::from_fn(2, 1, |x, _| Luma([if x == 0 { 12345u16 } else { 54321 }]));
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            let (_dir, path) = file(&encoded(&DynamicImage::ImageLuma16(deep.clone()), format));
            assert_eq!(read(&path, |picture| Ok(picture.into_luma16())).unwrap(), deep);
        }
    }

    /// Every format that carries an orientation: the chunk of a PNG, the tag of a TIFF.
    #[test]
    fn pictures_come_upright() {
        let exif =
            |tag: u8| [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[tag, 0, 0, 0, 0, 0, 0, 0]].concat();
        let gray: DynamicImage = GrayImage::from_fn(2, 1, |x, _| Luma([7 + x as u8])).into();
        let png = encoded(&gray, ImageFormat::Png);
        let chunk = exif(6);
        let mut crc = flate2::Crc::new();
        crc.update(&[b"eXIf", &chunk[..]].concat());
        let chunk = [&(chunk.len() as u32).to_be_bytes()[..], b"eXIf", &chunk, &crc.sum().to_be_bytes()].concat();
        let (_dir, path) = file(&[&png[..33], &chunk, &png[33..]].concat());
        assert_eq!(header(&path).unwrap(), Header { width: 1, height: 2, alpha: false });
        assert_eq!(read(&path, |picture| Ok(picture.into_luma8().into_raw())).unwrap(), [7, 8]);
    }

    #[test]
    fn claims_are_refused_before_they_are_allocated() {
        assert!(error(&claim(i32::MAX as u32, i32::MAX as u32)).starts_with("not a whole picture: "));
        for (width, height) in [(200_000, 200_000), (60_000, 60_000)] {
            let error = error(&claim(width, height));
            assert!(
                error.starts_with(&format!("claims {width} x {height} pixels; expected at most 268435456")),
                "{error}"
            );
        }
        let bytes = claim(16_000, 16_000);
        let expected = format!("more than its {} bytes can hold; copy it again", bytes.len());
        assert!(error(&bytes).ends_with(&expected), "{}", error(&bytes));
        let memory = check_claim((1000, 1000), 4_000_000, 1_000_000, None, 11_999_999).unwrap_err().to_string();
        assert_eq!(
            memory,
            "of 1000 x 1000 pixels needs about 12.00 MB of memory and 12.00 MB are free; make it smaller"
        );
        assert!(check_claim((1000, 1000), 4_000_000, 1_000_000, None, 12_000_000).is_ok());
    }

    #[test]
    fn a_file_cut_short_anywhere_is_an_error() {
        let rgba: DynamicImage = RgbaImage::from_fn(20, 20, |x, y| Rgba([x as u8, y as u8, 3, 200])).into();
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
            let whole = encoded(&rgba, format);
            for length in (0..whole.len() / 2).step_by(7) {
                error(&whole[..length]);
            }
        }
    }
}
