//! Small sets of images in the formats that the command reads.

use flate2::{Compression, write::GzEncoder};
use image::{Rgba, RgbaImage};
use std::io::Write;
use std::path::Path;

/// Writes the file `name` in IDX format: `n` images of `side x side` pixels, each with a bright square at its
/// own position.
pub fn idx(dir: &Path, name: &str, n: usize, side: usize) {
    let head = [0x0803, n, side, side].map(|v| (v as u32).to_be_bytes()).concat();
    let pixel = |i: usize, at: usize| {
        let (row, column) = (at / side, at % side);
        let inside = |place: usize, from: usize| (from..from + 2).contains(&place);
        if inside(row, i % (side - 1)) && inside(column, i / 3 % (side - 1)) { 200 + (i % 50) as u8 } else { 20 }
    };
    let pixels = (0..n).flat_map(|i| (0..side * side).map(move |at| pixel(i, at))).collect();
    let bytes = [head, pixels].concat();
    let bytes = match name.ends_with(".gz") {
        false => bytes,
        true => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&bytes).expect("memory");
            encoder.finish().expect("memory")
        }
    };
    std::fs::create_dir_all(dir).expect("a directory");
    std::fs::write(dir.join(name), bytes).expect("a file");
}

/// Writes a picture, in the format of its name, with one gray level whose left quarter of columns is transparent.
pub fn masked(dir: &Path, name: &str, width: u32, height: u32, level: u8) {
    std::fs::create_dir_all(dir).expect("a directory");
    let alpha = |x: u32| if x < width / 4 { 0 } else { 255 };
    let picture = RgbaImage::from_fn(width, height, |x, _| Rgba([level, level, level, alpha(x)]));
    picture.save(dir.join(name)).expect("a file");
}

/// Changes the header of the PNG file `path` so that it claims `side x side` pixels.
pub fn claim(path: &Path, side: u32) {
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[16..24].copy_from_slice(&[side, side].map(u32::to_be_bytes).concat());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    std::fs::write(path, bytes).expect("a file");
}

/// Writes the six binary batches of CIFAR-10 with `n` records each: smooth colors that differ between images.
pub fn cifar10(dir: &Path, n: usize) {
    std::fs::create_dir_all(dir).expect("a directory");
    let names = (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".to_string()]);
    for (file, name) in names.enumerate() {
        let value = |record: usize, place: usize| (place / 7 + 40 * record + 13 * file) as u8;
        let record = |r: usize| std::iter::once(0).chain((0..3072).map(move |place| value(r, place)));
        std::fs::write(dir.join(name), (0..n).flat_map(record).collect::<Vec<u8>>()).expect("a file");
    }
}

/// Writes `n` color PNG files of 178 x 218 pixels, the size of CelebA's aligned faces.
pub fn faces(dir: &Path, n: usize) {
    std::fs::create_dir_all(dir).expect("a directory");
    for i in 0..n {
        let level = |x: u32, y: u32, c: u32| (x / 2 + y / 3 + 60 * c + 20 * i as u32) as u8;
        let picture = image::RgbImage::from_fn(178, 218, |x, y| image::Rgb([0, 1, 2].map(|c| level(x, y, c))));
        picture.save(dir.join(format!("{i:06}.png"))).expect("a file");
    }
}
