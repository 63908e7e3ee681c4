//! Checkpoints as bytes: safetensors with one metadata entry, `diffem`, that holds JSON. Bytes are a function of the
//! content alone, and Python's `safetensors` reads them.

use crate::conditioning::Standardizer;
use crate::error::{Error, Result};
use crate::network::Layout;
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// Version of the files that this build writes; files of a later version are refused.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Header<'a, M> {
    #[serde(flatten)]
    kind: Kind,
    #[serde(flatten)]
    meta: &'a M,
}

/// Metadata that is read first; the type of the rest depends on the kind.
#[derive(Serialize, Deserialize)]
struct Kind {
    format_version: u32,
    content: String,
}

/// Named `f32` arrays: name, shape and values.
pub type Arrays = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Precision in which numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Unchanged, in 32 bits.
    #[default]
    F32,
    /// In 16 bits, with a relative error of at most 2^-11 from 6.1e-5 to 65504 and an absolute error of at
    /// most 3e-8 below.
    F16,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }

    /// Little-endian bytes of `values`; a number that 16 bits cannot hold is an error.
    fn bytes(self, name: &str, values: &[f32]) -> Result<Vec<u8>> {
        if self == Self::F32 {
            return Ok(values.iter().flat_map(|x| x.to_le_bytes()).collect());
        }
        let halves: Vec<f16> = values.iter().map(|&x| f16::from_f32(x)).collect();
        if let Some(i) = halves.iter().position(|h| !h.is_finite()) {
            let message = format!("tensor `{name}` holds {}, which 16 bits cannot: keep 32", values[i]);
            return Err(Error::Checkpoint(message));
        }
        Ok(halves.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
}

/// Serializes `arrays` and `meta`; `content` says what the file is ("weights", "state").
pub fn encode(content: &str, arrays: &Arrays, meta: &impl Serialize) -> Result<Vec<u8>> {
    encode_with(content, arrays, meta, &|_| Precision::F32)
}

/// [`encode`] with the precision that `precision` returns for each array's name.
pub fn encode_with(
    content: &str,
    arrays: &Arrays,
    meta: &impl Serialize,
    precision: &dyn Fn(&str) -> Precision,
) -> Result<Vec<u8>> {
    let fail = |e: &dyn std::fmt::Display| Error::Checkpoint(e.to_string());
    let kind = Kind { format_version: FORMAT_VERSION, content: content.to_string() };
    let header = Header { kind, meta };
    let header = serde_json::to_string(&header).map_err(|e| fail(&e))?;
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(name, _, v)| precision(name).bytes(name, v)).collect::<Result<_>>()?;
    let views: Vec<(&str, TensorView)> = arrays
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            let dtype = precision(name).dtype();
            TensorView::new(dtype, shape.clone(), bytes).map(|v| (name.as_str(), v)).map_err(|e| fail(&e))
        })
        .collect::<Result<_>>()?;
    // There is a single entry, because the order of a map's entries would change from run to run.
    serialize(views, Some(HashMap::from([("diffem".to_string(), header)]))).map_err(|e| fail(&e))
}

/// Reads what [`encode`] wrote and checks the kind of content and the version. `M` must ignore fields that it
/// does not know, because the version and the kind stand among its own.
pub fn decode<M: DeserializeOwned>(content: &str, bytes: &[u8]) -> Result<(Arrays, M)> {
    let fail = |message: String| Error::Checkpoint(message);
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| fail(format!("not a whole safetensors file ({e})")))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get("diffem"));
    let json = json.ok_or_else(|| fail("no `diffem` entry in the metadata: not written by diffem".into()))?;
    let kind: Kind = serde_json::from_str(json).map_err(|e| fail(format!("metadata: {}", found(&e))))?;
    if kind.format_version > FORMAT_VERSION {
        let found = kind.format_version;
        return Err(fail(format!("format version {found}; this build reads up to {FORMAT_VERSION}: update diffem")));
    }
    if kind.content != content {
        return Err(fail(format!("expected a file of {content}, found {}", kind.content)));
    }
    let meta: M = serde_json::from_str(json).map_err(|e| fail(format!("metadata: {}", found(&e))))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| fail(format!("not a whole safetensors file ({e})")))?;
    let mut arrays = Arrays::new();
    for (name, view) in tensors.iter() {
        let values = match view.dtype() {
            Dtype::F32 => view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => view.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            other => return Err(fail(format!("tensor `{name}`: expected F32 or F16, found {other:?}"))),
        };
        arrays.push((name.to_string(), view.shape().to_vec(), values));
    }
    Ok((arrays, meta))
}

