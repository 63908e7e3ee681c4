//! FITS, the format of astronomy: the primary array and the image extensions of a file.
//!
//! A file consists of units, each a header of 80-character cards and its data, both in blocks of 2880 bytes (the
//! FITS standard, version 4.0). The keyword EXTNAME names an array; the first one without a name that is known here
//! takes the name asked for. All headers are read when a file is opened, and the data of none. A whole file may be compressed
//! with gzip.

mod bytes;
mod header;
mod scale;
mod write;

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

use self::bytes::Bytes;
use self::header::{BLOCK, Unit};
use self::scale::{Scale, scaled};
use super::dtype::Dtype;
use super::tensor::{Format, Header, Source};
use super::values::DAMAGED;

/// Registered in [`formats`](super::formats).
pub static FORMAT: Format = Format {
    extensions: &["fits", "fit", "fts", "fits.gz", "fit.gz", "fts.gz"],
    open: |file, name| Ok(Box::new(FitsFile::new(file, name)?)),
    encode: Some(write::encode),
    shaped: true,
    missing: "Save it as an image extension whose EXTNAME is that name",
};

/// Names that an array can only have if its EXTNAME says so.
const GIVEN: [&str; 3] = ["y", "a", "x"];

/// An open FITS file whose headers are read.
struct FitsFile {
    file: Bytes,
    arrays: Vec<Array>,
}

/// An array of a file.
struct Array {
    name: String,
    unit: Unit,
    /// Offset of the data in the file.
    start: u64,
}

impl FitsFile {
    /// Reads all headers. The first array is called `name` if no array is and its own name is none of [`GIVEN`].
    fn new(file: File, name: &str) -> Result<Self> {
        let mut file = Bytes::new(file)?;
        let mut arrays: Vec<Array> = Vec::new();
        let (mut at, mut number) = (0, 0);
        while !file.is_at_end().context(DAMAGED)? {
            let read = Unit::read(&mut file, number == 0);
            let unit = read.with_context(|| format!("the header of unit {number}, which begins at byte {at}"))?;
            let start = file.position();
            let end = unit.data_len()?.and_then(|size| start.checked_add(size)).unwrap_or(u64::MAX);
            let reached = file.go(end).context(DAMAGED)?;
            if reached < end {
                let left = reached - start;
                bail!("the header of unit {number} promises {} and {left} bytes are left: {DAMAGED}", unit.promise());
            };
            if unit.is_array() {
                let named = unit.name.clone().filter(|name| arrays.iter().all(|array| array.name != *name));
                arrays.push(Array { name: named.unwrap_or_else(|| format!("unit {number}")), unit, start });
            }
            // Some writers leave out the padding after the last unit.
            at = file.go(end.next_multiple_of(BLOCK as u64)).context(DAMAGED)?;
            number += 1;
        }
        ensure!(number > 0, "not a FITS file: it is empty");
        if let Some(first) = arrays.first().filter(|first| !GIVEN.contains(&&*first.name))
            && first.name != name
            && arrays.iter().all(|array| array.name != name)
        {
            arrays[0].name = name.into();
        }
        Ok(Self { file, arrays })
    }
}

impl Source for FitsFile {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.arrays.iter().map(|array| array.name.clone()).collect();
        names.sort();
        names
    }

    fn open(&mut self, name: &str) -> Result<(Header, Box<dyn Read + '_>)> {
        let array = self.arrays.iter().find(|array| array.name == name).context("not in the file")?;
        let unit = &array.unit;
        ensure!(
            !unit.compressed,
            "is compressed by tiles, which is not read; expected a plain image. Unpack the file with `funpack`, or with \
             astropy's `fits.ImageHDU(hdu.data).writeto(...)`"
        );
        let shape = unit.shape.clone();
        let stored = Header { dtype: unit.dtype, big_endian: true, shape, fortran: false, complex: None };
        self.file.go(array.start).context(DAMAGED)?;
        let bytes = stored.count()? as u64 * unit.dtype.size() as u64;
        let data = Read::by_ref(&mut self.file).take(bytes);
        let scale = Scale { factor: unit.factor, zero: unit.zero, blank: unit.blank };
        if scale.is_plain() && !matches!(unit.dtype, Dtype::I32 | Dtype::I64) {
            return Ok((stored, Box::new(data)));
        }
        let header = Header { dtype: Dtype::F32, big_endian: false, ..stored };
        Ok((header, Box::new(scaled(data, unit.dtype, scale, name.into()))))
    }
}

#[cfg(test)]
mod tests;
