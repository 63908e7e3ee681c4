//! IDX files of MNIST and Fashion-MNIST, raw or compressed with gzip.
//!
//! The layout is big-endian: 00 00, type 08 (unsigned bytes), number of dimensions 03, then n, height and
//! width as 32-bit numbers, then the pixels.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>, "The IDX file format".

use super::image_set::{ImageData, ImageSet, Opened, Rows, Sources, check_size, default_test};
use crate::files;
use anyhow::{Context, Result, bail, ensure};
use diffem::Samples;
use diffem::image::ImageShape;
use flate2::bufread::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Directory where the Debian package installs its files.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";
const MAGIC: u32 = 0x0000_0803;
/// Bytes before the first image.
const HEADER: u64 = 16;
const LABELS: u32 = 0x0000_0801;
const DAMAGED: &str = "the file is damaged or cut short; copy it again";

/// MNIST and Fashion-MNIST: gray images in IDX files, raw or compressed with gzip, scaled to [-2, 2].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdxConfig {
    /// A directory with the file names of MNIST, or one file of images.
    #[serde(default = "fashion_mnist")]
    pub path: String,
    /// Rows of an image.
    #[serde(default = "mnist_side")]
    pub height: usize,
    /// Columns of an image.
    #[serde(default = "mnist_side")]
    pub width: usize,
    /// Number of observed images, chosen by the seed; 0 means all.
    #[serde(default)]
    pub n: usize,
    /// Number of images for `evaluate`, taken from the test file or else from the images left over.
    #[serde(default = "default_test")]
    pub test: usize,
}

fn fashion_mnist() -> String {
    FASHION_MNIST.to_string()
}

fn mnist_side() -> usize {
    28
}

impl ImageData for IdxConfig {
    fn shape(&self) -> ImageShape {
        ImageShape { channels: 1, height: self.height, width: self.width }
    }

    fn n(&self) -> usize {
        self.n
    }

    fn test(&self) -> Option<usize> {
        Some(self.test)
    }

    fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    fn set_path(&mut self, path: &str) {
        self.path = path.to_string();
    }

    fn open(&self, with_test: bool) -> Result<Opened> {
        Ok(Opened::Clean(open(Path::new(&self.path), self.shape(), with_test)?))
    }
}

/// One file of gray images.
struct Idx {
    path: PathBuf,
    n: usize,
    shape: ImageShape,
}

/// Opens the training images at `path`, a file or a directory with the file names of MNIST. A directory also
/// provides test images.
fn open(path: &Path, shape: ImageShape, with_test: bool) -> Result<Sources> {
    let set = |path: PathBuf| -> Result<Box<dyn ImageSet>> { Ok(Box::new(Idx::open(path, shape)?)) };
    if !path.is_dir() {
        ensure!(path.exists(), missing(path));
        return Ok(Sources { train: set(path.to_path_buf())?, test: None });
    }
    let test = if with_test { Some(set(find(path, "t10k")?)?) } else { None };
    Ok(Sources { train: set(find(path, "train")?)?, test })
}

fn missing(path: &Path) -> String {
    let advice = match path == Path::new(FASHION_MNIST) {
        true => "install it with `apt-get install dataset-fashion-mnist`, or set data.path to a directory",
        false => "set data.path to an IDX file, or to a directory",
    };
    format!(
        "data.path: {} does not exist; {advice} with train-images-idx3-ubyte and t10k-images-idx3-ubyte",
        path.display()
    )
}

/// Finds the image file of the part `train` or `t10k`; the file names differ between distributions.
fn find(dir: &Path, part: &str) -> Result<PathBuf> {
    let stems = ["-images-idx3-ubyte", "-images.idx3-ubyte"];
    let names = stems.iter().flat_map(|stem| ["", ".gz"].map(|end| format!("{part}{stem}{end}")));
    let found = names.map(|name| dir.join(name)).find(|path| path.is_file());
    let also = if part == "t10k" { "; without test images set data.test = 0" } else { "" };
    found.with_context(|| format!("data.path: {} has no {part}-images-idx3-ubyte or ….gz{also}", dir.display()))
}

