use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::{TempDir, tempdir};

use crate::data::tensor::{Metadata, Tensor};
use crate::data::tensor_file::{TensorFile, write_tensors};

fn fixture(name: &str) -> TensorFile {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata");
    TensorFile::open(&dir.join(name), "y").unwrap()
}

fn ramp() -> Tensor {
    Tensor { shape: vec![2, 3, 4], values: (0..24).map(|i| i as f32 - 7.5).collect() }
}

/// A file of these cards and data, padded to whole blocks.
fn file(units: &[(&[&str], &[u8])]) -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.fits");
    let mut bytes = Vec::new();
    for (cards, data) in units {
        bytes.extend(cards.iter().chain(&["END"]).flat_map(|card| format!("{card:<80}").into_bytes()));
        bytes.resize(bytes.len().next_multiple_of(2880), b' ');
        bytes.extend(*data);
        bytes.resize(bytes.len().next_multiple_of(2880), 0);
    }
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// What is wrong with a file of one unit with these cards.
fn error(cards: &[&str]) -> String {
    let (_dir, path) = file(&[(cards, &[0; 8])]);
    let opened = TensorFile::open(&path, "y").and_then(|mut file| file.require("y"));
    format!("{:#}", opened.unwrap_err()).split_once("/o.fits: ").unwrap().1.into()
}

#[test]
fn arrays_of_astropy_are_read_by_their_names() {
    let mut file = fixture("named.fits");
    assert_eq!(file.names(), ["a", "blank", "it's i8", "scaled", "tiles", "u2", "u4", "y"]);
    assert_eq!(file.require("y").unwrap(), ramp());
    assert_eq!(file.require("scaled").unwrap(), ramp());
    let seen = ramp().values.iter().map(|v| f32::from(u8::from(*v > 0.0))).collect::<Vec<_>>();
    assert_eq!(file.require("a").unwrap(), Tensor { values: seen, ..ramp() });
    assert_eq!(file.require("u2").unwrap().values, [0.0, 32768.0, 65535.0]);
    assert_eq!(file.require("u4").unwrap().values, [0.0, 1.0, 4_294_967_040.0]);
    assert_eq!(file.require("it's i8").unwrap().values, [-(2f32.powi(40)), 5.0]);
    let blank = file.any_rows("blank").unwrap();
    let expected = ramp().into_samples();
    let same = blank.as_slice().iter().zip(expected.as_slice()).enumerate();
    assert!(same.into_iter().all(|(i, (found, value))| if i == 5 { found.is_nan() } else { found == value }));
    let tiles = format!("{:#}", file.require("tiles").unwrap_err());
    assert!(
        tiles.contains("named.fits: tensor `tiles`: is compressed by tiles") && tiles.contains("funpack"),
        "{tiles}"
    );
}

#[test]
fn an_array_without_a_name_takes_the_one_asked_for() {
    let mut file = fixture("plain.fits");
    assert_eq!((file.names(), file.shape("y").unwrap()), (vec!["y".to_string()], vec![2, 3, 4]));
    assert!(file.any_rows("y").unwrap().as_slice()[23].is_nan());
    let error = format!("{:#}", file.require("y").unwrap_err());
    assert!(error.contains("plain.fits: tensor `y`: the value at [1, 2, 3] is NaN"), "{error}");
}

/// The truth alone is never taken for observations, and names of instruments are.
#[test]
fn only_a_name_of_another_role_keeps_an_array_from_being_asked_for() {
    let names = |name: &str| {
        let named = format!("EXTNAME = '{name:<8}'");
        let cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 2", &named];
        let (_dir, path) = file(&[(&cards, &[1, 2])]);
        TensorFile::open(&path, "y").unwrap().names()
    };
    assert_eq!([names("X"), names("A"), names("SCI"), names("Y")], [["x"], ["a"], ["y"], ["y"]]);
}

