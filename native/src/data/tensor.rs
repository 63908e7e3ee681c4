//! Named tensors, and the interface of a file format that stores them.

use anyhow::{Context, Result};
use diffem::Samples;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;

use super::dtype::Dtype;

/// Maximum number of values in a tensor, which take 16 GiB when decoded.
pub const MAX_VALUES: usize = if usize::BITS > 32 { 1 << 32 } else { 1 << 28 };

/// Number of values in a tensor of this `shape`, if it fits in a `usize`.
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
    /// Flattens each row of a tensor of shape `[n, ...]` to give `[n, k]`. The tensor must not be empty or a
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

/// Description of a tensor that precedes its data in a file.
#[derive(Debug)]
pub struct Header {
    pub dtype: Dtype,
    /// Whether the first byte of an element is its highest.
    pub big_endian: bool,
    pub shape: Vec<usize>,
    /// Whether the first index varies fastest (NumPy's `fortran_order`).
    pub fortran: bool,
    /// The shape of the complex numbers whose parts the elements are in turn, if they are complex; `shape` is then that of
    /// their planes.
    pub complex: Option<Vec<usize>>,
}

impl Header {
    /// Number of values.
    ///
    /// # Errors
    /// Fails if there are more than [`MAX_VALUES`].
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

    /// Returns the header of the tensor `name` and a reader of its bytes. The name must be one of
    /// [`Source::names`].
    fn open(&mut self, name: &str) -> Result<(Header, Box<dyn Read + '_>)>;

    /// Location of the tensor `name` in the file, if it is stored there as `f32` in row-major order.
    fn place(&self, _: &str) -> Option<(&File, Range<u64>)> {
        None
    }
}

/// Texts that a file stores in addition to its tensors.
pub type Metadata = BTreeMap<String, String>;

/// Returns the bytes of a file with these tensors and metadata.
pub type Encode = fn(&[(&str, &Tensor)], &Metadata) -> Result<Vec<u8>>;

/// A file format.
pub struct Format {
    /// File extensions, without the dot; messages name the first.
    pub extensions: &'static [&'static str],
    /// Opens a file; an array without a name of its own gets the given name.
    pub open: fn(File, &str) -> Result<Box<dyn Source>>,
    /// Writes a file; `None` for a format that can only be read.
    pub encode: Option<Encode>,
    /// Whether other programs expect images with axes of their own in such a file, not flattened.
    pub shaped: bool,
    /// Advice for the user if a file lacks a tensor.
    pub missing: &'static str,
}
