//! The 8x8 handwritten digits: 1797 gray images embedded in the program.
//!
//! Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (1998), UCI Machine
//! Learning Repository, test set; the file is `sklearn/datasets/data/digits.csv.gz` of scikit-learn 1.9.1,
//! byte for byte (BSD-3-Clause, see `digits.LICENSE`).

use std::io::Read;

use diffem::Samples;
use diffem::image::ImageShape;
use flate2::read::GzDecoder;

/// Shape of a digit.
pub const SHAPE: ImageShape = ImageShape { channels: 1, height: 8, width: 8 };

/// One line per image: 64 pixels in 0..=16, row by row, then the digit. The file is unchanged, so that its
/// checksum is that of its source. Packed into 5 bits per pixel it would also be larger (72 kB against
/// 57 kB).
const CSV_GZ: &[u8] = include_bytes!("digits.csv.gz");

/// Returns all 1797 digits in the order of the file, `[1797, 64]`: 8x8 pixels in [-2, 2], row by row, with -2
/// for paper and 2 for full ink.
pub fn digits() -> Samples {
    let pixels = rows().into_iter().flat_map(|row| row.into_iter().take(64));
    Samples::new(pixels.map(|v| diffem::image::from_unit(f32::from(v) / 16.0)).collect(), 64)
}

/// Reads the lines of the file; each holds 64 pixels and the digit.
fn rows() -> Vec<Vec<u8>> {
    let mut csv = String::new();
    GzDecoder::new(CSV_GZ).read_to_string(&mut csv).expect("the embedded digits are a whole gzip file");
    let number = |v: &str| v.parse().expect("the embedded digits are integers");
    csv.lines().map(|line| line.split(',').map(number).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers here were computed from the same file in Python.
    #[test]
    fn the_digits_are_those_of_the_source() {
        let (pixels, labels) = (digits(), rows().iter().map(|row| row[64]).collect::<Vec<u8>>());
        assert_eq!((pixels.n(), pixels.d(), labels.len()), (1797, 64, 1797));
        let counts: Vec<usize> = (0..10).map(|d| labels.iter().filter(|&&l| l == d).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let values: Vec<u64> = pixels.as_slice().iter().map(|&v| (4.0 * (v + 2.0)) as u64).collect();
        assert_eq!(values.iter().sum::<u64>(), 561_718);
        assert_eq!(values.iter().map(|v| v * v).sum::<u64>(), 6_907_012);
        // Sums weighted by position detect any change of order.
        let by_column = |(i, v): (usize, &u64)| (i as u64 % 64 + 1) * v;
        let by_row = |(i, v): (usize, &u64)| i as u64 / 64 * v;
        assert_eq!(values.iter().enumerate().map(by_column).sum::<u64>(), 18_222_371);
        assert_eq!(values.iter().enumerate().map(by_row).sum::<u64>(), 503_342_547);
        let by_image: u64 = labels.iter().zip(0..).map(|(&l, i)| i * u64::from(l)).sum();
        assert_eq!(by_image, 7_264_791);
    }

    #[test]
    fn the_pixels_fill_the_range() {
        let pixels = digits();
        let values = pixels.as_slice();
        assert!(values.iter().all(|v| (-2.0..=2.0).contains(v) && (v * 4.0).fract() == 0.0));
        assert!(values.contains(&-2.0) && values.contains(&2.0));
    }
}
