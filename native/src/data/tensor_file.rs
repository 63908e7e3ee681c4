//! Files of named tensors, which are opened, read and written in the format of their extension.
//!
//! Files come from outside and are not trusted. Shapes are read before data, a header may not announce more
//! than [`MAX_VALUES`](super::tensor::MAX_VALUES), and memory grows only with the bytes that are actually
//! read: a file of a few bytes that claims terabytes is an error, not an allocation.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use diffem::Samples;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::formats::{format_of, is_packed, unknown, unknown_target};
use super::mapped::{LARGE, Mapped};
use super::safetensors_file;
use super::tensor::{Encode, Format, Header, Metadata, Source, Tensor, product};
use super::values::{read_any, read_tensor};
use crate::files;

/// A file of named tensors, open for reading.
pub struct TensorFile {
    path: PathBuf,
    format: &'static Format,
    source: Box<dyn Source>,
}

impl fmt::Debug for TensorFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorFile({})", self.path.display())
    }
}

impl TensorFile {
    /// Opens the file at `path`, whose extension determines the format. The array of a `.npy` file has no
    /// name of its own and is called `npy_name`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, has another extension, or has a damaged table of contents.
    pub fn open(path: &Path, npy_name: &str) -> Result<Self> {
        let Some(format) = format_of(path) else { bail!("{}: {}", path.display(), unknown()) };
        let source = (format.open)(files::open(path)?, npy_name).with_context(|| path.display().to_string())?;
        Ok(Self { path: path.into(), format, source })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        self.source.names()
    }

    /// Returns whether the file holds a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.names().iter().any(|n| n == name)
    }

    /// Returns the shape of the tensor `name` without reading its data.
    ///
    /// # Errors
    /// Fails if there is no such tensor, or if its header is damaged or has a type that is not accepted.
    pub fn shape(&mut self, name: &str) -> Result<Vec<usize>> {
        self.opened(name, |header, _| Ok(header.shape))
    }

    /// Reads the tensor `name`, converted to finite `f32` in row-major order.
    ///
    /// # Errors
    /// Fails like [`TensorFile::shape`], and if the data is damaged, too short, too long or empty, or holds
    /// NaN or infinity.
    pub fn require(&mut self, name: &str) -> Result<Tensor> {
        self.opened(name, |header, data| read_tensor(&header, data))
    }

    /// Returns the number of rows of the tensor `name` and their length, without reading its data.
    ///
    /// # Errors
    /// Fails like [`TensorFile::shape`], and if the tensor is a single number or too large.
    pub fn rows_of(&mut self, name: &str) -> Result<(usize, usize)> {
        let shape = self.shape(name)?;
        let rows = shape.split_first().and_then(|(n, row)| Some((*n, product(row)?)));
        rows.with_context(|| {
            format!("{}: tensor `{name}` has shape {shape:?}; expected rows, [n, ...]", self.path.display())
        })
    }

    /// Returns the rows of the tensor `name` of shape `[n, ...]`, each flattened. Small tensors are read;
    /// large ones stay in the file and are memory-mapped.
    ///
    /// # Errors
    /// Fails like [`TensorFile::require`].
    pub fn rows(&mut self, name: &str) -> Result<Samples> {
        self.rows_by(name, read_tensor)
    }

    /// [`TensorFile::rows`] that need not be finite.
    pub fn any_rows(&mut self, name: &str) -> Result<Samples> {
        self.rows_by(name, read_any)
    }

    fn rows_by(&mut self, name: &str, read: fn(&Header, &mut dyn Read) -> Result<Tensor>) -> Result<Samples> {
        let (_, d) = self.rows_of(name)?;
        let place = self.source.place(name).filter(|(_, range)| range.end - range.start >= LARGE && d > 0);
        match place.map(|(file, range)| Mapped::read(file, range)).transpose()?.flatten() {
            Some(mapped) if mapped.is_finite() => Ok(Samples::elsewhere(Arc::new(mapped), d)),
            // Reading reports which number is not finite.
            _ => Ok(self.opened(name, |header, data| read(&header, data))?.into_samples()),
        }
    }

    fn opened<T>(&mut self, name: &str, then: impl FnOnce(Header, &mut dyn Read) -> Result<T>) -> Result<T> {
        ensure!(self.has(name), self.missing(name));
        let opened = self.source.open(name).and_then(|(header, mut data)| then(header, &mut *data));
        opened.with_context(|| format!("{}: tensor `{name}`", self.path.display()))
    }

    fn missing(&self, name: &str) -> String {
        let names: Vec<_> = self.names().iter().map(|n| format!("`{n}`")).collect();
        let held = if names.is_empty() { "nothing".into() } else { names.join(", ") };
        let advice = self.format.missing;
        format!("{}: there is no tensor `{name}`; the file holds {held}. {advice}", self.path.display())
    }
}