impl Idx {
    fn open(path: PathBuf, shape: ImageShape) -> Result<Self> {
        let mut reader = reader(&path)?;
        let (n, height, width) = header(&mut *reader).with_context(|| path.display().to_string())?;
        check_size(path.display(), (height, width), shape)?;
        ensure!(n > 0, "{}: holds no images", path.display());
        // The file is measured before anything is allocated for the number of images that it claims.
        check_length(&path, &mut *reader, n, shape.pixels()).with_context(|| path.display().to_string())?;
        Ok(Self { path, n, shape })
    }

    fn fill(&self, rows: &mut Rows) -> Result<()> {
        let mut reader = reader(&self.path)?;
        header(&mut *reader)?;
        let mut image = Vec::new();
        for i in 0..self.n {
            image.clear();
            let size = self.shape.pixels();
            let read = (&mut reader).take(size as u64).read_to_end(&mut image);
            match read {
                Err(e) if e.kind() != ErrorKind::UnexpectedEof => return Err(e).context(DAMAGED),
                _ => {}
            }
            ensure!(image.len() == size, short(i, self.n, image.len(), size));
            rows.put(i, &image);
        }
        // This read also makes gzip verify its checksum.
        let more = reader.read(&mut [0]).context(DAMAGED)?;
        ensure!(more == 0, long(self.n));
        Ok(())
    }
}

/// Checks that `n` images of `size` bytes each, and nothing else, follow the header that was read from
/// `reader`. A compressed file is read to its end, but never further than the images go.
fn check_length(path: &Path, reader: &mut dyn Read, n: usize, size: usize) -> Result<()> {
    let promised = n as u64 * size as u64;
    let found = match is_compressed(path)? {
        false => path.metadata()?.len() - HEADER,
        true => std::io::copy(&mut reader.take(promised + 1), &mut std::io::sink()).context(DAMAGED)?,
    };
    let whole = (found / size as u64) as usize;
    ensure!(found >= promised, short(whole, n, (found % size as u64) as usize, size));
    ensure!(found == promised, long(n));
    Ok(())
}

fn short(image: usize, n: usize, found: usize, size: usize) -> String {
    format!("image {image} of {n} has {found} of {size} bytes: {DAMAGED}")
}

fn long(n: usize) -> String {
    format!("bytes follow the {n} images that the header promises: {DAMAGED}")
}

impl ImageSet for Idx {
    fn len(&self) -> usize {
        self.n
    }

    fn origin(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self, places: &[usize]) -> Result<Samples> {
        let mut rows = Rows::new(self.n, places, self.shape.len());
        self.fill(&mut rows).with_context(|| self.origin())?;
        Ok(rows.into_samples())
    }
}

/// Opens a file and decompresses its bytes if they begin with the gzip signature.
fn reader(path: &Path) -> Result<Box<dyn Read>> {
    let file = BufReader::new(files::open(path)?);
    Ok(match is_compressed(path)? {
        true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        false => Box::new(file),
    })
}

/// Whether a file begins with the gzip signature.
fn is_compressed(path: &Path) -> Result<bool> {
    let mut file = BufReader::new(files::open(path)?);
    let start = file.fill_buf().with_context(|| path.display().to_string())?;
    Ok(start.starts_with(&[0x1f, 0x8b]))
}

