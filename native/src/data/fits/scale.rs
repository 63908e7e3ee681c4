//! Physical values of a FITS array: BZERO + BSCALE x the stored value, and NaN where an integer is BLANK.

use std::io::{ErrorKind, Read, Result};

use crate::data::dtype::Dtype;

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

/// Reads stored numbers and gives the bytes of their physical values as little-endian `f32`. Integers that had to
/// be rounded are told once.
pub struct Scaled<R> {
    stored: R,
    dtype: Dtype,
    scale: Scale,
    name: String,
    told: bool,
    ready: Vec<u8>,
    /// How many bytes of `ready` were given.
    given: usize,
}

impl<R: Read> Scaled<R> {
    /// Scales the numbers of the array `name`, which are stored with their highest byte first.
    pub fn new(stored: R, dtype: Dtype, scale: Scale, name: &str) -> Self {
        Self { stored, dtype, scale, name: name.into(), told: false, ready: Vec::new(), given: 0 }
    }

    /// Scales the next numbers; a part of a number at the end of the data is an error.
    fn refill(&mut self) -> Result<()> {
        let size = self.dtype.size();
        let mut bytes = Vec::new();
        Read::by_ref(&mut self.stored).take((PIECE * size) as u64).read_to_end(&mut bytes)?;
        if !bytes.len().is_multiple_of(size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let values: Vec<f32> = bytes.chunks_exact(size).map(|number| self.value(number)).collect();
        self.ready = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.given = 0;
        Ok(())
    }

    fn value(&mut self, number: &[u8]) -> f32 {
        let mut wide = [0; 8];
        wide[8 - number.len()..].copy_from_slice(number);
        let bits = u64::from_be_bytes(wide);
        let stored = match self.dtype {
            Dtype::F32 => return self.scale.real(f64::from(f32::from_bits(bits as u32))),
            Dtype::F64 => return self.scale.real(f64::from_bits(bits)),
            Dtype::I16 => i64::from(bits as u16 as i16),
            Dtype::I32 => i64::from(bits as u32 as i32),
            _ => bits as i64,
        };
        let (value, rounded) = self.scale.integer(stored);
        if rounded && !self.told {
            self.told = true;
            eprintln!(
                "warning: array `{}` of the FITS file has integers beyond 2^24, such as {value:.0}, which are rounded to \
                 32-bit floats",
                self.name
            );
        }
        value
    }
}

impl<R: Read> Read for Scaled<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.given == self.ready.len() {
            self.refill()?;
        }
        let count = out.len().min(self.ready.len() - self.given);
        out[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(bytes: &[u8], dtype: Dtype, factor: f64, zero: f64, blank: Option<i64>) -> (Vec<f32>, bool) {
        let mut scaled = Scaled::new(bytes, dtype, Scale { factor, zero, blank }, "y");
        let mut out = Vec::new();
        scaled.read_to_end(&mut out).unwrap();
        (out.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(), scaled.told)
    }

    #[test]
    fn unsigned_integers_are_exact_and_others_are_told() {
        let shorts = [i16::MIN, 0, i16::MAX].map(i16::to_be_bytes).concat();
        assert_eq!(scaled(&shorts, Dtype::I16, 1.0, 32768.0, None), (vec![0.0, 32768.0, 65535.0], false));
        let longs = [i64::MIN, i64::MIN + 7].map(i64::to_be_bytes).concat();
        assert_eq!(scaled(&longs, Dtype::I64, 1.0, 2f64.powi(63), None), (vec![0.0, 7.0], false));
        let odd = ((1i32 << 24) + 1).to_be_bytes();
        assert_eq!(scaled(&odd, Dtype::I32, 1.0, 0.0, None), (vec![16_777_216.0], true));
    }

    #[test]
    fn scaled_and_missing_values() {
        let (values, told) = scaled(&[0, 9, 255], Dtype::U8, 0.5, -1.0, Some(9));
        assert!(values[0] == -1.0 && values[1].is_nan() && values[2] == 126.5 && !told);
        let floats = [1.5f64, f64::NAN].map(f64::to_be_bytes).concat();
        let (values, _) = scaled(&floats, Dtype::F64, 2.0, 1.0, Some(0));
        assert!(values[0] == 4.0 && values[1].is_nan());
        let mut cut = Scaled::new(&[0, 1, 2][..], Dtype::I16, Scale { factor: 2.0, zero: 0.0, blank: None }, "y");
        assert!(cut.read_to_end(&mut Vec::new()).is_err());
    }
}