/// Checks that [`write_tensors`] can write to `path`, before the work whose result is written there.
///
/// # Errors
/// Fails if the extension is unknown or the path cannot be written.
pub fn check_target(path: &Path) -> Result<()> {
    ensure!(encoder(path).is_some(), "{}: {}", path.display(), unknown_target());
    files::ensure_writable(path)
}

/// Writes `tensors` and `metadata` atomically to `path`, in the format of its extension (`.safetensors`,
/// `.npz`, `.fits`, `.fits.gz`, `.tif` or `.h5`).
///
/// The bytes depend only on the arguments, not on a clock or a hash order. An `.npz` file stores the metadata
/// as `metadata.json`.
///
/// # Errors
/// Fails for another extension, a tensor whose shape and values disagree, a name that is given twice, or a
/// path that cannot be written.
pub fn write_tensors(path: &Path, tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<()> {
    let bytes = encode(path, tensors, metadata).with_context(|| path.display().to_string())?;
    files::write_atomic(path, &bytes)
}

/// Writes `tables` atomically to the `.safetensors` file `path`, without copying them in memory.
pub fn write_rows(path: &Path, tables: &[(&str, &Samples)]) -> Result<()> {
    let shapes: Vec<_> = tables.iter().map(|(name, x)| (*name, vec![x.n(), x.d()])).collect();
    let values: Vec<_> = tables.iter().map(|(name, x)| (*name, x.as_slice())).collect();
    let header = safetensors_file::header(&shapes, &Metadata::new())?;
    files::write_atomic_with(path, |out| {
        out.write_all(&header)?;
        safetensors_file::write_values(&values, out)
    })
}

fn encode(path: &Path, tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        let (shape, count) = (&tensor.shape, tensor.values.len());
        ensure!(product(shape) == Some(count), "tensor `{name}` of shape {shape:?} cannot have {count} values");
        ensure!(tensors[..i].iter().all(|(other, _)| other != name), "tensor `{name}` is given twice");
    }
    match encoder(path) {
        Some(encode) if is_packed(path) => packed(&encode(tensors, metadata)?),
        Some(encode) => encode(tensors, metadata),
        None => bail!(unknown_target()),
    }
}

