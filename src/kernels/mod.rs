//! Fused layers. On the CPU backend `flex`, each layer runs serially as one operation with its own backward
//! pass: threads process independent shards of a batch, one per thread, and the results are combined in a
//! fixed order. Every other backend computes the same formula with stock operations.
//!
//! Stock flex evaluates the sigmoid one element at a time and decomposes LayerNorm under autodiff, so fusing
//! them makes a training step of the paper's MLP about 2.5 times faster.

#[cfg(feature = "flex")]
mod adam;
mod attention;
mod clip;
mod dropout;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod image;
mod orthogonal;
mod parameters;
mod precision;
#[cfg(feature = "flex")]
mod products;
mod sparse;
mod stock;

use burn::tensor::{Device, Tensor, activation};

#[cfg(feature = "flex")]
pub(crate) use adam::adam;

pub use attention::{Heads, attention};
pub(crate) use clip::clip;
pub(crate) use dropout::Dropout;
pub(crate) use orthogonal::orthogonal;

pub use diffem_kernels::NORM_EPSILON;
pub use parameters::BlockParameters;
pub use precision::MatmulPrecision;
pub(crate) use sparse::sparse_to_device;

/// True when tensors live in host memory and the fused operations apply; a constant if flex is the only
/// backend compiled in, so that the stock operations are left out of such a build.
pub fn is_flex(device: &Device) -> bool {
    #[cfg(not(feature = "stock"))]
    return {
        let _ = device;
        cfg!(feature = "flex")
    };
    #[cfg(feature = "stock")]
    return {
        #[cfg(feature = "flex")]
        let flex = matches!(device.clone().inner().as_dispatch(), burn::backend::DispatchDevice::Flex(_));
        #[cfg(not(feature = "flex"))]
        let flex = {
            let _ = device;
            false
        };
        flex
    };
}

/// True for every backend of the CPU; the others have a device of their own.
pub(crate) fn in_host_memory(device: &Device) -> bool {
    #[cfg(feature = "ndarray")]
    if matches!(device.clone().inner().as_dispatch(), burn::backend::DispatchDevice::NdArray(_)) {
        return true;
    }
    is_flex(device)
}

/// `n` rows that equal the only one of `row [1, e]`: a view on the CPU, and not one on devices, which would copy it for every
/// matrix product.
pub(crate) fn repeated(row: Tensor<2>, n: usize) -> Tensor<2> {
    let (device, e) = (row.device(), row.dims()[1]);
    if in_host_memory(&device) { row.expand([n, e]) } else { Tensor::zeros([n, e], &device) + row }
}

/// Computes `[f(0), ..., f(n - 1)]` for independent shards: one thread per shard on flex, whose kernels are
/// serial, and one shard after another where the device itself is parallel.
pub(crate) fn map_shards<T: Send>(device: &Device, n: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if is_flex(device) { crate::parallel::map(n, f) } else { (0..n).map(f).collect() }
}

/// `[.., n, k]` times `[.., k, m]` in single precision, both with the same dimensions before the last two.
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if is_flex(&a.device()) {
        return products::matmul(a, b);
    }
    a.matmul(b)
}

/// x W + b: `x [n, k]`, `w [k, m]`, `b [m]` -> `[n, m]`.
pub fn dense(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return flex::dense(x, w, b);
    }
    x.matmul(w) + b.unsqueeze()
}

/// SiLU(LayerNorm(x W + b) γ + β): `x [n, k]`, `w [k, m]`, `b`, `gamma`, `beta [m]` -> `[n, m]`.
pub fn dense_norm_silu(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return flex::dense_norm_silu(x, w, b, gamma, beta);
    }
    stock_dense_norm_silu(x, w, b, gamma, beta)
}

/// [`dense_norm_silu`] with a separate bias per row, `base [n, m]`.
pub fn dense_norm_silu_onto(
    x: Tensor<2>,
    w: Tensor<2>,
    base: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return flex::dense_norm_silu(x, w, base, gamma, beta);
    }
    stock_norm_silu(x.matmul(w) + base, gamma, beta)
}

