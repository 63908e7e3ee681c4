//! Files of science, in and out: masked images as FITS, as a TIFF stack and as HDF5.

mod common;

use common::arrays::{self, signals};
use common::{run, succeed};
use std::path::Path;
use tempfile::TempDir;

const N: usize = 40;

const CONFIG: &str = r#"name = "mine"
data = { kind = "file", path = "o.fits", shape = { channels = 1, height = 3, width = 4 } }
channel = [{ kind = "mask", rate = 0.4 }]
network = { kind = "mlp", width = 16, depth = 1 }
em = { laps = 1 }
m_step = { steps = 20, batch = 32 }
report = { draws = 4 }
e_step = { sampler = { kind = "ddpm", steps = 4 } }
monitor = { holdout = 0.2 }
"#;

/// A folder with the configuration and the same masked images in `seen.npz`.
fn folder() -> (TempDir, Vec<f32>) {
    let dir = tempfile::tempdir().expect("a directory");
    let (_, mut y) = signals(N, 12, 1);
    y.iter_mut().enumerate().filter(|(i, _)| (i * i / 7) % 3 == 0).for_each(|(_, y)| *y = f32::NAN);
    arrays::write(&dir.path().join("seen.npz"), &[("y", (vec![N, 12], y.clone()))]);
    std::fs::write(dir.path().join("mine.toml"), CONFIG).expect("a file");
    (dir, y)
}

/// Trains on a file of `bytes`, and on the same numbers in `seen.npz`; returns the draws in the format of the former,
/// those in `draws.npz` being the latter's.
fn rounds(name: &str, bytes: &[u8]) -> (TempDir, Vec<u8>) {
    let (dir, _) = folder();
    std::fs::write(dir.path().join(name), bytes).expect("a file");
    let out = format!("draws.{}", name.rsplit('.').next().expect("an extension"));
    for (file, run, out) in [("seen.npz", "plain", "draws.npz"), (name, "run", &out)] {
        train_and_draw(dir.path(), file, run, out);
    }
    let draws = std::fs::read(dir.path().join(out)).expect("a file");
    (dir, draws)
}

fn train_and_draw(at: &Path, file: &str, run: &str, out: &str) {
    succeed(at, &["train", "mine.toml", "--observations", file, "--out", run, "--progress", "quiet"]);
    let said = succeed(at, &["sample", run, "--observations", file, "--draws", "2", "--out", out]);
    assert_eq!(said, format!("{out}: 2 draws of 40 posteriors of lap 1\n"));
}

/// The draws in `draws.npz`.
fn expected(dir: &Path) -> Vec<f32> {
    let (shape, x) = arrays::read(&dir.join("draws.npz"), "x");
    assert_eq!(shape, [N, 2, 12]);
    x
}

/// Asserts that training on the first half of a file is refused.
fn assert_refused(name: &str, bytes: &[u8], expected: &str) {
    let (dir, _) = folder();
    std::fs::write(dir.path().join(name), &bytes[..bytes.len() / 2]).expect("a file");
    let output = run(dir.path(), &["train", "mine.toml", "--observations", name, "--out", "run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with(&format!("error: {name}: ")) && said.contains(expected), "{said}");
    assert!(said.contains("damaged or cut short; write or copy it again"), "{said}");
    assert!(!dir.path().join("run").exists());
}

fn fits(y: &[f32]) -> Vec<u8> {
    let cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    3",
        "NAXIS1  =                    4",
        "NAXIS2  =                    3",
        "NAXIS3  =                   40",
        "END",
    ];
    let mut bytes: Vec<u8> = cards.iter().flat_map(|card| format!("{card:<80}").into_bytes()).collect();
    bytes.resize(2880, b' ');
    bytes.extend(y.iter().flat_map(|v| v.to_be_bytes()));
    bytes.resize(2 * 2880, 0);
    bytes
}

#[test]
fn fits_in_fits_out() {
    let bytes = fits(&folder().1);
    let (dir, draws) = rounds("seen.fits", &bytes);
    let header = String::from_utf8_lossy(&draws[..2880]).into_owned();
    for card in ["NAXIS   =                    5", "NAXIS1  =                    4", "NAXIS5  =                   40"] {
        assert!(header.contains(card), "{header}");
    }
    let x: Vec<f32> = draws[2880..].as_chunks::<4>().0.iter().map(|b| f32::from_be_bytes(*b)).take(N * 24).collect();
    assert_eq!(x, expected(dir.path()));
    assert_refused("seen.fits", &bytes, "promises an array of shape [40, 3, 4] with 4 bytes per value");
}

/// Pages as ImageJ reads them.
fn stack(y: &[f32]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).expect("a header");
    for page in y.chunks(12) {
        encoder.write_image::<tiff::encoder::colortype::Gray32Float>(4, 3, page).expect("a page");
    }
    bytes.into_inner()
}

