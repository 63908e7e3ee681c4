//! Images in Parquet files as Hugging Face stores them: a column `img` or `image` of structs {bytes, path}
//! with a whole PNG or JPEG in `bytes`.
//!
//! A hostile file can keep the parquet crate busy for minutes, because it skips a list of as many booleans as a page's header
//! claims and they take no bytes; it can also take a gigabyte of memory.

use super::image_set::{ImageSet, Rows};
use super::picture::parse;
use crate::files;
use anyhow::{Context, Result, anyhow, ensure};
use diffem::Samples;
use diffem::image::ImageShape;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;

const COLUMNS: [&str; 2] = ["img", "image"];
const DAMAGED: &str = "not a whole Parquet file; copy it again";

thread_local! {
    /// Whether a panic of this thread is not told.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `read`, in which a panic becomes an error: the parquet crate asserts much that a damaged file breaks, such as that no
/// offset is negative.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                told(panic);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    QUIET.set(false);
    result.unwrap_or_else(|_| Err(anyhow!(DAMAGED)))
}

/// Images of one shape in Parquet files, read one file after the other.
pub struct ParquetImages {
    dir: PathBuf,
    /// Path and number of rows of each file.
    files: Vec<(PathBuf, usize)>,
    shape: ImageShape,
}

impl ParquetImages {
    /// Opens the images of `files`, which have 3 colors; `dir` appears in messages.
    pub fn open(dir: &Path, files: Vec<PathBuf>, shape: ImageShape) -> Result<Self> {
        let counted = files.into_iter().map(|path| {
            let n = guarded(|| count(&path)).with_context(|| path.display().to_string())?;
            Ok((path, n))
        });
        Ok(Self { dir: dir.to_path_buf(), files: counted.collect::<Result<_>>()?, shape })
    }

    /// Copies the requested rows of one file into `rows`: `n` rows, of which the first is image `first`.
    fn fill(&self, (path, n): &(PathBuf, usize), first: usize, rows: &mut Rows) -> Result<()> {
        let reader = reader(path)?;
        let schema = reader.metadata().file_metadata().schema();
        let column = schema.get_fields().iter().find(|field| COLUMNS.contains(&field.name()));
        let names: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
        let column = column.with_context(|| format!("has no column `img` or `image`; it has {}", names.join(", ")))?;
        let only = Type::group_type_builder(schema.name()).with_fields(vec![column.clone()]).build()?;
        let mut found = 0;
        for (i, row) in reader.get_row_iter(Some(only))?.enumerate() {
            found = i + 1;
            // The footer counts the rows, and every group of rows counts its own.
            ensure!(found <= *n, "has more than the {n} rows that it claims; copy it again");
            if rows.wants(first + i) {
                let pixels = row.map_err(anyhow::Error::from).and_then(|row| self.pixels(&row));
                rows.put(first + i, &pixels.with_context(|| format!("row {i}"))?);
            }
        }
        ensure!(found == *n, "has {found} of the {n} rows that it claims; copy it again");
        Ok(())
    }

    /// Decodes a row into its pixels: red, then green, then blue.
    fn pixels(&self, row: &Row) -> Result<Vec<u8>> {
        let picture = parse(bytes(row)?)?;
        let (height, width) = (picture.height() as usize, picture.width() as usize);
        let wanted = (self.shape.height, self.shape.width);
        ensure!((height, width) == wanted, "is {width} x {height} pixels, expected {} x {}", wanted.1, wanted.0);
        let picture = picture.into_rgb8();
        Ok((0..3).flat_map(|c| picture.pixels().map(move |pixel| pixel.0[c])).collect())
    }
}

/// Returns the field `bytes` of the only column.
fn bytes(row: &Row) -> Result<&[u8]> {
    let bytes = row.get_column_iter().find_map(|(_, column)| match column {
        Field::Group(group) => group.get_column_iter().find(|(name, _)| *name == "bytes").map(|(_, field)| field),
        _ => None,
    });
    match bytes {
        Some(Field::Bytes(bytes)) => Ok(bytes.data()),
        _ => Err(anyhow!(
            "the image column has no `bytes` here; expected a struct {{bytes, path}} with a PNG in `bytes`"
        )),
    }
}

/// Number of rows of a file. Every row holds a picture, so there cannot be more rows than bytes.
fn count(path: &Path) -> Result<usize> {
    let (claimed, length) = (reader(path)?.metadata().file_metadata().num_rows(), path.metadata()?.len());
    let n = u64::try_from(claimed).ok().filter(|n| *n <= length);
    let n = n.with_context(|| format!("it claims {claimed} rows and has {length} bytes; copy it again"))?;
    Ok(usize::try_from(n)?)
}

fn reader(path: &Path) -> Result<SerializedFileReader<File>> {
    SerializedFileReader::new(files::open(path)?).with_context(|| format!("{}: {DAMAGED}", path.display()))
}

impl ImageSet for ParquetImages {
    fn len(&self) -> usize {
        self.files.iter().map(|(_, n)| n).sum()
    }

    fn origin(&self) -> String {
        self.dir.display().to_string()
    }

