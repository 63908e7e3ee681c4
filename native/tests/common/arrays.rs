//! Writes and reads tensor files without the code under test.

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// Shape and values of an array.
pub type Array = (Vec<usize>, Vec<f32>);

/// Signals `[n, d]` from a correlated distribution with standard deviation about 1: sums of uniform numbers.
pub fn signals(n: usize, d: usize, seed: u64) -> Array {
    let mut state = seed;
    let mut uniform = || {
        // The generator is Knuth's MMIX.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32 * 2.0 - 1.0
    };
    let row = |common: f32, uniform: &mut dyn FnMut() -> f32| (0..d).map(|_| common + uniform() + uniform()).collect();
    let rows: Vec<Vec<f32>> = (0..n).map(|_| row(uniform(), &mut uniform)).collect();
    (vec![n, d], rows.concat())
}

/// Writes `arrays` as `.npz` or `.safetensors`, by the extension.
pub fn write(path: &Path, arrays: &[(&str, Array)]) {
    let bytes = match path.extension().and_then(|e| e.to_str()) {
        Some("npz") => npz(arrays),
        _ => safetensors(arrays),
    };
    std::fs::write(path, bytes).expect("a writable file");
}

/// Reads the array `name` of a `.npz` or `.safetensors` file.
pub fn read(path: &Path, name: &str) -> Array {
    let bytes = std::fs::read(path).expect("a file");
    match path.extension().and_then(|e| e.to_str()) {
        Some("npz") => read_npz(&bytes, name),
        _ => read_safetensors(&bytes).remove(name).expect("the array"),
    }
}

/// Returns all arrays of a `.safetensors` file.
pub fn read_safetensors(bytes: &[u8]) -> BTreeMap<String, Array> {
    let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
    let array = |view: &TensorView| (view.shape().to_vec(), floats(view.data()));
    file.iter().map(|(name, view)| (name.to_string(), array(&view))).collect()
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    values.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn safetensors(arrays: &[(&str, Array)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = arrays.iter().map(|(_, (_, values))| bytes_of(values)).collect();
    let view = |(shape, bytes)| TensorView::new(Dtype::F32, shape, bytes).expect("a whole array");
    let views = arrays.iter().zip(&bytes);
    let views = views.map(|((name, (shape, _)), bytes)| (*name, view((shape.clone(), bytes))));
    serialize(views, None).expect("a safetensors file")
}

/// Writes the arrays as `numpy.savez_compressed` does.
fn npz(arrays: &[(&str, Array)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (shape, values)) in arrays {
        let shape: String = shape.iter().map(|n| format!("{n},")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let options = SimpleFileOptions::default();
        archive.start_file(format!("{name}.npy"), options).expect("an entry");
        let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        archive.write_all(&[start, bytes_of(values)].concat()).expect("memory");
    }
    archive.finish().expect("an archive").into_inner()
}

fn read_npz(bytes: &[u8], name: &str) -> Array {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let mut array = Vec::new();
    let mut entry = archive.by_name(&format!("{name}.npy")).expect("the array");
    entry.read_to_end(&mut array).expect("a whole entry");
    assert_eq!(&array[..8], b"\x93NUMPY\x01\x00");
    let data = 10 + u16::from_le_bytes([array[8], array[9]]) as usize;
    let header = std::str::from_utf8(&array[10..data]).expect("ASCII");
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).expect("a shape");
    let shape = shape.split(',').filter(|n| !n.trim().is_empty());
    let shape = shape.map(|n| n.trim().parse().expect("a length")).collect();
    (shape, floats(&array[data..]))
}