fn stock_dense_norm_silu(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<2> {
    stock_norm_silu(x.matmul(w) + b.unsqueeze(), gamma, beta)
}

fn stock_norm_silu(z: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<2> {
    stock::silu(stock::row_norm(z) * gamma.unsqueeze() + beta.unsqueeze())
}

/// True where the fused operations, which compute in single precision, apply.
fn is_fused(device: &Device, precision: MatmulPrecision) -> bool {
    is_flex(device) && precision.is_single()
}

/// 3 x 3 convolution with zero borders of images `[n · h · w, c]` of `size = [h, w]`: `w [9 · c, m]`
/// (neighborhood row by row), `b [m]` -> `[n · h · w, m]`, or every second row and column of it for
/// `stride` 2 (h and w even).
pub fn conv3(
    x: Tensor<2>,
    w: Tensor<2>,
    b: Tensor<1>,
    size: [usize; 2],
    stride: usize,
    precision: MatmulPrecision,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_fused(&x.device(), precision) {
        return image::conv3(x, w, b, size, stride);
    }
    stock_conv3(x, w, b, size, stride, precision)
}

fn stock_conv3(
    x: Tensor<2>,
    w: Tensor<2>,
    b: Tensor<1>,
    [h, width]: [usize; 2],
    stride: usize,
    precision: MatmulPrecision,
) -> Tensor<2> {
    let ([pixels, c], m) = (x.dims(), b.dims()[0]);
    let images = x.reshape([pixels / (h * width), h, width, c]).permute([0, 3, 1, 2]);
    let kernel = w.reshape([3, 3, c, m]).permute([3, 2, 0, 1]);
    let options = burn::tensor::ops::ConvOptions::new([stride, stride], [1, 1], [1, 1], 1);
    // The bias belongs to the sums: it is added in single precision.
    let (inner, outer) = if precision.is_single() { (Some(b), None) } else { (None, Some(b)) };
    let y = precision.product(images, kernel, |x, w| burn::tensor::module::conv2d(x, w, inner, options));
    let y = outer.into_iter().fold(y, |y, b| y + b.reshape([1, m, 1, 1]));
    y.permute([0, 2, 3, 1]).reshape([pixels / (stride * stride), m])
}

/// (x - mean) / std of each row of `x [n, c]` (LayerNorm without parameters).
pub fn row_norm(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return image::row_norm(x);
    }
    stock::row_norm(x)
}

/// x / (1 + exp(-x)).
pub fn silu(x: Tensor<2>) -> Tensor<2> {
    if is_flex(&x.device()) { activation::silu(x) } else { stock::silu(x) }
}

/// Repeats every pixel of images `[n · h · w, c]` with rows of `width` pixels as 2 x 2 pixels:
/// `[4 · n · h · w, c]`.
pub fn upsample(x: Tensor<2>, width: usize) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return image::upsample(x, width);
    }
    stock_upsample(x, width)
}

fn stock_upsample(x: Tensor<2>, width: usize) -> Tensor<2> {
    let [pixels, c] = x.dims();
    let rows = pixels / width;
    x.reshape([rows, 1, width, 1, c]).expand([rows, 2, width, 2, c]).reshape([4 * pixels, c])
}

/// The U-Net's residual block (Rozet et al. 2024, appendix): with (a, b, g) = `modulation [n, 3 · c]` for
/// each image, u = (a + 1) x + b, y = conv(SiLU(conv(LayerNorm(u)))), out = (x + g y)/√(1 + g²);
/// `x [n · h · w, c]`, `size = [h, w]`.
pub fn block(
    x: Tensor<2>,
    modulation: Tensor<2>,
    parameters: BlockParameters,
    size: [usize; 2],
    precision: MatmulPrecision,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_fused(&x.device(), precision) {
        return image::block(x, modulation, parameters, size);
    }
    let p = parameters;
    let conv = |x, w, b| conv3(x, w, b, size, 1, precision);
    gated(x, modulation, size, |v| conv(silu(conv(v, p.w1, p.b1)), p.w2, p.b2))
}

/// out = (x + g f(v))/√(1 + g²), v = LayerNorm((a + 1) x + b), with (a, b, g) =
/// `modulation [n, 3 · c]` for each image.
pub fn gated(
    x: Tensor<2>,
    modulation: Tensor<2>,
    size: [usize; 2],
    f: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    if !is_flex(&x.device()) {
        let shrink = stock::shrink(modulation.clone());
        let y = f(stock::modulated(x.clone(), modulation.clone()));
        return stock::joined(x, y, modulation, shrink);
    }
    plainly_gated(x, modulation, size, f)
}

/// [`gated`], differentiated operation by operation.
fn plainly_gated(
    x: Tensor<2>,
    modulation: Tensor<2>,
    size: [usize; 2],
    f: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let ([n, c3], pixels) = (modulation.dims(), size[0] * size[1]);
    let c = c3 / 3;
    let part = |k: usize| modulation.clone().narrow(1, k * c, c).reshape([n, 1, c]);
    let images = |x: Tensor<2>| x.reshape([n, pixels, c]);
    let rows = |x: Tensor<3>| x.reshape([n * pixels, c]);
    let (a, b, gate) = (part(0), part(1), part(2));
    let v = row_norm(rows(images(x.clone()) * (a + 1.0) + b));
    rows((images(x) + images(f(v)) * gate.clone()) / (gate.square() + 1.0).sqrt())
}

#[cfg(all(test, feature = "flex"))]
mod tests;
