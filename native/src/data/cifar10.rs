//! CIFAR-10 in Parquet files or in binary batches. A record of a batch has 3073 bytes: one label, then 32x32
//! red, green and blue pixels.
//!
//! Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009);
//! cifar-10-binary.tar.gz.

use super::image_set::{ImageData, ImageSet, Opened, Rows, Sources, default_test};
use super::listing::{Listing, some_of};
use crate::files;
use anyhow::{Context, Result, bail, ensure};
use diffem::Samples;
use diffem::image::ImageShape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };
const RECORD: usize = 1 + 3 * 32 * 32;
const TEST: &str = "test_batch.bin";
/// Folder that the archive of the binary batches unpacks to.
const UNPACKED: &str = "cifar-10-batches-bin";

/// CIFAR-10: 3x32x32 images in binary batches or Parquet files, in [-2, 2].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cifar10Config {
    /// Directory that holds the files, or the folder `cifar-10-batches-bin` with them.
    pub path: String,
    /// Number of observed images, chosen by the seed; 0 means all.
    #[serde(default)]
    pub n: usize,
    /// Number of images from the test batch that `evaluate` scores.
    #[serde(default = "default_test")]
    pub test: usize,
}

impl ImageData for Cifar10Config {
    fn shape(&self) -> ImageShape {
        SHAPE
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
        Ok(Opened::Clean(open(Path::new(&self.path), with_test)?))
    }
}

/// Binary batches, read one after the other.
struct Batches {
    dir: PathBuf,
    /// Path and number of records of each file.
    files: Vec<(PathBuf, usize)>,
}

/// Opens the CIFAR-10 files in the directory `dir`: Parquet files where there are any, else binary batches,
/// which may lie in the folder that their archive unpacks to.
fn open(dir: &Path, with_test: bool) -> Result<Sources> {
    ensure!(
        dir.is_dir(),
        "data.path: {} is not a directory; expected one with data_batch_1.bin to data_batch_5.bin and {TEST}, which \
         cifar-10-binary.tar.gz unpacks to",
        dir.display()
    );
    let parquet = |part: &str| parquet_files(dir, part);
    let train = parquet("train")?;
    if !train.is_empty() {
        let test = with_test.then(|| parquet_set(dir, parquet("test")?)).transpose()?;
        return Ok(Sources { train: parquet_set(dir, train)?, test });
    }
    let names: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    let dir = batches_in(dir, &names)?;
    let set = |names: &[String]| -> Result<Box<dyn ImageSet>> { Ok(Box::new(Batches::open(&dir, names)?)) };
    let test = with_test.then(|| set(&[TEST.to_string()])).transpose()?;
    Ok(Sources { train: set(&names)?, test })
}

/// The directory of the batches `names`: `dir` itself, or the folder of the archive inside it.
fn batches_in(dir: &Path, names: &[String]) -> Result<PathBuf> {
    let holds = |dir: &PathBuf| names.iter().any(|name| dir.join(name).exists()) || dir.join(TEST).exists();
    let places = [dir.to_path_buf(), dir.join(UNPACKED)];
    if let Some(found) = places.into_iter().find(holds) {
        return Ok(found);
    }
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut found: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    let python = found.iter().any(|name| name == "data_batch_1" || name == "cifar-10-batches-py");
    let advice = match python {
        true => "these are the batches for Python; get the binary version, cifar-10-binary.tar.gz, and unpack it there",
        false => "unpack cifar-10-binary.tar.gz there",
    };
    let found = if found.is_empty() { "nothing".to_string() } else { some_of(&found) };
    bail!(
        "data.path: {} has neither data_batch_1.bin nor a folder {UNPACKED} with it; it has {found}; {advice}",
        dir.display()
    )
}

/// Lists, in sorted order, the Parquet files in `dir` and its subdirectories whose names begin with `part`.
fn parquet_files(dir: &Path, part: &str) -> Result<Vec<PathBuf>> {
    let files = Listing::below(dir, &["parquet"])?.files;
    let is_part = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(part));
    Ok(files.into_iter().filter(is_part).collect())
}

fn parquet_set(dir: &Path, files: Vec<PathBuf>) -> Result<Box<dyn ImageSet>> {
    ensure!(
        !files.is_empty(),
        "data.path: {} has no test-….parquet; copy it there, or set data.test = 0",
        dir.display()
    );
    #[cfg(feature = "parquet")]
    return Ok(Box::new(super::parquet_images::ParquetImages::open(dir, files, SHAPE)?));
    #[cfg(not(feature = "parquet"))]
    bail!(
        "{}: this build cannot read Parquet; build it with `cargo build --release --features parquet`, or use the \
         binary batches",
        files[0].display()
    )
}

impl Batches {
    fn open(dir: &Path, names: &[String]) -> Result<Self> {
        let files = names.iter().map(|name| {
            let path = dir.join(name);
            let n = records(&path)?;
            Ok((path, n))
        });
        Ok(Self { dir: dir.to_path_buf(), files: files.collect::<Result<_>>()? })
    }
}

