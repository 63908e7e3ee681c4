//! Untrusted files of science: whatever their bytes are, reading them returns tensors or an error, and never causes a
//! panic or a huge allocation. More cases with `PROPTEST_CASES=1000000`.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::tempdir;

use super::tensor::{Metadata, Tensor};
use super::tensor_file::{TensorFile, write_tensors};
use super::untrusted::read;

/// Formats that are read and written.
const FORMATS: [&str; 3] = ["fits", "tif", "h5"];

/// Fixtures of other programs, with what is packed and scaled.
const FIXTURES: [&str; 10] = [
    "named.fits",
    "plain.fits",
    "float.tif",
    "bytes.tif",
    "shorts.tif",
    "colors.tif",
    "planes.tif",
    "arrays.h5",
    "single_coil.h5",
    "multi_coil.h5",
];

/// Bytes of a small valid file that holds a tensor of this shape.
fn valid(format: &str, shape: &[usize]) -> Vec<u8> {
    let count = shape.iter().product::<usize>();
    let tensor = Tensor { shape: shape.into(), values: (0..count).map(|i| i as f32 * 0.25 - 1.0).collect() };
    let dir = tempdir().unwrap();
    let path = dir.path().join("a").with_extension(format);
    write_tensors(&path, &[("y", &tensor)], &Metadata::new()).unwrap();
    std::fs::read(path).unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata").join(name)).unwrap()
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    for format in FORMATS {
        let whole = valid(format, &[2, 3, 4]);
        read(format, &whole).unwrap();
        // The padding at the end of a FITS file may be missing.
        let end = if format == "fits" { 2880 + 96 } else { whole.len() };
        for length in 0..end {
            assert!(read(format, &whole[..length]).is_err(), "{format} of {length} bytes");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in FORMATS {
            prop_assert!(read(format, &bytes).is_err());
        }
    }

    /// The files are almost valid: only a few of their bytes, or a word as long as a length, are changed.
    #[test]
    fn damaged_bytes_never_panic(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        word in prop::option::of((any::<Index>(), any::<[u8; 4]>())),
        early in any::<bool>(),
    ) {
        let name = FIXTURES[which.index(FIXTURES.len())];
        let mut bytes = fixture(name);
        // Headers are where most damage can be done.
        let most = if early { bytes.len().min(800) } else { bytes.len() };
        changes.iter().for_each(|(at, byte)| bytes[at.index(most)] = *byte);
        if let Some((at, word)) = word {
            let at = at.index(most - 4);
            bytes[at..at + 4].copy_from_slice(&word);
        }
        let _ = read(name.rsplit('.').next().unwrap(), &bytes);
    }

    #[test]
    fn tensors_come_back_bit_for_bit(
        (shape, values) in prop::collection::vec(1usize..5, 3).prop_flat_map(|shape| {
            let count = shape.iter().product::<usize>();
            let finite = any::<f32>().prop_filter("finite", |v| v.is_finite());
            (Just(shape), prop::collection::vec(finite, count))
        }),
    ) {
        let tensor = Tensor { shape, values };
        let dir = tempdir().unwrap();
        for format in FORMATS {
            let path = dir.path().join("a").with_extension(format);
            write_tensors(&path, &[("y", &tensor)], &Metadata::new()).unwrap();
            let back = TensorFile::open(&path, "y").unwrap().require("y").unwrap();
            prop_assert_eq!(&back.shape, &tensor.shape);
            prop_assert!(back.values.iter().zip(&tensor.values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    /// Numbers in a header may be anything.
    #[test]
    fn arbitrary_cards_never_panic(
        bits in "(8|16|32|64|-32|-64|[-0-9]{0,22})",
        axes in prop::collection::vec("[-0-9.DE]{0,21}", 0..4),
        scale in "[-0-9.DEN']{0,20}",
        name in r"[ -~]{0,20}",
    ) {
        let mut cards = vec!["SIMPLE  = T".into(), format!("BITPIX  = {bits}"), format!("NAXIS   = {}", axes.len())];
        cards.extend(axes.iter().enumerate().map(|(i, axis)| format!("{:<8}= {axis}", format!("NAXIS{}", i + 1))));
        cards.extend([format!("BSCALE  = {scale}"), format!("EXTNAME = '{name}"), "END".into()]);
        let mut bytes: Vec<u8> = cards.iter().flat_map(|card| format!("{card:<80.80}").into_bytes()).collect();
        bytes.resize(2880, b' ');
        bytes.extend([1; 2880]);
        let _ = read("fits", &bytes);
    }
}
