//! The element types that a tensor file may hold, each decoded to `f32`.

use half::{bf16, f16};

/// An element type, little-endian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dtype {
    Bool,
    U8,
    I32,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Dtype {
    /// Accepted types, for error messages about any other type.
    pub const ACCEPTED: &str = "little-endian float32, float64, float16, bfloat16, int32, int64, uint8 or bool";

    /// The type of a numpy `descr`, such as `<f4`.
    pub fn from_npy(descr: &str) -> Option<Self> {
        Some(match descr {
            "|b1" => Self::Bool,
            "|u1" => Self::U8,
            "<i4" => Self::I32,
            "<i8" => Self::I64,
            "<f2" => Self::F16,
            "<f4" => Self::F32,
            "<f8" => Self::F64,
            _ => return None,
        })
    }

    /// The type of a safetensors entry.
    pub fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        use safetensors::Dtype as S;
        Some(match dtype {
            S::BOOL => Self::Bool,
            S::U8 => Self::U8,
            S::I32 => Self::I32,
            S::I64 => Self::I64,
            S::F16 => Self::F16,
            S::BF16 => Self::Bf16,
            S::F32 => Self::F32,
            S::F64 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// Appends the elements in `bytes`, rounded to the nearest `f32`, to `out`; a partial last element is
    /// left out.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::Bool => extend(bytes, out, |[b]| f32::from(u8::from(b != 0))),
            Self::U8 => extend(bytes, out, |[b]| f32::from(b)),
            Self::I32 => extend(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::I64 => extend(bytes, out, |b| i64::from_le_bytes(b) as f32),
            Self::F16 => extend(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => extend(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Self::F32 => extend(bytes, out, f32::from_le_bytes),
            Self::F64 => extend(bytes, out, |b| f64::from_le_bytes(b) as f32),
        }
    }
}

fn extend<const W: usize>(bytes: &[u8], out: &mut Vec<f32>, element: impl Fn([u8; W]) -> f32) {
    out.extend(bytes.as_chunks::<W>().0.iter().map(|&b| element(b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_decodes_its_own_bytes() {
        let cases: [(Dtype, &[u8], &[f32]); 8] = [
            (Dtype::Bool, &[0, 1, 2], &[0.0, 1.0, 1.0]),
            (Dtype::U8, &[0, 255], &[0.0, 255.0]),
            (Dtype::I32, &(-7i32).to_le_bytes(), &[-7.0]),
            (Dtype::I64, &(-(1i64 << 40)).to_le_bytes(), &[-1_099_511_627_776.0]),
            (Dtype::F16, &[0x00, 0xc1], &[-2.5]),
            (Dtype::Bf16, &[0x20, 0xc0], &[-2.5]),
            (Dtype::F32, &0.1f32.to_le_bytes(), &[0.1]),
            (Dtype::F64, &0.1f64.to_le_bytes(), &[0.1]),
        ];
        for (dtype, bytes, expected) in cases {
            let mut out = Vec::new();
            dtype.decode(bytes, &mut out);
            assert_eq!(out, expected, "{dtype:?}");
            assert_eq!(bytes.len(), dtype.size() * expected.len(), "{dtype:?}");
        }
    }
}
