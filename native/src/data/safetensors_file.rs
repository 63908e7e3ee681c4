//! The safetensors format: the length of a JSON header (u64), the header, and then the data of all tensors.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Metadata as Table, TensorInfo};

use super::dtype::Dtype;
use super::tensor::{Format, Header, Metadata, Source, Tensor};
use super::values::{DAMAGED, little_endian};

/// Registered in [`formats`](super::formats).
pub static FORMAT: Format = Format {
    extensions: &["safetensors"],
    open: |file, _| Ok(Box::new(SafetensorsFile::new(file)?)),
    encode: Some(encode),
    shaped: false,
    missing: "Save it under that name",
};

/// Number of values that are written at a time.
const PIECE: usize = 1 << 16;

/// Size in bytes of the field that holds the header's length.
const LENGTH: u64 = 8;

/// Maximum length of a header, in bytes, that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file whose header is checked and whose data is not yet read.
struct SafetensorsFile {
    file: File,
    header: Table,
    /// Offset of the data in the file.
    start: u64,
}

impl SafetensorsFile {
    /// Reads and checks the header: the tensors must fill the rest of the file exactly.
    fn new(mut file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        let header_length = header_length(&mut file, length)?;
        let mut json = Vec::new();
        Read::by_ref(&mut file).take(header_length).read_to_end(&mut json)?;
        // `SafeTensors::deserialize` needs the whole file in memory, and its sum of lengths can overflow.
        let header: Table = serde_json::from_slice(&json).context("not a safetensors header")?;
        let start = LENGTH + header_length;
        let data = length - start;
        ensure!(
            header.data_len() as u64 == data,
            "the header promises {} bytes of data and the file has {data}: {DAMAGED}",
            header.data_len(),
        );
        Ok(Self { file, header, start })
    }
}

fn header_length(file: &mut File, length: u64) -> Result<u64> {
    let mut bytes = [0; LENGTH as usize];
    if file.read_exact(&mut bytes).is_err() {
        bail!("not a safetensors file: it is only {length} bytes long");
    }
    let header = u64::from_le_bytes(bytes);
    let limit = MAX_HEADER.min(length - LENGTH);
    ensure!(header <= limit, "not a safetensors file, or cut short: its header of {header} bytes does not fit in it");
    Ok(header)
}

impl Source for SafetensorsFile {
    fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    fn open(&mut self, name: &str) -> Result<(Header, Box<dyn Read + '_>)> {
        let info = self.header.info(name).context("not in the header")?;
        let Some(dtype) = Dtype::from_safetensors(info.dtype) else {
            bail!("has type {:?}; expected {}. Convert it, for example to float32", info.dtype, Dtype::ACCEPTED);
        };
        let (begin, end) = info.data_offsets;
        let header = Header { dtype, big_endian: false, shape: info.shape.clone(), fortran: false, complex: None };
        self.file.seek(SeekFrom::Start(self.start + begin as u64))?;
        Ok((header, Box::new(Read::by_ref(&mut self.file).take((end - begin) as u64))))
    }

    fn place(&self, name: &str) -> Option<(&File, Range<u64>)> {
        let info = self.header.info(name).filter(|info| info.dtype == safetensors::Dtype::F32)?;
        let (begin, end) = info.data_offsets;
        Some((&self.file, self.start + begin as u64..self.start + end as u64))
    }
}

/// Name and values of a tensor to be written.
pub type Values<'a> = (&'a str, &'a [f32]);

/// Returns the bytes of a file that holds `tensors` (as F32) and `metadata`.
fn encode(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    let shapes: Vec<_> = tensors.iter().map(|(name, t)| (*name, t.shape.clone())).collect();
    let values: Vec<Values<'_>> = tensors.iter().map(|(name, t)| (*name, &t.values[..])).collect();
    let mut bytes = header(&shapes, metadata)?;
    write_values(&values, &mut bytes)?;
    Ok(bytes)
}

/// Returns the length and the header of a file that holds tensors of these names and shapes; their values
/// follow in the order of the names.
pub fn header(shapes: &[(&str, Vec<usize>)], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut end = 0;
    let entry = |(name, shape): &(&str, Vec<usize>)| {
        let begin = end;
        end += shape.iter().product::<usize>() * size_of::<f32>();
        let info = TensorInfo { dtype: safetensors::Dtype::F32, shape: shape.clone(), data_offsets: (begin, end) };
        (name.to_string(), info)
    };
    let infos = sorted(shapes).into_iter().map(entry).collect();
    let mut json = serde_json::to_vec(&Table::new(None, infos)?)?;
    if !metadata.is_empty() {
        // The metadata is sorted here: the library keeps it in a hash map, whose order, and thus the bytes of
        // the file, would change from run to run.
        let tensors = json.strip_prefix(b"{").context("no header")?;
        let comma = if tensors == b"}" { "" } else { "," };
        let front = format!("{{\"__metadata__\":{}{comma}", serde_json::to_string(metadata)?);
        json = [front.as_bytes(), tensors].concat();
    }
    // Padding with spaces to a multiple of 8 keeps the data aligned.
    json.resize(json.len().next_multiple_of(LENGTH as usize), b' ');
    Ok([&(json.len() as u64).to_le_bytes(), json.as_slice()].concat())
}

/// Writes the values that [`header`] announces, without copying any tensor as a whole.
pub fn write_values(tables: &[Values<'_>], out: &mut dyn Write) -> std::io::Result<()> {
    let pieces = sorted(tables).into_iter().flat_map(|(_, values)| values.chunks(PIECE));
    pieces.map(little_endian).try_for_each(|bytes| out.write_all(&bytes))
}

fn sorted<'t, T>(tables: &'t [(&str, T)]) -> Vec<&'t (&'t str, T)> {
    let mut sorted: Vec<_> = tables.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}