/// Reads n, height and width.
fn header(reader: &mut dyn Read) -> Result<(usize, usize, usize)> {
    let mut number = || -> Result<u32> {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).context("the header of 16 bytes is cut short; copy the file again")?;
        Ok(u32::from_be_bytes(bytes))
    };
    match number()? {
        MAGIC => Ok((number()? as usize, number()? as usize, number()? as usize)),
        LABELS => bail!("holds labels; expected images, the file whose name has `images-idx3`"),
        other => bail!("not an IDX file of images: it begins with {other:08x}, expected {MAGIC:08x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image_set::scaled;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use tempfile::tempdir;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 2, width: 3 };

    /// `n` images; pixel j of image i is 10 i + j.
    fn idx(n: u8) -> Vec<u8> {
        let head = [MAGIC, u32::from(n), 2, 3].map(u32::to_be_bytes).concat();
        [head, (0..n).flat_map(|i| (0..6).map(move |j| 10 * i + j)).collect()].concat()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], places: &[usize]) -> Result<Samples> {
        let dir = tempdir().unwrap();
        let path = dir.path().join("images");
        std::fs::write(&path, bytes).unwrap();
        open(&path, SHAPE, true)?.train.read(places)
    }

    fn error(bytes: &[u8]) -> String {
        let error = format!("{:#}", read(bytes, &[0]).unwrap_err());
        error.split_once("/images: ").unwrap().1.to_string()
    }

    #[test]
    fn raw_and_packed_files_hold_the_same_images() {
        for bytes in [idx(4), gz(&idx(4))] {
            let x = read(&bytes, &[2, 0]).unwrap();
            assert_eq!(x.row(0), [20, 21, 22, 23, 24, 25].map(scaled));
            assert_eq!(x.row(1), [0, 1, 2, 3, 4, 5].map(scaled));
        }
    }

    #[test]
    fn a_directory_has_a_test_set() {
        let dir = tempdir().unwrap();
        std::fs::write(dir.path().join("train-images-idx3-ubyte.gz"), gz(&idx(4))).unwrap();
        assert!(open(dir.path(), SHAPE, false).unwrap().test.is_none());
        let error = open(dir.path(), SHAPE, true).err().unwrap().to_string();
        assert!(
            error.ends_with("has no t10k-images-idx3-ubyte or ….gz; without test images set data.test = 0"),
            "{error}"
        );
        std::fs::write(dir.path().join("t10k-images.idx3-ubyte"), idx(3)).unwrap();
        let sources = open(dir.path(), SHAPE, true).unwrap();
        assert_eq!((sources.train.len(), sources.test.unwrap().len()), (4, 3));
    }

    /// Damage is reported even if the truncated image was not requested.
    #[test]
    fn damage_is_told_by_its_place() {
        let whole = idx(4);
        assert_eq!(error(&whole[..35]), format!("image 3 of 4 has 1 of 6 bytes: {DAMAGED}"));
        assert_eq!(
            error(&whole[..9]),
            "the header of 16 bytes is cut short; copy the file again: failed to fill whole buffer"
        );
        assert_eq!(
            error(&[&whole[..], &[0]].concat()),
            format!("bytes follow the 4 images that the header promises: {DAMAGED}")
        );
        let packed = gz(&whole);
        assert!(error(&packed[..packed.len() - 9]).contains(DAMAGED));
        assert_eq!(error(&idx(0)), "holds no images");
    }

    /// A header of a few bytes that claims billions of images: nothing is allocated for them.
    #[test]
    fn claims_are_checked_against_the_length() {
        for n in [1_000_000, 1_000_000_000, u32::MAX] {
            let bytes = [[MAGIC, n, 2, 3].map(u32::to_be_bytes).concat(), vec![0; 100]].concat();
            let expected = format!("image 16 of {n} has 4 of 6 bytes: {DAMAGED}");
            assert_eq!(error(&bytes), expected);
            assert_eq!(error(&gz(&bytes)), expected);
        }
        assert!(error(&gz(&[idx(4), vec![0; 9]].concat())).starts_with("bytes follow the 4 images"));
    }

    #[test]
    fn other_files_are_told_apart() {
        let labels = [&LABELS.to_be_bytes()[..], &[0; 12]].concat();
        assert_eq!(error(&labels), "holds labels; expected images, the file whose name has `images-idx3`");
        assert_eq!(error(b"PK\x03\x04"), "not an IDX file of images: it begins with 504b0304, expected 00000803");
        let wide = [MAGIC, 1, 2, 4].map(u32::to_be_bytes).concat();
        assert_eq!(
            error(&wide),
            "the images have 2 rows and 4 columns, and the configuration says 2 and 3; set data.height = 2 and data.width = 4"
        );
    }
}
