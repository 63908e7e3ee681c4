//! The safetensors format: the length of a JSON header (u64), the header, then the data of all tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Metadata, TensorView};

use super::dtype::Dtype;
use super::tensors::{Source, Tensor};
use super::values::{DAMAGED, Header};

/// Bytes of the header's length.
const LENGTH: u64 = 8;

/// The longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file; its header is checked, its data not read.
pub struct SafetensorsFile {
    file: File,
    header: Metadata,
    /// Where the data begins in the file.
    start: u64,
}

impl SafetensorsFile {
    /// Reads and checks the header: the tensors must fill the rest of the file exactly.
    pub fn new(mut file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        let header_length = header_length(&mut file, length)?;
        let mut json = Vec::new();
        file.by_ref().take(header_length).read_to_end(&mut json)?;
        // Not `SafeTensors::deserialize`: it needs the whole file in memory, and its sum of lengths can overflow.
        let header: Metadata = serde_json::from_slice(&json).context("not a safetensors header")?;
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
        let header = Header { dtype, shape: info.shape.clone(), fortran: false };
        self.file.seek(SeekFrom::Start(self.start + begin as u64))?;
        Ok((header, Box::new(self.file.by_ref().take((end - begin) as u64))))
    }
}

/// The bytes of a file that holds `tensors` (as F32) and `metadata`.
pub fn encode(tensors: &[(&str, &Tensor)], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, t)| little_endian(&t.values)).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, t), data)| {
        TensorView::new(safetensors::Dtype::F32, t.shape.clone(), data).map(|view| (*name, view))
    });
    let encoded = safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, None)?;
    with_metadata(encoded, metadata)
}

pub(super) fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Puts the metadata first in the header of `encoded`, sorted: the library keeps it in a hash map, whose order, and so
/// the bytes of the file, would change from run to run.
fn with_metadata(encoded: Vec<u8>, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    if metadata.is_empty() {
        return Ok(encoded);
    }
    let (length, rest) = encoded.split_first_chunk().context("no header")?;
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let tensors = header.trim_ascii_end().strip_prefix(b"{").context("no header")?;
    let comma = if tensors == b"}" { "" } else { "," };
    let mut json = format!("{{\"__metadata__\":{}{comma}", serde_json::to_string(metadata)?).into_bytes();
    json.extend(tensors);
    // Spaces up to a multiple of 8 keep the data aligned.
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok([&(json.len() as u64).to_le_bytes(), json.as_slice(), data].concat())
}
