use std::path::{Path, PathBuf};

use tempfile::tempdir;

use crate::data::tensor::{Metadata, Tensor};
use crate::data::tensor_file::{TensorFile, write_tensors};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata").join(name)
}

fn open(file: &str, name: &str) -> TensorFile {
    TensorFile::open(&fixture(file), name).unwrap()
}

fn ramp() -> Tensor {
    Tensor { shape: vec![2, 3, 4], values: (0..24).map(|i| i as f32 - 7.5).collect() }
}

#[test]
fn arrays_of_h5py_are_read() {
    let mut file = open("arrays.h5", "y");
    assert_eq!(file.names(), ["a", "f2", "pairs", "resized", "text", "u2", "x", "y"]);
    for name in ["y", "x", "f2"] {
        assert_eq!(file.require(name).unwrap(), ramp(), "{name}");
    }
    let seen = ramp().values.iter().map(|v| f32::from(u8::from(*v > 0.0))).collect::<Vec<_>>();
    assert_eq!(file.require("a").unwrap(), Tensor { values: seen, ..ramp() });
    assert_eq!(file.require("u2").unwrap().values, [0.0, 65535.0]);
    let rows = [&ramp().values[..4], &ramp().values[12..16]].concat();
    assert_eq!(file.require("resized").unwrap(), Tensor { shape: vec![2, 4], values: rows });
    let mut error = |name: &str| format!("{:#}", file.require(name).unwrap_err());
    assert!(error("pairs").contains("arrays.h5: tensor `pairs`: holds records of p, q; expected float16"));
    assert!(error("text").contains("tensor `text`: holds text or lists; expected"), "{}", error("text"));
    assert!(error("z").contains("Save it as a dataset of that name at the root of the file"));
}

/// k-space holds v + 100 v i.
#[test]
fn k_space_becomes_planes_and_its_mask_rows() {
    let mut file = open("single_coil.h5", "y");
    assert_eq!(file.names(), ["a", "ismrmrd_header", "reconstruction_esc", "y"]);
    let slice = |i: usize, by: f32| ramp().values[12 * i..12 * (i + 1)].iter().map(|v| v * by).collect::<Vec<_>>();
    let planes = [slice(0, 1.0), slice(0, 100.0), slice(1, 1.0), slice(1, 100.0)].concat();
    assert_eq!(file.require("y").unwrap(), Tensor { shape: vec![2, 2, 3, 4], values: planes });
    assert_eq!(file.require("a").unwrap(), Tensor { shape: vec![2, 3, 4], values: [1.0, 0.0, 0.0, 1.0].repeat(6) });
    assert_eq!(open("single_coil.h5", "x").require("x").unwrap(), ramp());
    let coils = open("multi_coil.h5", "y").require("y").unwrap();
    let both = |i: usize| [slice(i, 1.0), slice(i, 100.0), slice(i, -1.0), slice(i, -100.0)].concat();
    assert_eq!(coils, Tensor { shape: vec![2, 4, 3, 4], values: [both(0), both(1)].concat() });
}

#[test]
fn tensors_come_back_and_their_bytes_do_not_change() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.HDF5");
    let about = Metadata::from([("made".into(), "by us".into())]);
    let bytes = || {
        write_tensors(&path, &[("y", &ramp()), ("a", &Tensor { shape: vec![24], ..ramp() })], &about).unwrap();
        std::fs::read(&path).unwrap()
    };
    assert!(bytes() == bytes());
    let mut back = TensorFile::open(&path, "y").unwrap();
    assert_eq!((back.require("y").unwrap(), back.shape("a").unwrap()), (ramp(), vec![24]));
}

#[test]
fn large_arrays_are_read_in_pieces() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.h5");
    let large = Tensor { shape: vec![300, 5000], values: (0..1_500_000).map(|i| i as f32).collect() };
    write_tensors(&path, &[("y", &large)], &Metadata::new()).unwrap();
    assert!(TensorFile::open(&path, "y").unwrap().require("y").unwrap() == large);
}

#[test]
fn other_files_are_told() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.h5");
    std::fs::write(&path, "II*\0").unwrap();
    let error = format!("{:#}", TensorFile::open(&path, "y").unwrap_err());
    assert!(error.contains("o.h5: not a whole HDF5 file"), "{error}");
}
