//! Rows in memory-mapped files: the operating system reads and writes data larger than memory page by page.

use anyhow::{Context, Result, ensure};
use diffem::{Buffer, Samples};
use memmap2::{Mmap, MmapMut};
use rayon::prelude::*;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::safetensors_file;
use super::tensor::Metadata;
use crate::files;

/// Size in bytes from which tables stay in files.
pub const LARGE: u64 = 64 << 20;

/// Number of values that one worker checks at a time.
const PIECE: usize = 1 << 16;

/// `f32` values in a memory-mapped file.
pub struct Mapped {
    map: Map,
    /// Byte range of the values in the file, aligned.
    range: Range<usize>,
}

enum Map {
    Read(Mmap),
    Write(MmapMut),
}

impl Mapped {
    /// Maps the bytes `range` of `file` for reading. Returns `None` if they are not aligned or if this
    /// machine stores numbers differently from the file.
    pub fn read(file: &File, range: Range<u64>) -> Result<Option<Self>> {
        // SAFETY: this program replaces files by renaming and never changes a file in place that it maps for
        // reading. Another program that truncates a mapped file ends this one, as is true of any mapped file.
        let map = Map::Read(unsafe { Mmap::map(file)? });
        Ok(Self::of(map, range))
    }

    /// Maps the bytes `range` of `file` for writing; changes are written to the file.
    fn write(file: &File, range: Range<u64>) -> Result<Self> {
        // SAFETY: as in `read`; the file belongs to this process, and its disk space is already allocated.
        let map = Map::Write(unsafe { MmapMut::map_mut(file)? });
        Self::of(map, range).context("this machine keeps numbers in another order of bytes than files do")
    }

    fn of(map: Map, range: Range<u64>) -> Option<Self> {
        let range = range.start as usize..range.end as usize;
        let bytes = map.bytes().get(range.clone())?;
        let aligned = bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok();
        (aligned && cfg!(target_endian = "little")).then_some(Self { map, range })
    }

    /// Returns whether all values are finite.
    pub fn is_finite(&self) -> bool {
        self.values().par_chunks(PIECE).all(|values| values.iter().all(|v| v.is_finite()))
    }
}

impl Map {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Read(map) => map,
            Self::Write(map) => map,
        }
    }
}

impl Buffer for Mapped {
    fn values(&self) -> &[f32] {
        bytemuck::cast_slice(&self.map.bytes()[self.range.clone()])
    }

    fn values_mut(&mut self) -> Option<&mut [f32]> {
        match &mut self.map {
            Map::Read(_) => None,
            Map::Write(map) => Some(bytemuck::cast_slice_mut(&mut map[self.range.clone()])),
        }
    }
}

fn bytes_of(n: usize, d: usize) -> u64 {
    (n * d * size_of::<f32>()) as u64
}

/// Returns `n` rows of `d` zeros, in memory or, if they are large, in an unnamed file in the directory `dir`.
pub fn scratch(dir: &Path, n: usize, d: usize) -> Result<Samples> {
    let len = bytes_of(n, d);
    if len < LARGE {
        return Ok(Samples::zeros(n, d));
    }
    Ok(Samples::elsewhere(Arc::new(Mapped::write(&files::scratch(dir, len)?, 0..len)?), d))
}

/// Maps the tensor `name`, `[n, d]`, in the `.safetensors` file `path`; every change is written to the file.
/// If `begun` is set, the rows are those of the existing file, otherwise zeros in a new file.
pub fn table(path: &Path, name: &str, n: usize, d: usize, begun: bool) -> Result<Samples> {
    let head = safetensors_file::header(&[(name, vec![n, d])], &Metadata::new())?;
    let (start, len) = (head.len() as u64, head.len() as u64 + bytes_of(n, d));
    let file = match begun {
        true => files::open_writable(path)?,
        false => files::create_sized(path, &head, len)?,
    };
    let found = file.metadata()?.len();
    ensure!(found == len, "{}: has {found} bytes, expected {len} for `{name}` [{n}, {d}]", path.display());
    Ok(Samples::elsewhere(Arc::new(Mapped::write(&file, start..len)?), d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tensor_file::{TensorFile, write_rows};
    use tempfile::tempdir;

    #[test]
    fn a_table_keeps_its_rows_in_its_file() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let mut x = table(&path, "x", 3, 2, false).unwrap();
        x.put(1, &Samples::new(vec![1.0, 2.0], 2));
        let again = table(&path, "x", 3, 2, true).unwrap();
        assert_eq!((again.row(0), again.row(1)), (&[0.0, 0.0][..], &[1.0, 2.0][..]));
        assert_eq!(TensorFile::open(&path, "").unwrap().rows("x").unwrap(), again);
        let error = table(&path, "x", 4, 2, true).unwrap_err().to_string();
        assert!(error.contains("expected") && error.contains("`x` [4, 2]"), "{error}");
        // The file is created anew while the old one is still mapped.
        assert_eq!(table(&path, "x", 3, 2, false).unwrap(), Samples::zeros(3, 2));
        assert_eq!(x.row(1), [1.0, 2.0]);
    }

    #[test]
    fn large_tables_are_mapped_and_the_others_read() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let n = LARGE as usize / 4 / 1024;
        let mut x = scratch(dir.path(), n, 1024).unwrap();
        (0..n).for_each(|i| x.row_mut(i)[7] = i as f32);
        write_rows(&path, &[("x", &x), ("small", &x.slice(0..2))]).unwrap();
        let mut file = TensorFile::open(&path, "").unwrap();
        let (rows, small) = (file.rows("x").unwrap(), file.rows("small").unwrap());
        assert!(rows == x && small == x.slice(0..2));
        // A mapped file outlives its name, and its rows are copied before they are changed.
        std::fs::remove_file(&path).unwrap();
        let mut changed = rows.clone();
        changed.row_mut(0)[0] = 1.0;
        assert!(rows == x && changed != x);
    }

    #[test]
    fn a_number_that_is_none_is_found_in_a_mapped_table() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let mut x = scratch(dir.path(), LARGE as usize / 4 / 1024, 1024).unwrap();
        x.row_mut(5)[3] = f32::NAN;
        write_rows(&path, &[("x", &x)]).unwrap();
        let error = format!("{:#}", TensorFile::open(&path, "").unwrap().rows("x").unwrap_err());
        assert!(error.contains("the value at [5, 3] is NaN"), "{error}");
    }
}
