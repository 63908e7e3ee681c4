//! Types of the numbers in an HDF5 file, and how their bytes become values.

use anyhow::{Result, bail};
use hdf5_pure::{CompoundMember, Datatype, DatatypeByteOrder, FloatingPointLayout};

use crate::data::complex;
use crate::data::dtype::Dtype;

/// Names of the parts of a complex number, as h5py and others write them.
const COMPLEX: [[&str; 2]; 4] = [["r", "i"], ["real", "imag"], ["re", "im"], ["Real", "Imag"]];

/// The half-precision format of IEEE 754.
const BINARY16: FloatingPointLayout = FloatingPointLayout {
    bit_offset: 0,
    bit_precision: 16,
    exponent_location: 10,
    exponent_size: 5,
    mantissa_location: 0,
    mantissa_size: 10,
    exponent_bias: 15,
};

/// A type of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    dtype: Dtype,
    big_endian: bool,
    complex: bool,
}

impl Kind {
    /// Returns the kind of a type of the file.
    ///
    /// # Errors
    /// Fails for a type that is no number, with what to do.
    pub fn of(datatype: &Datatype) -> Result<Self> {
        if let Some(kind) = plain(datatype).or_else(|| complex(datatype)) {
            return Ok(kind);
        }
        let found = match datatype {
            Datatype::Compound { members, .. } => {
                let names: Vec<&str> = members.iter().map(|member| &*member.name).collect();
                format!("records of {}", names.join(", "))
            }
            Datatype::String { .. } | Datatype::VariableLength { .. } => "text or lists".into(),
            _ => "a type that is not known here".into(),
        };
        bail!(
            "holds {found}; expected {}, or complex numbers with the parts `r` and `i`. Convert it with .astype('<f4')",
            Dtype::ACCEPTED
        )
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        self.dtype.size() * if self.complex { 2 } else { 1 }
    }

    /// The shape of the values of an array of this shape: complex numbers become planes.
    pub fn shape(self, stored: &[usize]) -> Vec<usize> {
        if self.complex { complex::shape(stored) } else { stored.into() }
    }

    /// The values of whole rows of an array of the shape `stored`, in the order of [`Kind::shape`].
    pub fn values(self, bytes: &[u8], stored: &[usize]) -> Vec<f32> {
        let mut values = Vec::new();
        match self.big_endian {
            false => self.dtype.decode(bytes, &mut values),
            true => {
                let turned: Vec<u8> =
                    bytes.chunks_exact(self.dtype.size()).flat_map(|number| number.iter().rev().copied()).collect();
                self.dtype.decode(&turned, &mut values);
            }
        }
        if self.complex { complex::planes(&values, stored) } else { values }
    }
}

/// The kind of real numbers, and of enumerations such as h5py's bool.
fn plain(datatype: &Datatype) -> Option<Kind> {
    let (dtype, order) = match datatype {
        Datatype::FixedPoint { size, byte_order, layout } => {
            let whole = layout.bit_offset == 0 && u32::from(layout.bit_precision) == 8 * size;
            let dtype = match (size, layout.signed) {
                (1, true) => Dtype::I8,
                (1, false) => Dtype::U8,
                (2, true) => Dtype::I16,
                (2, false) => Dtype::U16,
                (4, true) => Dtype::I32,
                (4, false) => Dtype::U32,
                (8, true) => Dtype::I64,
                (8, false) => Dtype::U64,
                _ => return None,
            };
            (Some(dtype).filter(|_| whole)?, byte_order)
        }
        Datatype::FloatingPoint { size, byte_order, layout } => match (size, layout) {
            (2, layout) if *layout == BINARY16 => (Dtype::F16, byte_order),
            (4, &FloatingPointLayout::IEEE754_BINARY32) => (Dtype::F32, byte_order),
            (8, &FloatingPointLayout::IEEE754_BINARY64) => (Dtype::F64, byte_order),
            _ => return None,
        },
        Datatype::Enumeration { base_type, .. } => {
            return plain(base_type).filter(|kind| matches!(kind.dtype, Dtype::I8 | Dtype::U8));
        }
        _ => return None,
    };
    match order {
        DatatypeByteOrder::LittleEndian => Some(Kind { dtype, big_endian: false, complex: false }),
        DatatypeByteOrder::BigEndian => Some(Kind { dtype, big_endian: true, complex: false }),
        DatatypeByteOrder::Vax => None,
    }
}

/// The kind of complex numbers: a record of two numbers of one type without gaps.
fn complex(datatype: &Datatype) -> Option<Kind> {
    let Datatype::Compound { size, members } = datatype else { return None };
    let [CompoundMember { name: real, byte_offset: 0, datatype: first, .. }, imaginary] = &members[..] else {
        return None;
    };
    let kind = plain(first).filter(|kind| plain(&imaginary.datatype) == Some(*kind))?;
    let dense = imaginary.byte_offset == kind.size() as u64 && u64::from(*size) == 2 * kind.size() as u64;
    let named = COMPLEX.contains(&[&**real, &*imaginary.name]);
    (dense && named).then_some(Kind { complex: true, ..kind })
}
