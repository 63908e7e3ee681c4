//! NumPy's `.npy` format: one array.
//!
//! A file consists of `\x93NUMPY`, a version, the length of a header, the header (a Python dict literal with
//! exactly the keys `descr`, `fortran_order` and `shape`), then the data (numpy.lib.format, versions 1.0 to
//! 3.0).

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};

use anyhow::{Context, Result, bail, ensure};

use super::complex;
use super::dtype::Dtype;
use super::tensor::{Format, Header, Source, Tensor};
use super::values::{DAMAGED, little_endian};

/// Registered in [`formats`](super::formats).
pub static FORMAT: Format = Format {
    extensions: &["npy"],
    open: |file, name| Ok(Box::new(NpyFile::new(file, name))),
    encode: None,
    shaped: false,
    missing: "A .npy file holds one array: save them together with numpy.savez",
};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Maximum length of a header, which is NumPy's own limit for untrusted files.
const MAX_HEADER: usize = 10_000;

/// An open `.npy` file: one array under the name that the caller chose.
struct NpyFile {
    file: BufReader<File>,
    name: String,
}

impl NpyFile {
    /// Wraps `file` and calls its array `name`.
    fn new(file: File, name: &str) -> Self {
        Self { file: BufReader::new(file), name: name.into() }
    }
}

impl Source for NpyFile {
    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn open(&mut self, _: &str) -> Result<(Header, Box<dyn Read + '_>)> {
        self.file.rewind()?;
        let header = read_header(&mut self.file)?;
        Ok((header, Box::new(&mut self.file)))
    }
}

/// Reads the header at the beginning of `data`; the values follow it.
pub fn read_header(data: &mut impl Read) -> Result<Header> {
    let mut start = [0; 8];
    match data.read_exact(&mut start) {
        // The decoder of a zip archive reports what is wrong with it here.
        Err(e) if e.kind() != ErrorKind::UnexpectedEof => return Err(e).context(DAMAGED),
        read => ensure!(read.is_ok() && start.starts_with(MAGIC), "not an array in .npy format"),
    }
    let length = header_length(data, start[6]).context(DAMAGED)?;
    ensure!(length <= MAX_HEADER, "a header of {length} bytes is too long; expected at most {MAX_HEADER}");
    let mut text = vec![0; length];
    data.read_exact(&mut text).context(DAMAGED)?;
    parse_header(&String::from_utf8_lossy(&text))
}

/// Reads the length of the header: two bytes in version 1, four in versions 2 and 3.
fn header_length(data: &mut impl Read, version: u8) -> Result<usize> {
    let mut bytes = [0; 4];
    match version {
        1 => data.read_exact(&mut bytes[..2])?,
        2 | 3 => data.read_exact(&mut bytes)?,
        _ => bail!("version {version} of the .npy format is not known"),
    }
    Ok(u32::from_le_bytes(bytes) as usize)
}

/// Parses a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }`.
///
/// Only arrays of plain numbers are supported, so this function finds the three keys and is no Python parser.
/// A general parser of literals recurses as deeply as the file nests brackets, so a hostile file could
/// exhaust the stack.
fn parse_header(text: &str) -> Result<Header> {
    let descr = value_of(text, "descr")?;
    let quoted = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(code, _)| code);
    let Some(code) = quoted else {
        bail!("is a structured record; expected {}. Save each of its fields as an array of its own", Dtype::ACCEPTED);
    };
    let (is_complex, real) = match code.split_at_checked(1) {
        Some((order, "c8")) => (true, format!("{order}f4")),
        Some((order, "c16")) => (true, format!("{order}f8")),
        _ => (false, code.into()),
    };
    let Some((dtype, big_endian)) = Dtype::from_npy(&real) else {
        let [found, advice] = Dtype::refused_npy(code);
        bail!("has type {code:?} ({found}); expected {}, complex64 or complex128. {advice}", Dtype::ACCEPTED);
    };
    let fortran = value_of(text, "fortran_order")?.starts_with("True");
    let header = Header { dtype, big_endian, shape: parse_shape(value_of(text, "shape")?)?, fortran, complex: None };
    if !is_complex {
        return Ok(header);
    }
    header.count()?;
    Ok(Header { shape: complex::shape(&header.shape), complex: Some(header.shape), ..header })
}

/// Returns the text that follows `'key':`.
fn value_of<'a>(text: &'a str, key: &str) -> Result<&'a str> {
    let (_, value) = text.split_once(&format!("'{key}':")).with_context(|| format!("no `{key}` in the .npy header"))?;
    Ok(value.trim_start())
}

fn parse_shape(value: &str) -> Result<Vec<usize>> {
    let inner = value.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inner, _)| inner);
    let dims = inner.with_context(|| format!("no shape in the .npy header: {DAMAGED}"))?;
    // `(3,)` ends with a comma, and Python 2 wrote long integers as `3L`.
    let dims = dims.split(',').map(|dim| dim.trim().trim_end_matches('L')).filter(|dim| !dim.is_empty());
    dims.map(|dim| dim.parse().with_context(|| format!("{dim:?} is not the length of a dimension"))).collect()
}

/// Returns the bytes of a file that holds `tensor` as `<f4`.
pub fn encode(tensor: &Tensor) -> Vec<u8> {
    let dims: String = tensor.shape.iter().map(|dim| format!("{dim}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", dims.trim_end());
    // Spaces and a newline align the start of the data to 64 bytes, as the format requires.
    let length = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    header = format!("{header:<width$}\n", width = length - 1);
    let start = [&MAGIC[..], &[1, 0], &(length as u16).to_le_bytes(), header.as_bytes()].concat();
    [start, little_endian(&tensor.values)].concat()
}
