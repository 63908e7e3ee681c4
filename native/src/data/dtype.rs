//! The element types that a tensor file may hold, each decoded to `f32`.

use half::{bf16, f16};

/// An element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dtype {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Dtype {
    /// Accepted types, for error messages about any other type.
    pub const ACCEPTED: &str = "float16, bfloat16, float32, float64, integers of 8 to 64 bits or bool";

    /// The type of a numpy `descr`, such as `<f4`, and whether its bytes are big-endian.
    pub fn from_npy(descr: &str) -> Option<(Self, bool)> {
        let (order, kind) = descr.split_at_checked(1)?;
        let dtype = match kind {
            "b1" => Self::Bool,
            "i1" => Self::I8,
            "u1" => Self::U8,
            "i2" => Self::I16,
            "u2" => Self::U16,
            "i4" => Self::I32,
            "u4" => Self::U32,
            "i8" => Self::I64,
            "u8" => Self::U64,
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            _ => return None,
        };
        match order {
            "<" | "|" => Some((dtype, false)),
            ">" => Some((dtype, true)),
            _ => None,
        }
    }

    /// What a numpy `descr` that is not accepted stands for, and how to save it instead.
    pub fn refused_npy(descr: &str) -> [&'static str; 2] {
        match descr.trim_start_matches(['<', '>', '|', '=']).chars().next() {
            Some('c') => ["complex numbers", "Convert them with .astype('<c8')"],
            Some('O') => ["Python objects", "Convert them with .astype('<f4')"],
            Some('U' | 'S') => ["text", "Convert it with .astype('<f4')"],
            Some('M' | 'm') => ["dates or durations", "Convert them with .astype('<f4')"],
            _ => ["not known here", "Convert it with .astype('<f4')"],
        }
    }

    /// The type of a safetensors entry.
    pub fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        use safetensors::Dtype as S;
        Some(match dtype {
            S::BOOL => Self::Bool,
            S::I8 => Self::I8,
            S::U8 => Self::U8,
            S::I16 => Self::I16,
            S::U16 => Self::U16,
            S::I32 => Self::I32,
            S::U32 => Self::U32,
            S::I64 => Self::I64,
            S::U64 => Self::U64,
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
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// Appends the little-endian elements in `bytes`, rounded to the nearest `f32`, to `out`; a partial last element is
    /// left out.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::Bool => extend(bytes, out, |[b]| f32::from(u8::from(b != 0))),
            Self::I8 => extend(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 => extend(bytes, out, |[b]| f32::from(b)),
            Self::I16 => extend(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
            Self::U16 => extend(bytes, out, |b| f32::from(u16::from_le_bytes(b))),
            Self::I32 => extend(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::U32 => extend(bytes, out, |b| u32::from_le_bytes(b) as f32),
            Self::I64 => extend(bytes, out, |b| i64::from_le_bytes(b) as f32),
            Self::U64 => extend(bytes, out, |b| u64::from_le_bytes(b) as f32),
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
        let cases: [(Dtype, &[u8], &[f32]); 13] = [
            (Dtype::Bool, &[0, 1, 2], &[0.0, 1.0, 1.0]),
            (Dtype::I8, &[0, 255], &[0.0, -1.0]),
            (Dtype::U8, &[0, 255], &[0.0, 255.0]),
            (Dtype::I16, &(-300i16).to_le_bytes(), &[-300.0]),
            (Dtype::U16, &[255, 255], &[65_535.0]),
            (Dtype::U32, &(1u32 << 31).to_le_bytes(), &[2_147_483_648.0]),
            (Dtype::U64, &(1u64 << 63).to_le_bytes(), &[9_223_372_036_854_775_808.0]),
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
    #[test]
    fn the_order_of_bytes_is_read_from_numpy_s_code() {
        assert_eq!(Dtype::from_npy(">i2"), Some((Dtype::I16, true)));
        assert_eq!([Dtype::from_npy("<f8"), Dtype::from_npy("|u1")], [Dtype::F64, Dtype::U8].map(|d| Some((d, false))));
        assert_eq!(["", "é4", "=f4", "<c8", "|O", "<f16", "<U1"].map(Dtype::from_npy), [None; 7]);
        assert_eq!(["<c32", "|O", "<U1", "<f16"].map(|d| Dtype::refused_npy(d)[0].len()), [15, 14, 4, 14]);
    }
}
