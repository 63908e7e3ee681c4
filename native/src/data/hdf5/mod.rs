//! HDF5: the arrays at the root of a file, and those of fastMRI's files under the names that they have here.
//!
//! Complex numbers become two planes, real and imaginary. Arrays are read a few rows at a time.

mod kind;

use std::fs::File;
use std::io::{Error, Read};

use anyhow::{Context, Result, anyhow, ensure};
use hdf5_pure::{Dataset, FileBuilder, ReadSeekSource};

use self::kind::Kind;
use super::dtype::Dtype;
use super::pieces::Pieces;
use super::tensor::{Format, Header, Metadata, Source, Tensor, product};
use super::values::{DAMAGED, little_endian};

/// Registered in [`formats`](super::formats).
pub static FORMAT: Format = Format {
    extensions: &["h5", "hdf5"],
    open: |file, name| Ok(Box::new(Hdf5File::new(file, name)?)),
    encode: Some(encode),
    shaped: true,
    missing: "Save it as a dataset of that name at the root of the file",
};

/// Most bytes of an array that a byte of the file can hold: the ratio of deflate.
const RATIO: u64 = 1040;
/// Bytes that an array may have in any file, however small it is.
const SMALL: u64 = 1 << 20;
/// Bytes that are read at a time, where the chunks of the file are not larger.
const PIECE: u64 = 4 << 20;

/// An open HDF5 file.
struct Hdf5File {
    file: hdf5_pure::File,
    length: u64,
    arrays: Vec<Array>,
}

/// An array of a file.
struct Array {
    /// The name that it has here.
    name: String,
    dataset: String,
}

impl Hdf5File {
    /// Lists the datasets at the root. Where there is no `name`, those of fastMRI take the name of their role.
    fn new(file: File, name: &str) -> Result<Self> {
        let length = file.metadata()?.len();
        let source = ReadSeekSource::new(file).map_err(damaged)?;
        let file = hdf5_pure::File::from_source(source).map_err(damaged)?;
        let mut datasets = file.root().datasets().map_err(damaged)?;
        datasets.sort();
        let has = |name: &str| datasets.iter().any(|dataset| dataset == name);
        let kspace = name == "y" && !has("y") && has("kspace");
        let role = |dataset: &str| match dataset {
            "kspace" if kspace => "y".to_string(),
            "mask" if kspace && !has("a") => "a".into(),
            "sens_maps" | "sensitivity_maps" if kspace && !has("maps") => "maps".into(),
            _ if dataset.starts_with("reconstruction_") && name == "x" && !has("x") => "x".into(),
            _ => dataset.into(),
        };
        let mut arrays: Vec<Array> = Vec::new();
        for dataset in &datasets {
            let name = Some(role(dataset)).filter(|name| arrays.iter().all(|array| array.name != *name));
            arrays.push(Array { name: name.unwrap_or_else(|| dataset.clone()), dataset: dataset.clone() });
        }
        Ok(Self { file, length, arrays })
    }

    /// The dataset behind `name`, its shape, and the type of its numbers; it claims no more than the file can hold.
    fn dataset(&self, name: &str) -> Result<(Dataset, Vec<usize>, Kind)> {
        let array = self.arrays.iter().find(|array| array.name == name).context("not in the file")?;
        let dataset = self.file.dataset(&array.dataset).map_err(damaged)?;
        let kind = Kind::of(&dataset.datatype().map_err(damaged)?)?;
        let shape = dataset.shape().map_err(damaged)?;
        let shape: Vec<usize> = shape.into_iter().map(usize::try_from).collect::<Result<_, _>>()?;
        let most = self.length.saturating_mul(RATIO).max(SMALL);
        let bytes = product(&shape).and_then(|count| count.checked_mul(kind.size())).map(|bytes| bytes as u64);
        ensure!(
            bytes.is_some_and(|bytes| bytes <= most),
            "shape {shape:?} is more than the {} bytes of the file can hold: {DAMAGED}",
            self.length
        );
        Ok((dataset, shape, kind))
    }

    /// The shape of k-space, slices to columns, if `name` is the mask of its columns.
    fn columns(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<usize>>> {
        let is_mask = self.arrays.iter().any(|array| array.name == name && array.dataset == "mask");
        if !is_mask || name != "a" || shape.len() != 1 {
            return Ok(None);
        }
        let (_, y, _) = self.dataset("y")?;
        Ok(Some(y).filter(|y| y.len() > 2 && y.last() == shape.last()))
    }
}

impl Source for Hdf5File {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.arrays.iter().map(|array| array.name.clone()).collect();
        names.sort();
        names
    }

    fn open(&mut self, name: &str) -> Result<(Header, Box<dyn Read + '_>)> {
        let (dataset, shape, kind) = self.dataset(name)?;
        let plain = |shape| Header { dtype: Dtype::F32, big_endian: false, shape, fortran: false, complex: None };
        if let Some(y) = self.columns(name, &shape)? {
            let mask = dataset.read_raw().map_err(damaged)?;
            let mask = little_endian(&kind.values(&mask, &shape));
            let [n, .., height, width] = y[..] else { return Err(anyhow!("k-space has shape {y:?}")) };
            let mut rows = 0..n;
            let row = move || Ok(rows.next().map(|_| mask.repeat(height)).unwrap_or_default());
            return Ok((plain(vec![n, height, width]), Box::new(Pieces::new(row))));
        }
        let n = shape.first().copied().unwrap_or(1) as u64;
        let row = shape.get(1..).and_then(product).unwrap_or(1).max(1) as u64 * kind.size() as u64;
        let chunk = dataset.chunk_shape().map_err(damaged)?.and_then(|chunk| chunk.first().copied());
        let step = (PIECE / row).max(chunk.unwrap_or(1)).clamp(1, n.max(1));
        let header = plain(kind.shape(&shape));
        let mut at = 0;
        let piece = move || {
            if at >= n {
                return Ok(Vec::new());
            }
            let bytes = dataset.read_raw_rows(at, step).map_err(Error::other)?;
            at += step;
            Ok(little_endian(&kind.values(&bytes, &shape)))
        };
        Ok((header, Box::new(Pieces::new(piece))))
    }
}

/// What the reader says, with the way out.
fn damaged(error: impl Into<hdf5_pure::Error>) -> anyhow::Error {
    anyhow!("not a whole HDF5 file, or one that is not read ({}): {DAMAGED}, not with libver=\"latest\"", error.into())
}

/// Returns the bytes of a file with `tensors` as contiguous datasets and `metadata` as attributes.
fn encode(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut file = FileBuilder::new();
    for (name, tensor) in tensors {
        let shape: Vec<u64> = tensor.shape.iter().map(|dim| *dim as u64).collect();
        file.create_dataset(name).with_f32_data(&tensor.values).with_shape(&shape);
    }
    for (key, value) in metadata {
        file.set_attr(key, hdf5_pure::AttrValue::String(value.clone()));
    }
    file.finish().map_err(|error| anyhow!("cannot be written as HDF5 ({error}); choose .npz"))
}

#[cfg(test)]
mod tests;
