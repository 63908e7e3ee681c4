//! NumPy's `.npz` format: a zip archive of `.npy` files.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Write};

use anyhow::{Context, Result, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy;
use super::tensor::{Format, Header, Metadata, Source, Tensor};
use super::values::DAMAGED;

/// Registered in [`formats`](super::formats).
pub static FORMAT: Format = Format {
    extensions: &["npz"],
    open: |file, _| Ok(Box::new(NpzFile::new(file)?)),
    encode: Some(encode),
    shaped: false,
    missing: "Save it under that name",
};

/// An open `.npz` file.
struct NpzFile {
    archive: ZipArchive<BufReader<File>>,
}

impl NpzFile {
    /// Reads the archive's table of contents.
    fn new(file: File) -> Result<Self> {
        let archive = ZipArchive::new(BufReader::new(file)).context("not a whole .npz (zip) file")?;
        Ok(Self { archive })
    }
}

impl Source for NpzFile {
    fn names(&self) -> Vec<String> {
        let entries = self.archive.file_names().flatten();
        let mut names: Vec<_> = entries.filter_map(|n| n.strip_suffix(".npy").map(String::from)).collect();
        names.sort();
        names
    }

    fn open(&mut self, name: &str) -> Result<(Header, Box<dyn Read + '_>)> {
        let file = format!("{name}.npy");
        let place = self.archive.index_for_name(&file).context(DAMAGED)?;
        let compression = self.archive.by_index_raw(place).context(DAMAGED)?.compression();
        ensure!(
            matches!(compression, CompressionMethod::Stored | CompressionMethod::Deflated),
            "is compressed by {compression}, which is not supported; save the file with numpy.savez or \
             numpy.savez_compressed"
        );
        let mut entry = self.archive.by_index(place).context(DAMAGED)?;
        let header = npy::read_header(&mut entry)?;
        Ok((header, Box::new(entry)))
    }
}

/// Returns the bytes of an `.npz` file with `tensors` (`<f4`, uncompressed as by numpy.savez) and `metadata`.
fn encode(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, tensor) in tensors {
        let array = npy::encode(tensor);
        archive.start_file(format!("{name}.npy"), options(array.len()))?;
        archive.write_all(&array)?;
    }
    if !metadata.is_empty() {
        let json = serde_json::to_vec(metadata)?;
        archive.start_file("metadata.json", options(json.len()))?;
        archive.write_all(&json)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Options that depend only on `length`, in bytes: the modification time is the constant 1980-01-01.
fn options(length: usize) -> SimpleFileOptions {
    let options = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored);
    options.large_file(u32::try_from(length).is_err())
}
