//! Decodes the bytes of a tensor into values, trusting neither the header nor the data.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

use super::complex;
use super::tensor::{Header, Tensor};

/// Number of elements that are decoded at a time.
const CHUNK: usize = 1 << 16;

/// Error message for a file that contradicts itself.
pub const DAMAGED: &str = "the file is damaged or cut short; write or copy it again";

/// Reads the tensor that `header` describes from all bytes of `data`: finite `f32` in row-major order.
pub fn read_tensor(header: &Header, data: &mut dyn Read) -> Result<Tensor> {
    let tensor = read_any(header, data)?;
    if let Some(i) = tensor.values.iter().position(|v| !v.is_finite()) {
        bail!(
            "the value at {:?} is {} as float32; expected finite numbers. Repair or remove that row",
            unravel(i, &header.shape),
            tensor.values[i]
        );
    }
    Ok(tensor)
}

/// [`read_tensor`] of values that need not be finite.
pub fn read_any(header: &Header, data: &mut dyn Read) -> Result<Tensor> {
    let stored = read_values(header, data)?;
    let values = match (&header.complex, header.fortran) {
        (None, false) => stored,
        (None, true) => row_major(&header.shape, &stored),
        (Some(shape), false) => complex::planes(&stored, shape),
        (Some(shape), true) => {
            let part = |which: usize| row_major(shape, &stored[which..].iter().step_by(2).copied().collect::<Vec<_>>());
            let pairs: Vec<f32> = part(0).into_iter().zip(part(1)).flat_map(|(re, im)| [re, im]).collect();
            complex::planes(&pairs, shape)
        }
    };
    Ok(Tensor { shape: header.shape.clone(), values })
}

fn read_values(header: &Header, data: &mut dyn Read) -> Result<Vec<f32>> {
    let (count, size) = (header.count()?, header.dtype.size());
    ensure!(count > 0, "shape {:?} holds no values; expected at least one", header.shape);
    let (mut values, mut bytes) = (Vec::new(), Vec::new());
    while values.len() < count {
        let wanted = (count - values.len()).min(CHUNK) * size;
        bytes.clear();
        data.take(wanted as u64).read_to_end(&mut bytes).context(DAMAGED)?;
        let read = values.len() * size + bytes.len();
        ensure!(bytes.len() == wanted, "the data ends after {read} of {} bytes: {DAMAGED}", count * size);
        if header.big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        header.dtype.decode(&bytes, &mut values);
    }
    // This read also makes a zip archive verify its checksum.
    let more = data.read(&mut [0]).context(DAMAGED)?;
    ensure!(more == 0, "bytes follow the {} of shape {:?}: {DAMAGED}", count * size, header.shape);
    Ok(values)
}

/// Reorders `stored`, whose first index varies fastest, so that the last index varies fastest.
fn row_major(shape: &[usize], stored: &[f32]) -> Vec<f32> {
    let strides: Vec<usize> =
        shape.iter().scan(1, |stride, &dim| Some(std::mem::replace(stride, *stride * dim))).collect();
    let (mut index, mut at) = (vec![0; shape.len()], 0);
    let mut next = || {
        let value = stored[at];
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * std::mem::take(&mut index[axis]);
        }
        value
    };
    stored.iter().map(|_| next()).collect()
}

/// Returns the indices of the `i`-th value in row-major order.
fn unravel(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape.iter().rev().map(|&dim| (i % dim, i /= dim).0).collect();
    index.reverse();
    index
}

/// Encodes `values` as little-endian bytes, the byte order of the files.
pub fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::dtype::Dtype;
    use super::super::tensor::MAX_VALUES;
    use super::*;

    /// Reads values of shape `[2, 3, 2]`; the first index varies fastest if `fortran` is set.
    fn read(values: &[f32], fortran: bool) -> Result<Tensor> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        read_tensor(
            &Header { dtype: Dtype::F32, big_endian: false, shape: vec![2, 3, 2], fortran, complex: None },
            &mut &bytes[..],
        )
    }

    fn error(values: &[f32], fortran: bool) -> String {
        read(values, fortran).unwrap_err().to_string()
    }

    fn ramp() -> [f32; 12] {
        std::array::from_fn(|i| i as f32)
    }

    #[test]
    fn the_first_index_is_made_the_slowest() {
        assert_eq!(read(&ramp(), false).unwrap().values, ramp());
        let turned = [0.0, 6.0, 2.0, 8.0, 4.0, 10.0, 1.0, 7.0, 3.0, 9.0, 5.0, 11.0];
        assert_eq!(read(&ramp(), true).unwrap(), Tensor { shape: vec![2, 3, 2], values: turned.into() });
    }

    #[test]
    fn a_bad_value_is_named_by_its_place() {
        let with = |bad| {
            let mut values = ramp();
            values[7] = bad;
            values
        };
        let advice = "expected finite numbers. Repair or remove that row";
        assert_eq!(error(&with(f32::NAN), false), format!("the value at [1, 0, 1] is NaN as float32; {advice}"));
        assert_eq!(
            error(&with(f32::NEG_INFINITY), true),
            format!("the value at [1, 0, 1] is -inf as float32; {advice}")
        );
    }

    #[test]
    fn a_double_that_no_float_can_hold_is_a_bad_value() {
        let header = Header { dtype: Dtype::F64, big_endian: false, shape: vec![1], fortran: false, complex: None };
        let error = read_tensor(&header, &mut &1e300f64.to_le_bytes()[..]).unwrap_err().to_string();
        assert!(error.starts_with("the value at [0] is inf as float32"), "{error}");
    }

    #[test]
    fn too_few_and_too_many_bytes_are_errors() {
        assert_eq!(error(&ramp()[..9], false), format!("the data ends after 36 of 48 bytes: {DAMAGED}"));
        let more = [ramp(), ramp()].concat();
        assert_eq!(error(&more, false), format!("bytes follow the 48 of shape [2, 3, 2]: {DAMAGED}"));
    }

    #[test]
    fn shapes_without_values_or_with_too_many_are_errors() {
        let error = |shape: &[usize]| {
            let header =
                Header { dtype: Dtype::U8, big_endian: false, shape: shape.into(), fortran: false, complex: None };
            read_tensor(&header, &mut &[0u8; 8][..]).unwrap_err().to_string()
        };
        assert_eq!(error(&[0, 2]), "shape [0, 2] holds no values; expected at least one");
        let large = format!("is too large (more than {MAX_VALUES} values). Split the file");
        assert!(error(&[MAX_VALUES + 1]).ends_with(&large) && error(&[usize::MAX, 2]).ends_with(&large));
    }

    /// The data spans more than one chunk and not a whole number of chunks.
    #[test]
    fn long_data_is_read_to_the_end() {
        let bytes: Vec<u8> = (0..2 * CHUNK + 5).map(|i| (i % 251) as u8).collect();
        let header =
            Header { dtype: Dtype::U8, big_endian: false, shape: vec![bytes.len()], fortran: false, complex: None };
        let values = read_tensor(&header, &mut &bytes[..]).unwrap().values;
        assert!(values.iter().zip(&bytes).all(|(v, b)| *v == f32::from(*b)) && values.len() == bytes.len());
    }
    #[test]
    fn the_order_of_bytes_does_not_matter() {
        let header = Header { dtype: Dtype::I16, big_endian: true, shape: vec![2], fortran: false, complex: None };
        assert_eq!(read_tensor(&header, &mut &[1, 0, 255, 254][..]).unwrap().values, [256.0, -2.0]);
    }
}
