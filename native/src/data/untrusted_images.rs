//! Untrusted pictures and image sets: whatever their bytes are, reading them returns values or an error. More cases with
//! `PROPTEST_CASES=1000000`.

use super::damage::damage;
use super::idx::IdxConfig;
use super::image_set::{ImageData, Opened};
use super::picture;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgba, RgbaImage};
use proptest::prelude::*;
use proptest::sample::Index;
use std::io::Cursor;
use std::path::Path;
use std::sync::LazyLock;

/// Small whole pictures, one of each format and more for PNG.
static PICTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let color = RgbaImage::from_fn(7, 5, |x, y| Rgba([30 * x as u8, 40 * y as u8, 200, if x > 2 { 255 } else { 0 }]));
    let color = DynamicImage::from(color);
    let gray = DynamicImage::from(GrayImage::from_fn(7, 5, |x, y| Luma([(30 * x + 5 * y) as u8])));
    let encoded = |picture: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let opaque = DynamicImage::from(color.to_rgb8());
    let deep = DynamicImage::from(gray.to_luma16());
    vec![
        encoded(&color, ImageFormat::Png),
        encoded(&deep, ImageFormat::Png),
        encoded(&opaque, ImageFormat::Jpeg),
        encoded(&color, ImageFormat::WebP),
        encoded(&opaque, ImageFormat::Bmp),
        encoded(&gray, ImageFormat::Tiff),
        encoded(&color, ImageFormat::Tiff),
    ]
});

/// Three images of 2 x 3 pixels.
fn idx() -> Vec<u8> {
    let sizes = [3u32, 2, 3].map(u32::to_be_bytes).concat();
    [&[0, 0, 8, 3], &sizes[..], &[9; 18]].concat()
}

fn read_idx(path: &Path) {
    let config = IdxConfig { path: path.display().to_string(), height: 2, width: 3, n: 0, test: 0 };
    if let Ok(Opened::Clean(sources)) = config.open(false) {
        let places: Vec<usize> = (0..sources.train.len()).collect();
        let _ = sources.train.read(&places);
    }
}

proptest! {
    #[test]
    fn damaged_pictures_never_panic(which in any::<Index>(), damage in damage()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        std::fs::write(&path, damage.done_to(&PICTURES[which.index(PICTURES.len())])).unwrap();
        let header = picture::header(&path);
        let size = picture::read(&path, |picture| Ok((picture.width() as usize, picture.height() as usize)));
        if let (Ok(header), Ok(size)) = (header, size) {
            prop_assert_eq!((header.width, header.height), size);
        }
    }

    #[test]
    fn damaged_image_sets_never_panic(damage in damage()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.idx");
        std::fs::write(&path, damage.done_to(&idx())).unwrap();
        read_idx(&path);
    }
}