#[test]
fn a_stack_in_a_stack_out() {
    let bytes = stack(&folder().1);
    let (dir, draws) = rounds("seen.tif", &bytes);
    let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(draws)).expect("a stack");
    let about = decoder.get_tag_ascii_string(tiff::tags::Tag::ImageDescription).expect("a description");
    assert_eq!(about, "{\"shape\": [40, 2, 1, 3, 4]}");
    let mut x = Vec::new();
    for page in 0..2 * N {
        decoder.seek_to_image(page).expect("a page");
        let tiff::decoder::DecodingResult::F32(values) = decoder.read_image().expect("a page") else { panic!() };
        x.extend(values);
    }
    assert_eq!(x, expected(dir.path()));
    assert_refused("seen.tif", &bytes, "not a whole TIFF file");
}

/// HDF5 is written by the code under test, whose fixtures come from h5py.
#[test]
fn hdf5_in_hdf5_out() {
    let (dir, y) = folder();
    let at = dir.path();
    let clean: Vec<f32> = y.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
    arrays::write(&at.join("clean.npz"), &[("x", (vec![N, 12], clean))]);
    let corrupt = |out: &str| {
        succeed(at, &["corrupt", "clean.npz", "--config", "mine.toml", "--seed", "3", "--out", out]);
        std::fs::read(at.join(out)).expect("a file")
    };
    let bytes = corrupt("seen.h5");
    assert!(bytes == corrupt("again.h5"), "a clock is in the file");
    corrupt("seen.npz");
    train_and_draw(at, "seen.npz", "plain", "draws.npz");
    train_and_draw(at, "seen.h5", "run", "draws.h5");
    let reconstructions = |run: &str| arrays::read(&at.join(run).join("lap-001/reconstructions.safetensors"), "x");
    assert!(reconstructions("run") == reconstructions("plain"));
    // The draws are read back as signals, with their axes.
    for samples in ["draws.h5", "draws.npz"] {
        succeed(at, &["evaluate", "run", "--truth", "clean.npz", "--samples", samples]);
    }
    assert_refused("seen.h5", &bytes, "");
}

/// Copies a file as fastMRI's, of images of 3 x 4 pixels, to `k_space.h5` in `at`.
fn copy_k_space(at: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata/k_space.h5");
    std::fs::copy(fixture, at.join("k_space.h5")).expect("a copy");
}

/// A file as fastMRI's, with complex k-space in compressed chunks and the mask of its columns, is trained on as it is.
#[test]
fn k_space_is_trained_on() {
    let (dir, _) = folder();
    let at = dir.path();
    copy_k_space(at);
    let config =
        CONFIG.replace("channels = 1", "channels = 2").replace("\"mask\", rate = 0.4", "\"pixel-mask\", rate = 0.3");
    std::fs::write(at.join("mine.toml"), config).expect("a file");
    train_and_draw(at, "k_space.h5", "run", "draws.npz");
    let (shape, y) = arrays::read(&at.join("run/observations.safetensors"), "y");
    assert_eq!(shape, [N, 24]);
    // The imaginary part is twice the real one, and the second column is missing.
    let twice =
        |row: &[f32]| (0..12).all(|i| (2.0 * row[i] - row[12 + i]).abs() < 1e-6 && (i % 4 != 1 || row[i] == 0.0));
    assert!(y.chunks(24).all(twice) && y.iter().any(|v| *v > 0.5));
    let (shape, a) = arrays::read(&at.join("run/observations.safetensors"), "a");
    assert_eq!((shape, a), (vec![N, 12], [1.0, 0.0, 1.0, 1.0].repeat(3 * N)));
    assert!(at.join("run/figures/posterior.svg").exists());
}