/// Number of records in a batch, computed from the length of the file.
fn records(path: &Path) -> Result<usize> {
    let dir = path.parent().unwrap_or(path).display();
    let Ok(meta) = path.metadata() else {
        let name = path.file_name().unwrap_or_default().display();
        let also = if name.to_string() == TEST { "; without test images set data.test = 0" } else { "" };
        bail!("data.path: {dir} has no {name}; copy it there from cifar-10-binary.tar.gz{also}");
    };
    let length = usize::try_from(meta.len())?;
    let (n, rest) = (length / RECORD, length % RECORD);
    ensure!(
        rest == 0 && n > 0,
        "{}: record {n} has {rest} of {RECORD} bytes: the file of {length} bytes is damaged or cut short; copy it again",
        path.display()
    );
    Ok(n)
}

impl ImageSet for Batches {
    fn len(&self) -> usize {
        self.files.iter().map(|(_, n)| n).sum()
    }

    fn origin(&self) -> String {
        self.dir.display().to_string()
    }

    fn read(&self, places: &[usize]) -> Result<Samples> {
        let mut rows = Rows::new(self.len(), places, SHAPE.len());
        let mut first = 0;
        for (path, n) in &self.files {
            fill(path, *n, first, &mut rows).with_context(|| path.display().to_string())?;
            first += n;
        }
        Ok(rows.into_samples())
    }
}

/// Copies the `n` records of a batch into `rows`; the first record is image `first`.
fn fill(path: &Path, n: usize, first: usize, rows: &mut Rows) -> Result<()> {
    let (mut file, mut record) = (BufReader::new(files::open(path)?), [0; RECORD]);
    for i in 0..n {
        file.read_exact(&mut record).with_context(|| format!("record {i} of {n} cannot be read"))?;
        let label = record[0];
        ensure!(label < 10, "record {i} of {n} has label {label}, expected 0 to 9: not a batch of CIFAR-10");
        rows.put(first + i, &record[1..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image_set::scaled;
    use tempfile::{TempDir, tempdir};

    /// Two records per batch; the planes of image i have the values 20 i, 20 i + 1, 20 i + 2.
    fn batches() -> TempDir {
        let dir = tempdir().unwrap();
        let record = |i: u8| [vec![i % 10], (0..3).flat_map(|c| vec![20 * i + c; 1024]).collect()].concat();
        for batch in 0..5 {
            let name = format!("data_batch_{}.bin", batch + 1);
            std::fs::write(dir.path().join(name), [record(2 * batch), record(2 * batch + 1)].concat()).unwrap();
        }
        std::fs::write(dir.path().join(TEST), record(11)).unwrap();
        dir
    }

    fn error(dir: &TempDir) -> String {
        let read = open(dir.path(), true).and_then(|sources| sources.train.read(&[0]));
        format!("{:#}", read.unwrap_err()).replace(&dir.path().display().to_string(), "D")
    }

    #[test]
    fn images_are_counted_through_the_batches() {
        let sources = open(batches().keep().as_path(), true).unwrap();
        let test = sources.test.unwrap();
        assert_eq!((sources.train.len(), test.len()), (10, 1));
        let x = sources.train.read(&[9, 2]).unwrap();
        for (row, i) in [(0, 9u8), (1, 2)] {
            let planes: Vec<f32> = (0..3).flat_map(|c| vec![scaled(20 * i + c); 1024]).collect();
            assert_eq!(x.row(row), planes);
        }
        assert_eq!(test.read(&[0]).unwrap().row(0)[0], scaled(220));
    }

    #[test]
    fn a_batch_cut_short_is_told_by_its_record() {
        let dir = batches();
        let path = dir.path().join("data_batch_2.bin");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..4000]).unwrap();
        assert_eq!(
            error(&dir),
            "D/data_batch_2.bin: record 1 has 927 of 3073 bytes: the file of 4000 bytes is damaged or cut short; copy it again"
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(error(&dir), "data.path: D has no data_batch_2.bin; copy it there from cifar-10-binary.tar.gz");
    }

    #[test]
    fn batches_are_found_where_their_archive_puts_them() {
        let (dir, outer) = (batches(), tempdir().unwrap());
        std::fs::rename(dir.path(), outer.path().join(UNPACKED)).unwrap();
        assert_eq!(open(outer.path(), true).unwrap().train.len(), 10);
        let empty = tempdir().unwrap();
        assert!(error(&empty).ends_with("it has nothing; unpack cifar-10-binary.tar.gz there"), "{}", error(&empty));
        std::fs::create_dir(empty.path().join("cifar-10-batches-py")).unwrap();
        assert!(error(&empty).contains("it has cifar-10-batches-py; these are the batches for Python; get the binary"));
    }

    #[test]
    fn another_kind_of_record_is_refused() {
        let dir = batches();
        std::fs::write(dir.path().join("data_batch_4.bin"), vec![77; 2 * RECORD]).unwrap();
        assert_eq!(
            error(&dir),
            "D/data_batch_4.bin: record 0 of 2 has label 77, expected 0 to 9: not a batch of CIFAR-10"
        );
    }
}