/// Compresses with gzip; the bytes hold neither a name nor a time.
fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Returns the encoder for the extension of `path`, if that format can be written.
fn encoder(path: &Path) -> Option<Encode> {
    format_of(path)?.encode
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use tempfile::tempdir;

    fn fixture(name: &str) -> TensorFile {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata");
        TensorFile::open(&dir.join(name), "x").unwrap()
    }

    fn error<T: fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    fn ramp(scale: f32) -> Tensor {
        Tensor { shape: vec![2, 3, 4], values: (0..24).map(|i| scale * (i as f32 - 7.5)).collect() }
    }

    #[test]
    fn files_of_the_formats_own_libraries_are_read() {
        for (file, names) in [("numpy.npz", vec!["f8", "f2", "fortran"]), ("peer.safetensors", vec!["f8", "f2"])] {
            for name in names {
                assert_eq!(fixture(file).require(name).unwrap(), ramp(1.0), "{file} {name}");
            }
        }
        let mut npz = fixture("numpy.npz");
        assert_eq!(npz.require("i8").unwrap(), Tensor { shape: vec![3], values: vec![-1.0, 0.0, 1.0] });
        assert_eq!(npz.require("u1").unwrap().values, [0.0, 1.0, 2.0]);
        assert_eq!(npz.require("b1").unwrap(), Tensor { shape: vec![1, 2], values: vec![1.0, 0.0] });
        assert_eq!(npz.require("scalar").unwrap(), Tensor { shape: vec![], values: vec![2.5] });
    }

    #[test]
    fn complex_arrays_become_planes() {
        let mut npz = fixture("complex.npz");
        let part = |image: usize, by: f32| (6 * image..6 * image + 6).map(move |i| by * i as f32);
        let values = (0..8).flat_map(|image| part(image, 1.0).chain(part(image, 10.0))).collect();
        let planes = Tensor { shape: vec![4, 4, 3, 2], values };
        assert_eq!(npz.shape("c16").unwrap(), planes.shape);
        assert_eq!((npz.require("c8").unwrap(), npz.require("c16").unwrap()), (planes.clone(), planes));
        let image = [0.0, 1.0, 0.0, 10.0, 2.0, 3.0, 20.0, 30.0, 4.0, 5.0, 40.0, 50.0];
        assert_eq!(npz.require("image").unwrap(), Tensor { shape: vec![3, 4], values: image.into() });
        let row = [0.0, 0.0, 12.0, 120.0, 24.0, 240.0, 36.0, 360.0];
        assert_eq!(npz.require("row").unwrap(), Tensor { shape: vec![4, 2], values: row.into() });
    }

    #[test]
    fn a_npy_array_takes_the_name_asked_for_and_fortran_order_is_undone() {
        let mut file = fixture("fortran.npy");
        let transposed = file.require("x").unwrap();
        assert_eq!((file.names(), file.shape("x").unwrap()), (vec!["x".to_string()], vec![4, 3, 2]));
        for (i, v) in transposed.values.iter().enumerate() {
            let [k, j, l] = [i / 6, i / 2 % 3, i % 2];
            assert_eq!(*v, ramp(1.0).values[(l * 3 + j) * 4 + k]);
        }
    }

    #[test]
    fn types_that_are_not_numbers_are_refused_with_the_way_out() {
        let mut npz = fixture("numpy.npz");
        for (name, found, advice) in [
            ("text", "has type \"<U1\" (text)", ".astype('<f4')"),
            ("record", "is a structured record", "Save each of its fields"),
        ] {
            let error = error(npz.require(name));
            let expected = format!("numpy.npz: tensor `{name}`: {found}; expected float16, ");
            assert!(error.contains(&expected) && error.contains(advice), "{error}");
        }
    }

    #[test]
    fn big_endian_numbers_and_short_integers_are_read() {
        let zeros = |n: usize| Tensor { shape: vec![n], values: vec![0.0; n] };
        assert_eq!(fixture("numpy.npz").require("big").unwrap(), zeros(3));
        assert_eq!(fixture("peer.safetensors").require("u2").unwrap(), zeros(2));
    }

    #[test]
    fn a_missing_tensor_is_answered_with_those_there_are() {
        let error_of = |file: &str| error(fixture(file).require("y"));
        let safetensors = error_of("peer.safetensors");
        assert!(safetensors.contains("no tensor `y`; the file holds `f2`, `f8`, `u2`. Save it"), "{safetensors}");
        let npy = error_of("fortran.npy");
        assert!(npy.contains("the file holds `x`. A .npy file holds one array"), "{npy}");
    }

    #[test]
    fn an_unknown_extension_is_refused_both_ways() {
        let error_of = |path: &str| error(TensorFile::open(Path::new(path), "y"));
        assert_eq!(
            error_of("y.pt"),
            "y.pt: unknown tensor format; expected a name that ends in .safetensors, .npz, .npy, .fits, .tif or .h5"
        );
        assert!(error_of("nowhere/y.npz").contains("cannot read nowhere/y.npz (check the path)"));
        let write = error(write_tensors(Path::new("y.pt"), &[("y", &ramp(1.0))], &BTreeMap::new()));
        assert_eq!(
            write,
            "y.pt: unknown tensor format; expected a name that ends in .safetensors, .npz, .fits, .tif or .h5"
        );
    }

    #[test]
    fn a_tensor_that_contradicts_itself_is_not_written() {
        let error_of =
            |tensors: &[(&str, &Tensor)]| error(write_tensors(Path::new("nowhere/a.npz"), tensors, &BTreeMap::new()));
        let short = error_of(&[("y", &Tensor { shape: vec![2, 2], values: vec![0.0] })]);
        assert_eq!(short, "nowhere/a.npz: tensor `y` of shape [2, 2] cannot have 1 values");
        assert!(error_of(&[("y", &ramp(1.0)), ("y", &ramp(2.0))]).contains("`y` is given twice"));
    }

    #[test]
    fn the_same_tensors_give_the_same_bytes_with_sorted_metadata() {
        let dir = tempdir().unwrap();
        let metadata: BTreeMap<_, _> = ["z", "b", "q\"", "a"].map(|k| (k.to_string(), "1".to_string())).into();
        for name in ["a.safetensors", "a.npz"] {
            let path = dir.path().join(name);
            let bytes = || {
                write_tensors(&path, &[("y", &ramp(1.0)), ("x", &ramp(2.0))], &metadata).unwrap();
                fs::read(&path).unwrap()
            };
            let (first, text) = (bytes(), String::from_utf8_lossy(&bytes()).into_owned());
            assert_eq!(first, bytes());
            assert!(text.contains(r#"{"a":"1","b":"1","q\"":"1","z":"1"}"#), "{text}");
            let mut file = TensorFile::open(&path, "").unwrap();
            assert_eq!(file.names(), ["x", "y"]);
            assert_eq!((file.require("x").unwrap(), file.require("y").unwrap()), (ramp(2.0), ramp(1.0)));
        }
        let bytes = fs::read(dir.path().join("a.safetensors")).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap().len(), 4);
    }

    /// A run's file with one number in place of its observations.
    #[test]
    fn a_single_number_has_no_rows() {
        let mut npz = fixture("numpy.npz");
        let error = error(npz.rows("scalar"));
        assert!(error.ends_with("numpy.npz: tensor `scalar` has shape []; expected rows, [n, ...]"), "{error}");
        assert_eq!(npz.rows_of("f8").unwrap(), (2, 12));
    }

    #[test]
    fn rows_are_flattened_and_back() {
        let samples = ramp(1.0).into_samples();
        assert_eq!((samples.n(), samples.d()), (2, 12));
        assert_eq!(Tensor::from(&samples), Tensor { shape: vec![2, 12], ..ramp(1.0) });
    }
}
