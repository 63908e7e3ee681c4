//! Physical values of a FITS array: BZERO + BSCALE x the stored value, and NaN where an integer is BLANK.

use std::io::{ErrorKind, Read, Result};

use crate::data::dtype::Dtype;
use crate::data::pieces::Pieces;
use crate::data::values::little_endian;

/// Values that are scaled at a time.
const PIECE: usize = 1 << 12;

/// How stored numbers become physical values.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub factor: f64,
    pub zero: f64,
    /// The stored integer that stands for a missing value.
    pub blank: Option<i64>,
}

impl Scale {
    /// Whether the stored numbers are the physical values.
    pub fn is_plain(&self) -> bool {
        self.factor == 1.0 && self.zero == 0.0 && self.blank.is_none()
    }

    /// The value of a stored integer, and whether it is an integer that `f32` had to round.
    fn integer(&self, stored: i64) -> (f32, bool) {
        if self.blank == Some(stored) {
            return (f32::NAN, false);
        }
        // Unsigned integers are stored with a BZERO of 2^31 or 2^63, beyond which `f64` would not be exact.
        if self.factor == 1.0 && self.zero.fract() == 0.0 && self.zero.abs() < 1e30 {
            let exact = i128::from(stored) + self.zero as i128;
            return (exact as f32, exact as f32 as i128 != exact);
        }
        (self.real(stored as f64), false)
    }

    fn real(&self, stored: f64) -> f32 {
        (self.zero + self.factor * stored) as f32
    }
}

/// Gives the physical values of `stored` numbers, whose highest byte comes first, as little-endian `f32`. Integers of
/// the array `name` that had to be rounded are told once.
pub fn scaled(mut stored: impl Read, dtype: Dtype, scale: Scale, name: String) -> impl Read {
    let mut told = false;
    Pieces::new(move || {
        let (values, rounded) = next(&mut stored, dtype, scale)?;
        if let Some(value) = rounded.filter(|_| !told) {
            told = true;
            eprintln!(
                "warning: array `{name}` of the FITS file has integers beyond 2^24, such as {value:.0}, which are rounded to \
                 32-bit floats"
            );
        }
        Ok(little_endian(&values))
    })
}

/// The next values, and the first of them that had to be rounded. A part of a number at the end is an error.
fn next(stored: &mut impl Read, dtype: Dtype, scale: Scale) -> Result<(Vec<f32>, Option<f32>)> {
    let (size, mut bytes, mut rounded) = (dtype.size(), Vec::new(), None);
    stored.take((PIECE * size) as u64).read_to_end(&mut bytes)?;
    if !bytes.len().is_multiple_of(size) {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut value = |number| {
        let (value, inexact) = physical(number, dtype, scale);
        rounded = rounded.or(inexact.then_some(value));
        value
    };
    let values = bytes.chunks_exact(size).map(&mut value).collect();
    Ok((values, rounded))
}

/// The physical value of the bytes of a stored `number`, and whether it is an integer that had to be rounded.
fn physical(number: &[u8], dtype: Dtype, scale: Scale) -> (f32, bool) {
    let mut wide = [0; 8];
    wide[8 - number.len()..].copy_from_slice(number);
    let bits = u64::from_be_bytes(wide);
    match dtype {
        Dtype::F32 => (scale.real(f64::from(f32::from_bits(bits as u32))), false),
        Dtype::F64 => (scale.real(f64::from_bits(bits)), false),
        Dtype::I16 => scale.integer(i64::from(bits as u16 as i16)),
        Dtype::I32 => scale.integer(i64::from(bits as u32 as i32)),
        _ => scale.integer(bits as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], dtype: Dtype, factor: f64, zero: f64, blank: Option<i64>) -> (Vec<f32>, Option<f32>) {
        next(&mut &bytes[..], dtype, Scale { factor, zero, blank }).unwrap()
    }

    #[test]
    fn unsigned_integers_are_exact_and_others_are_told() {
        let shorts = [i16::MIN, 0, i16::MAX].map(i16::to_be_bytes).concat();
        assert_eq!(all(&shorts, Dtype::I16, 1.0, 32768.0, None), (vec![0.0, 32768.0, 65535.0], None));
        let longs = [i64::MIN, i64::MIN + 7].map(i64::to_be_bytes).concat();
        assert_eq!(all(&longs, Dtype::I64, 1.0, 2f64.powi(63), None), (vec![0.0, 7.0], None));
        let odd = ((1i32 << 24) + 1).to_be_bytes();
        assert_eq!(all(&odd, Dtype::I32, 1.0, 0.0, None), (vec![16_777_216.0], Some(16_777_216.0)));
    }

    #[test]
    fn scaled_and_missing_values() {
        let (values, told) = all(&[0, 9, 255], Dtype::U8, 0.5, -1.0, Some(9));
        assert!(values[0] == -1.0 && values[1].is_nan() && values[2] == 126.5 && told.is_none());
        let floats = [1.5f64, f64::NAN].map(f64::to_be_bytes).concat();
        let (values, _) = all(&floats, Dtype::F64, 2.0, 1.0, Some(0));
        assert!(values[0] == 4.0 && values[1].is_nan());
        let scale = Scale { factor: 2.0, zero: 0.0, blank: None };
        assert!(scaled(&[0, 1, 2][..], Dtype::I16, scale, "y".into()).read_to_end(&mut Vec::new()).is_err());
        let long: Vec<u8> = (0..2 * PIECE + 3).map(|i| i as u8).collect();
        let mut out = Vec::new();
        scaled(&long[..], Dtype::U8, scale, "y".into()).read_to_end(&mut out).unwrap();
        let values = out.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        assert!(values.eq(long.iter().map(|v| 2.0 * f32::from(*v))));
    }
}