    fn read(&self, places: &[usize]) -> Result<Samples> {
        let mut rows = Rows::new(self.len(), places, self.shape.len());
        let mut first = 0;
        for file in &self.files {
            guarded(|| self.fill(file, first, &mut rows)).with_context(|| file.0.display().to_string())?;
            first += file.1;
        }
        Ok(rows.into_samples())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image_set::scaled;
    use image::{ImageFormat, Rgb, RgbImage};
    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::io::Cursor;
    use std::sync::Arc;
    use tempfile::tempdir;

    const SHAPE: ImageShape = ImageShape { channels: 3, height: 2, width: 2 };

    fn png(side: u32, level: u8) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::from_pixel(side, side, Rgb([level, 0, 255])).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// A file with the columns of Hugging Face's CIFAR-10; the image column has the given name.
    fn write(path: &Path, column: &str, images: &[Vec<u8>]) {
        let schema = format!(
            "message schema {{ OPTIONAL group {column} {{ OPTIONAL BYTE_ARRAY bytes; OPTIONAL BYTE_ARRAY path (UTF8); }} \
             OPTIONAL INT64 label; }}"
        );
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let n = images.len();
        let images: Vec<ByteArray> = images.iter().map(|bytes| bytes.clone().into()).collect();
        let mut bytes = group.next_column().unwrap().unwrap();
        bytes.typed::<ByteArrayType>().write_batch(&images, Some(&vec![2; n]), None).unwrap();
        bytes.close().unwrap();
        let mut paths = group.next_column().unwrap().unwrap();
        paths.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; n]), None).unwrap();
        paths.close().unwrap();
        let mut labels = group.next_column().unwrap().unwrap();
        labels.typed::<Int64Type>().write_batch(&vec![7; n], Some(&vec![1; n]), None).unwrap();
        labels.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
    }

    fn read(files: &[(&str, &[Vec<u8>])], places: &[usize]) -> Result<Samples> {
        let dir = tempdir().unwrap();
        let path = |i: usize| dir.path().join(format!("train-{i}.parquet"));
        files.iter().enumerate().for_each(|(i, (column, images))| write(&path(i), column, images));
        let paths = (0..files.len()).map(path).collect();
        ParquetImages::open(dir.path(), paths, SHAPE)?.read(places)
    }

    #[test]
    fn images_are_counted_through_the_files() {
        let files = [("img", &[png(2, 1), png(2, 2), png(2, 3)][..]), ("image", &[png(2, 4)])];
        let x = read(&files, &[3, 1]).unwrap();
        for (row, level) in [(0, 4), (1, 2)] {
            let planes = [level, 0, 255].map(|v| [scaled(v); 4]).concat();
            assert_eq!(x.row(row), planes);
        }
    }

    /// Fixture: testdata/make_parquet.py.
    #[test]
    fn a_file_of_pyarrow_is_read_pixel_by_pixel() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata");
        let shape = ImageShape { channels: 3, height: 32, width: 32 };
        let set = ParquetImages::open(&dir, vec![dir.join("cifar10.parquet")], shape).unwrap();
        assert_eq!(set.len(), 5);
        // The two images come from different row groups.
        let x = set.read(&[4, 0]).unwrap();
        for (row, i) in [(0, 4), (1, 0)] {
            let planes = (0..3).flat_map(|c| (0..32).flat_map(move |y| (0..32).map(move |x| scaled([i, y, x][c]))));
            assert!(x.row(row).iter().copied().eq(planes), "image {i}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_row() {
        let error = |column, images: &[Vec<u8>]| format!("{:#}", read(&[(column, images)], &[0, 1]).unwrap_err());
        let other = error("picture", &[png(2, 1), png(2, 1)]);
        assert!(other.ends_with("train-0.parquet: has no column `img` or `image`; it has picture, label"), "{other}");
        let size = error("img", &[png(2, 1), png(3, 1)]);
        assert!(size.ends_with("train-0.parquet: row 1: is 3 x 3 pixels, expected 2 x 2"), "{size}");
        let broken = error("img", &[png(2, 1), png(2, 1)[..40].to_vec()]);
        assert!(broken.contains("train-0.parquet: row 1: not a whole picture: "), "{broken}");
    }

    #[test]
    fn a_panic_of_the_parquet_crate_is_an_error() {
        let error = guarded::<()>(|| panic!("column start and length should not be negative")).unwrap_err();
        assert_eq!(error.to_string(), DAMAGED);
    }

    /// Each byte of a whole file in turn is changed: what comes back is images or an error.
    #[test]
    fn no_damaged_byte_panics() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("train.parquet");
        write(&path, "img", &[png(2, 1), png(2, 2)]);
        let whole = std::fs::read(&path).unwrap();
        for (place, byte) in (0..whole.len()).flat_map(|place| [1, 0x7f, 0xff].map(|byte| (place, byte))) {
            let mut bytes = whole.clone();
            bytes[place] = byte;
            std::fs::write(&path, bytes).unwrap();
            let _ = ParquetImages::open(dir.path(), vec![path.clone()], SHAPE).and_then(|set| set.read(&[0]));
        }
    }

    #[test]
    fn a_file_cut_short_is_told() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("train.parquet");
        write(&path, "img", &[png(2, 1)]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let error = format!("{:#}", ParquetImages::open(dir.path(), vec![path], SHAPE).err().unwrap());
        assert!(error.contains("train.parquet: not a whole Parquet file; copy it again: "), "{error}");
    }
}
