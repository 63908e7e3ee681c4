//! Named tensors: what a file of them holds, and what a file format is.

use anyhow::{Context, Result};
use diffem::Samples;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;

use super::dtype::Dtype;

/// The most values a tensor may have: 16 GiB once decoded.
pub const MAX_VALUES: usize = if usize::BITS > 32 { 1 << 32 } else { 1 << 28 };

/// Number of values in `shape`, if it fits a `usize`.
pub fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim))
}

/// A dense array in row-major (C) order; `values` has as many elements as the product of `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Tensor {
    /// The rows of a tensor of shape `[n, ...]`, each flattened: `[n, k]`. The tensor must not be empty or a
    /// scalar.
    pub fn into_samples(self) -> Samples {
        Samples::new(self.values, self.shape[1..].iter().product())
    }
}

impl From<&Samples> for Tensor {
    fn from(samples: &Samples) -> Self {
        Self { shape: vec![samples.n(), samples.d()], values: samples.as_slice().to_vec() }
    }
}

/// What a file says of a tensor before its data.
#[derive(Debug)]
pub struct Header {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// The first index varies fastest (numpy's `fortran_order`).
    pub fortran: bool,
}

impl Header {
    /// Number of values.
    ///
    /// # Errors
    /// There are more than [`MAX_VALUES`].
    pub fn count(&self) -> Result<usize> {
        product(&self.shape).filter(|&n| n <= MAX_VALUES).with_context(|| {
            format!("shape {:?} is too large (more than {MAX_VALUES} values). Split the file", self.shape)
        })
    }
}

/// An open file of one format.
pub trait Source {
    /// The names of the tensors, sorted.
    fn names(&self) -> Vec<String>;

    /// The header of the tensor `name` and its bytes, none read yet. The name must be one of
    /// [`Source::names`].
    fn open(&mut self, name: &str) -> Result<(Header, Box<dyn Read + '_>)>;

    /// Where the file holds the tensor `name` as `f32` in row-major order, if it does.
    fn place(&self, _: &str) -> Option<(&File, Range<u64>)> {
        None
    }
}

/// Texts that a file carries beside its tensors.
pub type Metadata = BTreeMap<String, String>;

/// Gives the bytes of a file with these tensors and metadata.
pub type Encode = fn(&[(&str, &Tensor)], &Metadata) -> Result<Vec<u8>>;

/// A file format.
pub struct Format {
    /// Extension of its files.
    pub extension: &'static str,
    /// Opens a file; an array without a name of its own gets the one given.
    pub open: fn(File, &str) -> Result<Box<dyn Source>>,
    /// How a file is written; none for a format that is only read.
    pub encode: Option<Encode>,
    /// What to do where a file lacks a tensor.
    pub missing: &'static str,
}
