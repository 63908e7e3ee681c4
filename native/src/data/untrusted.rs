//! Untrusted files: whatever their bytes are, reading them returns tensors or an error, and never causes a
//! panic or a huge allocation.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use proptest::prelude::*;
use tempfile::{NamedTempFile, tempdir};

use super::tensor::Tensor;
use super::tensor_file::{TensorFile, write_tensors};

const FORMATS: [&str; 3] = ["safetensors", "npz", "npy"];

/// Reads every tensor of a file with these `bytes`.
pub(super) fn read(format: &str, bytes: &[u8]) -> Result<Vec<Tensor>> {
    let mut file = tempfile::Builder::new().suffix(&format!(".{format}")).tempfile()?;
    file.write_all(bytes)?;
    read_all(&file)
}

fn read_all(file: &NamedTempFile) -> Result<Vec<Tensor>> {
    let mut file = TensorFile::open(file.path(), "y")?;
    let names = file.names();
    names.iter().map(|name| file.shape(name).and_then(|_| file.require(name))).collect()
}

fn error(format: &str, bytes: &[u8]) -> String {
    format!("{:#}", read(format, bytes).unwrap_err())
}

/// Bytes of a small valid file that holds tensors of shape `[3, 2]`.
fn valid(format: &str) -> Vec<u8> {
    let tensor = Tensor { shape: vec![3, 2], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
    if format == "npy" {
        return npy("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", &[0; 24]);
    }
    let dir = tempdir().unwrap();
    let path = dir.path().join("a").with_extension(format);
    write_tensors(&path, &[("y", &tensor), ("a", &tensor)], &BTreeMap::new()).unwrap();
    std::fs::read(path).unwrap()
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A zip archive of one compressed entry.
fn npz(entry: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("y.npy", zip::write::SimpleFileOptions::DEFAULT).unwrap();
    archive.write_all(entry).unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    for format in FORMATS {
        let whole = valid(format);
        read(format, &whole).unwrap();
        for length in 0..whole.len() {
            assert!(read(format, &whole[..length]).is_err(), "{format} of {length} bytes");
        }
    }
}

#[test]
fn a_file_with_bytes_after_its_end_is_an_error() {
    for format in ["safetensors", "npy"] {
        assert!(error(format, &[valid(format), vec![0]].concat()).contains("damaged or cut short"));
    }
}

#[test]
fn a_shape_larger_than_the_file_is_an_error_and_not_an_allocation() {
    let shapes = ["(4000000000, 1)", "(4294967297,)", "(99999999999, 99999999999)", "(0, 18446744073709551616)"];
    let messages = ["the data ends after 8 of", "is too large", "is too large", "not the length of a dimension"];
    for (shape, message) in shapes.iter().zip(messages) {
        let array = npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"), &[0; 8]);
        let errors = [error("npy", &array), error("npz", &npz(&array))];
        assert!(errors.iter().all(|e| e.contains("tensor `y`") && e.contains(message)), "{errors:?}");
    }
}

#[test]
fn headers_that_lie_are_errors() {
    let long = [b"\x93NUMPY\x02\x00", &[255; 4][..]].concat();
    assert!(error("npy", &long).contains("a header of 4294967295 bytes is too long"));
    assert!(error("npy", b"\x93NUMPY\x09\x00").contains("version 9 of the .npy format is not known"));
    assert!(error("npy", &npy(&"[".repeat(9000), &[])).contains("no `descr` in the .npy header"));
    assert!(error("npy", b"PK").contains("not an array in .npy format"));
    assert!(error("npz", b"\x93NUMPY").contains("not a whole .npz (zip) file"));
    assert!(error("safetensors", &[255; 9]).contains("its header of 18446744073709551615 bytes does not fit"));
    assert!(error("safetensors", &safetensors("{]", &[])).contains("not a safetensors header"));
    assert!(error("safetensors", b"x").contains("it is only 1 bytes long"));
    let promises = r#"{"y":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(
        error("safetensors", &safetensors(promises, &[0; 4])).contains("promises 8 bytes of data and the file has 4")
    );
}

/// The lengths add up to almost 2^64, so adding the length of the header overflows.
#[test]
fn safetensors_lengths_that_overflow_together_are_an_error() {
    let dim = (1u64 << 61) - 1;
    let entry =
        |i: u64| format!(r#""t{i}":{{"dtype":"U8","shape":[{dim}],"data_offsets":[{},{}]}}"#, i * dim, (i + 1) * dim);
    let header = format!("{{{}}}", (0..8).map(entry).collect::<Vec<_>>().join(","));
    assert!(error("safetensors", &safetensors(&header, &[])).contains("18446744073709551608 bytes of data"));
}

#[test]
fn damage_inside_a_compressed_entry_is_found() {
    let mut whole = npz(&npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4000,), }", &[7; 4000]));
    read("npz", &whole).unwrap();
    // Change the checksum of the data in the table of contents.
    let at = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap() + 16;
    whole[at] ^= 1;
    let error = error("npz", &whole);
    assert!(error.contains("tensor `y`: the file is damaged or cut short"), "{error}");
}

#[test]
fn an_extension_in_capitals_is_known() {
    assert_eq!(read("NPY", &valid("npy")).unwrap()[0].shape, [3, 2]);
    assert!(TensorFile::open(Path::new("a.NPY.txt"), "y").is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in FORMATS {
            prop_assert!(read(format, &bytes).is_err());
        }
    }

    /// The file is almost valid: only a few of its bytes are changed.
    #[test]
    fn damaged_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        for format in FORMATS {
            let mut bytes = valid(format);
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = read(format, &bytes);
        }
    }

    #[test]
    fn arbitrary_headers_never_panic(header in r"\PC{0,40}", shape in r"[(\[0-9L, )\]]{0,24}") {
        let array = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}, }}");
        let tensor = format!(r#"{{"y":{{"dtype":"F32","shape":{shape},"data_offsets":[0,8]}}}}"#);
        prop_assert!(read("npy", &npy(&header, &[])).is_err());
        prop_assert!(read("safetensors", &safetensors(&header, &[0; 8])).is_err());
        let _ = (read("npy", &npy(&array, &[0; 8])), read("safetensors", &safetensors(&tensor, &[0; 8])));
    }

    #[test]
    fn tensors_come_back_bit_for_bit(
        (shape, values) in prop::collection::vec(1usize..5, 0..4).prop_flat_map(|shape| {
            let count = shape.iter().product::<usize>();
            let finite = any::<f32>().prop_filter("finite", |v| v.is_finite());
            (Just(shape), prop::collection::vec(finite, count))
        }),
        name in "[a-z_.é/]{1,8}",
    ) {
        let tensor = Tensor { shape, values };
        let dir = tempdir().unwrap();
        for format in ["safetensors", "npz"] {
            let path = dir.path().join("a").with_extension(format);
            write_tensors(&path, &[(&name, &tensor)], &BTreeMap::new()).unwrap();
            let back = TensorFile::open(&path, "").unwrap().require(&name).unwrap();
            prop_assert_eq!(&back.shape, &tensor.shape);
            prop_assert!(back.values.iter().zip(&tensor.values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }
}