/// What a parser found. What it expected in place of another type is the name of a type of this program, which tells the reader
/// of a damaged file nothing.
fn found(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.split_once(", expected ") {
        Some((found, _)) if found.starts_with("invalid ") => format!("{found} is not expected here"),
        _ => message,
    }
}

pub(crate) fn take(arrays: &mut Arrays, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    let found = arrays.iter().position(|(n, _, _)| n == name);
    let found = found.ok_or_else(|| Error::Checkpoint(format!("tensor `{name}` is missing")))?;
    let (_, shape, values) = arrays.swap_remove(found);
    Ok((shape, values))
}

/// Splits a flat weight vector into named tensors; linear weights are `[inputs, outputs]`.
pub(crate) fn split_weights(layout: &Layout, weights: &[f32]) -> Arrays {
    let mut offset = 0;
    let arrays = layout.entries.iter().map(|(name, shape)| {
        let n: usize = shape.iter().product();
        offset += n;
        (name.clone(), shape.clone(), weights[offset - n..offset].to_vec())
    });
    arrays.collect()
}

/// Encodes a flat weight vector as named tensors, which [`decode_weights`] reads.
pub fn encode_weights(layout: &Layout, weights: &[f32], meta: &impl Serialize) -> Result<Vec<u8>> {
    encode("weights", &split_weights(layout, weights), meta)
}

/// Reads the flat weight vector of a weights file, whose tensors must be exactly those of `layout`.
pub fn decode_weights<M: DeserializeOwned>(layout: &Layout, bytes: &[u8]) -> Result<(Vec<f32>, M)> {
    let (arrays, meta) = decode("weights", bytes)?;
    Ok((join_weights(layout, arrays)?, meta))
}

/// Joins `arrays`, which must be exactly those of `layout`, into a flat weight vector.
pub(crate) fn join_weights(layout: &Layout, mut arrays: Arrays) -> Result<Vec<f32>> {
    let mut weights = Vec::with_capacity(layout.len());
    for (name, shape) in &layout.entries {
        let (found, values) = take(&mut arrays, name)?;
        if &found != shape {
            let message = format!("tensor `{name}` has shape {found:?}, the network of this config needs {shape:?}");
            return Err(Error::Checkpoint(message));
        }
        weights.extend(values);
    }
    match arrays.first() {
        Some((name, _, _)) => {
            Err(Error::Checkpoint(format!("tensor `{name}` is not part of the network of this config")))
        }
        None => Ok(weights),
    }
}

/// A standardizer as JSON, which keeps all 64 bits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StandardizerMeta {
    mean: Vec<f64>,
    root: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power: Option<Vec<f64>>,
}

impl StandardizerMeta {
    pub(crate) fn of(standardizer: &Standardizer) -> Self {
        let Standardizer { mean, root, power, .. } = standardizer.clone();
        Self { mean, root, power }
    }

    /// Returns the standardizer, which must be for signals of length `d`.
    pub(crate) fn standardizer(self, d: usize) -> Result<Standardizer> {
        if self.mean.len() != d {
            let found = self.mean.len();
            return Err(Error::Checkpoint(format!(
                "standardizer of {found} coordinates, this config's signals have {d}"
            )));
        }
        Standardizer::new(self.mean, self.root)?.with_power(self.power)
    }
}

/// Encodes the coordinates of a run, to be stored beside its weights.
pub fn encode_standardizer(standardizer: &Standardizer) -> Result<Vec<u8>> {
    encode("standardizer", &Arrays::new(), &StandardizerMeta::of(standardizer))
}

/// Reads [`encode_standardizer`]'s bytes for signals of length `d`.
pub fn decode_standardizer(bytes: &[u8], d: usize) -> Result<Standardizer> {
    decode::<StandardizerMeta>("standardizer", bytes)?.1.standardizer(d)
}