#[test]
fn headers_that_lie_are_told() {
    let [simple, bits, axes] = ["SIMPLE  =  T", "BITPIX  =  -32 / bits", "NAXIS   =  2"];
    let huge = error(&[simple, bits, axes, "NAXIS1  = 4000000000", "NAXIS2  = 4000000000"]);
    assert!(
        huge.starts_with(
            "the header of unit 0 promises an array of shape [4000000000, 4000000000] with 4 bytes per value and 2880 bytes \
             are left: the file is damaged"
        ),
        "{huge}"
    );
    let large = error(&[simple, bits, axes, "NAXIS1  = 40", "NAXIS2  = 40"]);
    assert!(large.contains("promises an array of shape [40, 40]"), "{large}");
    let unit = "the header of unit 0, which begins at byte 0";
    for (cards, expected) in [
        (vec![simple, bits, "NAXIS   = 1000"], "has NAXIS = 1000; expected 0 to 999"),
        (vec![simple, bits, axes, "NAXIS1  = 1"], "has no NAXIS2, and NAXIS = 2"),
        (vec![simple, bits, axes, "NAXIS2  = -1"], "has NAXIS2 = -1; expected 0 or more"),
        (vec![simple, "BITPIX  = 7", axes], "has BITPIX = 7; expected 8, 16"),
        (vec![simple, "BITPIX  = many"], "has BITPIX = many; expected an integer"),
        (vec![simple, axes], "has no BITPIX"),
        (vec![simple, bits, "NAXIS   = 0", "BSCALE  = nan"], "has BSCALE = nan; expected a number"),
        (vec![simple, "GROUPS  = T"], "has random groups (GROUPS = T)"),
        (vec!["XTENSION= 'IMAGE'"], "it does not begin with `SIMPLE  =`; expected a FITS file"),
    ] {
        let error = error(&cards);
        assert!(error.starts_with(&format!("{unit}: {expected}")), "{error}");
    }
    let (_dir, path) = file(&[(&[simple, bits, "NAXIS   = 0"], &[])]);
    let nothing = format!("{:#}", TensorFile::open(&path, "y").unwrap().shape("y").unwrap_err());
    assert!(
        nothing.contains("there is no tensor `y`; the file holds nothing. Save it as an image extension"),
        "{nothing}"
    );
    let after = error(&[simple, bits, "NAXIS   = 0"]);
    assert!(after.starts_with("the header of unit 1, which begins at byte 2880: it does not begin with `XTENSION=`"));
}

#[test]
fn tensors_come_back_with_their_axes() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.FTS");
    let y = Tensor { shape: vec![3, 1, 2, 5], values: (0..30).map(|i| i as f32 * 0.1).collect() };
    let about = Metadata::from([("made".into(), "by ünits".repeat(20))]);
    write_tensors(&path, &[("y", &y), ("a", &ramp())], &about).unwrap();
    let mut back = TensorFile::open(&path, "y").unwrap();
    assert_eq!((back.require("y").unwrap(), back.require("a").unwrap()), (y.clone(), ramp()));
    assert!(fs::read(&path).unwrap().len().is_multiple_of(2880));
    let error = format!("{:#}", write_tensors(&path, &[("Y y", &y)], &Metadata::new()).unwrap_err());
    assert!(error.contains("o.FTS: tensor `Y y`: expected a name of at most 60 small ASCII"), "{error}");
}

/// The file of `cards` and `data`, compressed, and its path.
fn packed(cards: &[&str], data: &[u8]) -> (TempDir, PathBuf) {
    let (dir, plain) = file(&[(cards, data)]);
    let path = dir.path().join("o.fits.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&fs::read(plain).unwrap()).unwrap();
    fs::write(&path, encoder.finish().unwrap()).unwrap();
    (dir, path)
}

#[test]
fn compressed_files_are_read_and_written() {
    let dir = tempdir().unwrap();
    let (plain, path) = (dir.path().join("o.fits"), dir.path().join("o.FITS.GZ"));
    let tensors = [("y", &ramp()), ("a", &Tensor { shape: vec![24], ..ramp() })];
    write_tensors(&plain, &tensors, &Metadata::new()).unwrap();
    write_tensors(&path, &tensors, &Metadata::new()).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&fs::read(&path).unwrap()[..]).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, fs::read(&plain).unwrap());
    let mut file = TensorFile::open(&path, "y").unwrap();
    // Back and forth.
    for name in ["a", "y", "a"] {
        assert_eq!(file.require(name).unwrap().values, ramp().values, "{name}");
    }
    // Other programs may leave a name as it was.
    fs::copy(&path, dir.path().join("named.fits")).unwrap();
    assert_eq!(TensorFile::open(&dir.path().join("named.fits"), "y").unwrap().names(), ["a", "y"]);
}

/// What the header claims is not in the file, and nothing is allocated for it.
#[test]
fn a_compressed_file_that_claims_more_than_it_holds_is_refused() {
    let cards = |axis: &'static str| ["SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 1", axis];
    let error = |path: &Path| format!("{:#}", TensorFile::open(path, "y").unwrap_err());
    let (_dir, path) = packed(&cards("NAXIS1  = 4000000000"), &[0; 2880 * 4]);
    let claims = error(&path);
    assert!(
        claims.contains("promises an array of shape [4000000000]") && claims.contains("11520 bytes are left"),
        "{claims}"
    );
    let (_dir, path) = packed(&cards("NAXIS1  = 2"), &[0; 8]);
    let whole = fs::read(&path).unwrap();
    for length in 2..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(TensorFile::open(&path, "y").and_then(|mut file| file.require("y")).is_err(), "{length} bytes");
    }
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(&path, wrong).unwrap();
    assert!(error(&path).contains("damaged or cut short"), "{}", error(&path));
}