/// Coils whose sensitivities are in the file: complex maps of every slice beside its k-space.
#[test]
fn measured_coil_maps_are_trained_with() {
    let (dir, _) = folder();
    let at = dir.path();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata/coil_maps.h5");
    std::fs::copy(fixture, at.join("coils.h5")).expect("a copy");
    let stages = r#"{ kind = "multicoil", coils = 2, maps = "each", acceleration = 1.3, center = 0.25 }, { kind = "noise", std = 0.1 }"#;
    let config = CONFIG.replace(r#"{ kind = "mask", rate = 0.4 }"#, stages);
    std::fs::write(at.join("mine.toml"), &config).expect("a file");
    succeed(at, &["train", "mine.toml", "--observations", "coils.h5", "--out", "run", "--progress", "quiet"]);
    // Mask and maps of a row, then an observation that they explain without noise.
    let (shape, a) = arrays::read(&at.join("run/observations.safetensors"), "a");
    assert_eq!((shape, &a[..4]), (vec![12, 12 + 48], &[1.0, 0.0, 1.0, 1.0][..]));
    succeed(at, &["sample", "run", "--observations", "coils.h5", "--draws", "2", "--out", "draws.npz"]);
    assert_eq!(arrays::read(&at.join("draws.npz"), "x").0, [12, 2, 12]);
    // What `corrupt` writes is read back, with maps that it made.
    arrays::write(&at.join("clean.npz"), &[("x", signals(4, 12, 1))]);
    succeed(at, &["corrupt", "clean.npz", "--config", "mine.toml", "--seed", "3", "--out", "seen.h5"]);
    succeed(at, &["sample", "run", "--observations", "seen.h5", "--draws", "2", "--out", "draws.npz"]);
    // Other maps than the channel has.
    std::fs::write(at.join("mine.toml"), config.replace("coils = 2", "coils = 3")).expect("a file");
    let output = run(at, &["train", "mine.toml", "--observations", "coils.h5", "--out", "other"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: coils.h5: tensor `y` has shape [12, 4, 3, 4]; expected"), "{said}");
    assert!(output.status.code() == Some(2) && !at.join("other").exists());
}

/// Such a file holds what a mask of frequencies shows of real images: a pair of planes for each of them.
#[test]
fn k_space_is_what_a_mask_of_frequencies_shows() {
    let (dir, _) = folder();
    let at = dir.path();
    copy_k_space(at);
    let stages = r#"{ kind = "fourier-mask", acceleration = 1.3, center = 0.25 }, { kind = "noise", std = 0.1 }"#;
    let config = CONFIG.replace(r#"{ kind = "mask", rate = 0.4 }"#, stages);
    std::fs::write(at.join("mine.toml"), config).expect("a file");
    train_and_draw(at, "k_space.h5", "run", "draws.npz");
    assert_eq!(arrays::read(&at.join("draws.npz"), "x").0, [N, 2, 12]);
    let (shape, _) = arrays::read(&at.join("run/observations.safetensors"), "y");
    assert_eq!(shape, [N, 24]);
    assert!(at.join("run/figures/grid.svg").exists() || at.join("run/figures/posterior.svg").exists());
    let plan = succeed(at, &["train", "mine.toml", "--observations", "k_space.h5", "--dry-run"]);
    assert!(plan.contains("diagonal in a basis of images"), "{plan}");
}
