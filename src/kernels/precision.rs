//! The format of the factors of matrix products and convolutions.

use burn::tensor::{DType, Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// The format in which a network's factors are multiplied. Sums, everything between products, weights, gradients and the
/// optimizer stay in single precision, and so does all that is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MatmulPrecision {
    /// Single precision. On CUDA burn multiplies it in TF32 (ten bits of fraction) wherever it finds that faster.
    #[default]
    F32,
    /// Seven bits of fraction and the range of single precision, for devices that multiply in it; others compute in single
    /// precision.
    Bf16,
}

impl MatmulPrecision {
    /// What `device` computes in where this is asked for.
    pub fn on(self, device: &Device) -> Self {
        let multiplies = cfg!(feature = "stock") && device.supports_dtype(DType::BF16);
        if multiplies { self } else { Self::F32 }
    }

    /// True for single precision; a constant where flex is the only backend, so that nothing else is compiled.
    pub(crate) fn is_single(&self) -> bool {
        !cfg!(any(feature = "stock", test)) || *self == Self::F32
    }

    /// True for what need not be written down.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// `t` in this format.
    pub(super) fn rounded<const D: usize>(self, t: Tensor<D>) -> Tensor<D> {
        if self.is_single() { t } else { t.cast(FloatDType::BF16) }
    }

    /// a b with rounded factors, in single precision.
    pub(super) fn matmul<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        if self.is_single() { super::matmul(a, b) } else { self.product(a, b, Tensor::matmul) }
    }

    /// `product(a, b)` of rounded factors, in single precision.
    pub(super) fn product<const D: usize>(
        self,
        a: Tensor<D>,
        b: Tensor<D>,
        product: impl FnOnce(Tensor<D>, Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        if self.is_single() {
            return product(a, b);
        }
        product(self.rounded(a), self.rounded(b)).cast(FloatDType::F32)
    }
}
