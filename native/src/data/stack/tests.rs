use std::path::Path;

use tempfile::tempdir;

use crate::data::image_set::{scaled, scaled_deep};
use crate::data::tensor::{Metadata, Tensor};
use crate::data::tensor_file::{TensorFile, write_tensors};

fn open(name: &str) -> anyhow::Result<TensorFile> {
    TensorFile::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata").join(name), "y")
}

fn read(name: &str) -> Tensor {
    open(name).unwrap().require("y").unwrap()
}

#[test]
fn stacks_of_tifffile_are_read() {
    let mut float = open("float.tif").unwrap();
    assert_eq!((float.names(), float.shape("y").unwrap()), (vec!["y".to_string()], vec![2, 3, 4]));
    let values = float.any_rows("y").unwrap();
    let values = values.as_slice();
    assert!((0..23).all(|i| values[i] == i as f32 - 7.5) && values[23].is_nan());
    let bytes = (0..24).map(|i| scaled(i * 11)).collect();
    assert_eq!(read("bytes.tif"), Tensor { shape: vec![2, 3, 4], values: bytes });
    let shorts = (0..24).map(|i| scaled_deep(i * 2849)).collect();
    assert_eq!(read("shorts.tif"), Tensor { shape: vec![2, 3, 4], values: shorts });
}

/// The fixtures hold the numbers 0, 1, ... in their own order, with the colors last and first.
#[test]
fn colors_come_plane_by_plane() {
    let at = |i: usize| (i / 18, i / 6 % 3, i % 6);
    let values = (0..36).map(at).map(|(page, c, pixel)| scaled((page * 18 + pixel * 3 + c) as u8)).collect();
    assert_eq!(read("colors.tif"), Tensor { shape: vec![2, 3, 2, 3], values });
    let planes = (0..36).map(|i| i as f32).collect();
    assert_eq!(read("planes.tif"), Tensor { shape: vec![2, 3, 2, 3], values: planes });
}

#[test]
fn what_is_no_stack_is_told_with_the_way_out() {
    let error = |opened: anyhow::Result<Tensor>| format!("{:#}", opened.unwrap_err());
    let sizes = error(open("sizes.tif").and_then(|mut file| file.require("y")));
    let expected = "sizes.tif: page 1 has 3 x 1 pixels and 1 channels and page 0 has 3 x 2 pixels and 1 channels; \
                    expected pages of one size. Save each size";
    assert!(sizes.contains(expected), "{sizes}");
    let signed = error(open("signed.tif").and_then(|mut file| file.require("y")));
    assert!(signed.contains("tensor `y`") && signed.contains("page 0: has signed integers"), "{signed}");
    let truth = error(open("float.tif").and_then(|mut file| file.require("a")));
    assert!(truth.contains("there is no tensor `a`; the file holds `y`. A TIFF stack holds one array"), "{truth}");
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.tiff");
    let refuse = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        format!("{:#}", TensorFile::open(&path, "y").unwrap_err())
    };
    assert!(refuse(b"II*\0").contains("o.tiff: not a whole TIFF file ("));
    let mut alpha = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgba8(2, 2).write_to(&mut alpha, image::ImageFormat::Tiff).unwrap();
    let alpha = refuse(alpha.get_ref());
    assert!(alpha.contains("o.tiff: page 0: has pixels of type RGBA(8); expected gray, RGB or plain"), "{alpha}");
    // The height, 3 in two bytes, is the second entry of the table after the header.
    let mut tall = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata/bytes.tif")).unwrap();
    let height = tall.windows(4).position(|entry| entry == [1, 1, 0, 3]).map_or(0, |at| at + 8);
    tall[height..height + 2].copy_from_slice(&[100, 0]);
    assert!(refuse(&tall).contains("damaged or cut short"), "{}", refuse(&tall));
}

#[test]
fn images_come_back_as_pages() {
    let dir = tempdir().unwrap();
    let ramp = |shape: &[usize]| {
        let values = (0..shape.iter().product::<usize>()).map(|i| i as f32).collect();
        Tensor { shape: shape.into(), values }
    };
    let cases: [(&[usize], &[usize]); 5] = [
        (&[4, 2, 1, 3, 5], &[8, 3, 5]),
        (&[4, 2, 3, 3, 5], &[8, 3, 3, 5]),
        (&[2, 3, 4, 5], &[2, 3, 4, 5]),
        (&[4, 3, 7], &[4, 3, 7]),
        (&[4, 7], &[1, 4, 7]),
    ];
    for (written, read) in cases {
        let path = dir.path().join("o.tif");
        write_tensors(&path, &[("x", &ramp(written))], &Metadata::new()).unwrap();
        let back = TensorFile::open(&path, "x").unwrap().require("x").unwrap();
        assert_eq!(back, ramp(read), "{written:?}");
    }
    let two = write_tensors(&dir.path().join("o.tif"), &[("y", &ramp(&[1])), ("a", &ramp(&[1]))], &Metadata::new());
    let two = format!("{:#}", two.unwrap_err());
    assert!(
        two.contains("a TIFF stack holds one array, and there are 2: y, a; expected a name that ends in .npz"),
        "{two}"
    );
}
