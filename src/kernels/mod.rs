//! Fused layers. On the CPU backend `flex`, each layer runs serially as one operation with its own backward
//! pass: threads process independent shards of a batch, one per thread, and the results are combined in a
//! fixed order. Every other backend computes the same formula with stock operations.
//!
//! Stock flex evaluates the sigmoid one element at a time and decomposes LayerNorm under autodiff, so fusing
//! them makes a training step of the paper's MLP about 2.5 times faster.

#[cfg(feature = "flex")]
mod adam;
mod dropout;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod image;
mod parameters;

use burn::tensor::{Device, Tensor, activation};

#[cfg(feature = "flex")]
pub(crate) use adam::adam;

pub(crate) use dropout::Dropout;

pub use diffem_kernels::NORM_EPSILON;
pub use parameters::BlockParameters;

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
fn in_host_memory(device: &Device) -> bool {
    #[cfg(feature = "ndarray")]
    if matches!(device.clone().inner().as_dispatch(), burn::backend::DispatchDevice::NdArray(_)) {
        return true;
    }
    is_flex(device)
}

/// Computes `[f(0), ..., f(n - 1)]` for independent shards: one thread per shard on flex, whose kernels are
/// serial, and one shard after another where the device itself is parallel.
pub(crate) fn map_shards<T: Send>(device: &Device, n: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if is_flex(device) { crate::parallel::map(n, f) } else { (0..n).map(f).collect() }
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
    let centered = z.clone() - z.mean_dim(1);
    let variance = centered.clone().square().mean_dim(1);
    activation::silu(centered / (variance + NORM_EPSILON).sqrt() * gamma.unsqueeze() + beta.unsqueeze())
}

/// 3 x 3 convolution with zero borders of images `[n · h · w, c]` of `size = [h, w]`: `w [9 · c, m]`
/// (neighborhood row by row), `b [m]` -> `[n · h · w, m]`, or every second row and column of it for
/// `stride` 2 (h and w even).
pub fn conv3(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, size: [usize; 2], stride: usize) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return image::conv3(x, w, b, size, stride);
    }
    stock_conv3(x, w, b, size, stride)
}

fn stock_conv3(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, [h, width]: [usize; 2], stride: usize) -> Tensor<2> {
    let ([pixels, c], m) = (x.dims(), b.dims()[0]);
    let images = x.reshape([pixels / (h * width), h, width, c]).permute([0, 3, 1, 2]);
    let kernel = w.reshape([3, 3, c, m]).permute([3, 2, 0, 1]);
    let options = burn::tensor::ops::ConvOptions::new([stride, stride], [1, 1], [1, 1], 1);
    let y = burn::tensor::module::conv2d(images, kernel, Some(b), options);
    y.permute([0, 2, 3, 1]).reshape([pixels / (stride * stride), m])
}

/// (x - mean) / std of each row of `x [n, c]` (LayerNorm without parameters).
pub fn row_norm(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return image::row_norm(x);
    }
    stock_row_norm(x)
}

fn stock_row_norm(x: Tensor<2>) -> Tensor<2> {
    let centered = x.clone() - x.mean_dim(1);
    let variance = centered.clone().square().mean_dim(1);
    centered / (variance + NORM_EPSILON).sqrt()
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
pub fn block(x: Tensor<2>, modulation: Tensor<2>, parameters: BlockParameters, size: [usize; 2]) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_flex(&x.device()) {
        return image::block(x, modulation, parameters, size);
    }
    let p = parameters;
    gated(x, modulation, size, |v| conv3(activation::silu(conv3(v, p.w1, p.b1, size, 1)), p.w2, p.b2, size, 1))
}

/// out = (x + g f(v))/√(1 + g²), v = LayerNorm((a + 1) x + b), with (a, b, g) =
/// `modulation [n, 3 · c]` for each image.
pub fn gated(
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
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};
    use burn::tensor::TensorData;

    fn normal<const D: usize>(index: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
        let mut values = vec![0.0; shape.iter().product()];
        Key::new(5, Purpose::Weights, 0).stream(index, 0).fill_normal(&mut values);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    type Layer = fn(Tensor<2>, Tensor<2>, Tensor<1>, Tensor<1>, Tensor<1>) -> Tensor<2>;

    /// Output and the gradients of <output, v> with respect to the five inputs.
    fn run(layer: Layer, device: &Device) -> (Tensor<2>, Vec<Tensor<1>>) {
        let (n, k, m) = (37, 19, 33);
        let (x, w) = (normal(0, [n, k], device).require_grad(), normal(1, [k, m], device).require_grad());
        let [b, gamma, beta] = [2, 3, 4].map(|i| normal(i, [m], device).require_grad());
        let y = layer(x.clone(), w.clone(), b.clone(), gamma.clone(), beta.clone());
        let grads = (y.clone() * normal(5, [n, m], device)).sum().backward();
        let two = [x, w].map(|t| t.grad(&grads).expect("tracked").flatten(0, 1));
        let one = [b, gamma, beta].map(|t| t.grad(&grads));
        (y.inner(), two.into_iter().chain(one.into_iter().flatten()).collect())
    }

    fn agree(fused: Layer, stock: Layer, gradients: usize) {
        let device = Device::flex().autodiff();
        let ((y, g), (y0, g0)) = (run(fused, &device), run(stock, &device));
        assert!(difference(y, y0) < 2e-5);
        assert_eq!((g.len(), g0.len()), (gradients, gradients));
        for (i, (g, g0)) in g.into_iter().zip(g0).enumerate() {
            let scale: f32 = g0.clone().abs().max().into_scalar();
            assert!(difference(g, g0) < 2e-5 * scale.max(1.0), "gradient {i}");
        }
    }

    #[test]
    fn fused_layer_agrees_with_stock_operations() {
        agree(dense_norm_silu, stock_dense_norm_silu, 5);
    }

    /// Largest differences between two functions of tensors: outputs, then the gradients of <output, v> with
    /// respect to each input, relative to the size of the second one.
    fn compare(
        shapes: &[[usize; 2]],
        fused: impl Fn(&[Tensor<2>]) -> Tensor<2>,
        stock: impl Fn(&[Tensor<2>]) -> Tensor<2>,
    ) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let run = |f: &dyn Fn(&[Tensor<2>]) -> Tensor<2>| {
            let inputs: Vec<Tensor<2>> =
                shapes.iter().enumerate().map(|(i, s)| normal(10 + i, *s, &device).require_grad()).collect();
            let y = f(&inputs);
            let grads = (y.clone() * normal(9, y.dims(), &device)).sum().backward();
            let gradients = inputs.iter().map(|t| t.grad(&grads).expect("tracked"));
            std::iter::once(y.inner()).chain(gradients).collect::<Vec<_>>()
        };
        let relative = |(a, b): (Tensor<2>, Tensor<2>)| {
            let scale: f32 = b.clone().abs().max().into_scalar();
            difference(a, b) / scale
        };
        run(&fused).into_iter().zip(run(&stock)).map(relative).collect()
    }

    fn bias(t: &Tensor<2>) -> Tensor<1> {
        t.clone().flatten(0, 1)
    }

    #[test]
    fn a_bias_of_each_row_agrees_with_stock_operations() {
        let shapes = [[37, 19], [19, 33], [37, 33], [1, 33], [1, 33]];
        let worst = compare(
            &shapes,
            |t| dense_norm_silu_onto(t[0].clone(), t[1].clone(), t[2].clone(), bias(&t[3]), bias(&t[4])),
            |t| stock_norm_silu(t[0].clone().matmul(t[1].clone()) + t[2].clone(), bias(&t[3]), bias(&t[4])),
        );
        assert!(worst.iter().all(|&d| d < 2e-5), "{worst:?}");
    }

    #[test]
    fn convolutions_agree_with_stock_operations() {
        for (n, h, w, c, m) in [(1, 4, 6, 1, 1), (3, 8, 8, 5, 7), (5, 28, 28, 4, 3), (9, 14, 14, 16, 20)] {
            for stride in [1, 2] {
                let shapes = [[n * h * w, c], [9 * c, m], [1, m]];
                let worst = compare(
                    &shapes,
                    |t| conv3(t[0].clone(), t[1].clone(), bias(&t[2]), [h, w], stride),
                    |t| stock_conv3(t[0].clone(), t[1].clone(), bias(&t[2]), [h, w], stride),
                );
                assert!(worst.iter().all(|&d| d < 2e-5), "{n} {h} {w} {c} {m} stride {stride}: {worst:?}");
            }
        }
    }

    #[test]
    fn norms_and_upsampling_agree_with_stock_operations() {
        let worst = compare(&[[30, 19]], |t| row_norm(t[0].clone()), |t| stock_row_norm(t[0].clone()));
        assert!(worst.iter().all(|&d| d < 1e-5), "{worst:?}");
        let worst = compare(&[[2 * 3 * 5, 4]], |t| upsample(t[0].clone(), 5), |t| stock_upsample(t[0].clone(), 5));
        assert!(worst.iter().all(|&d| d < 1e-6), "{worst:?}");
    }

    #[test]
    fn blocks_agree_with_stock_operations() {
        for (n, h, w, c) in [(1, 4, 4, 8), (5, 14, 14, 12), (2, 28, 28, 9)] {
            let shapes = [[n * h * w, c], [n, 3 * c], [9 * c, c], [1, c], [9 * c, c], [1, c]];
            let size = [h, w];
            let fused = |t: &[Tensor<2>]| {
                let p = BlockParameters { w1: t[2].clone(), b1: bias(&t[3]), w2: t[4].clone(), b2: bias(&t[5]) };
                block(t[0].clone(), t[1].clone(), p, size)
            };
            let stock = |t: &[Tensor<2>]| {
                let conv = |x, w: &Tensor<2>, b: &Tensor<2>| stock_conv3(x, w.clone(), bias(b), size, 1);
                let inside = |v| conv(activation::silu(conv(v, &t[2], &t[3])), &t[4], &t[5]);
                gated(t[0].clone(), t[1].clone(), size, inside)
            };
            let worst = compare(&shapes, fused, stock);
            assert!(worst.iter().all(|&d| d < 5e-5), "{n} {h} {w} {c}: {worst:?}");
        }
    }

    type OfInputs<'a> = dyn Fn(&[Tensor<2>]) -> Tensor<2> + 'a;

    #[test]
    fn the_gradient_of_the_input_does_not_depend_on_whether_weights_are_tracked() {
        let (device, size) = (Device::flex().autodiff(), [4, 6]);
        let c = 5;
        let shapes = [[2 * 24, c], [2, 3 * c], [9 * c, c], [1, c], [9 * c, c], [1, c], [c, c]];
        let gradient = |f: &OfInputs, all: bool| {
            let tracked = |(i, s): (usize, &[usize; 2])| {
                let t = normal(10 + i, *s, &device);
                if all || i == 0 { t.require_grad() } else { t }
            };
            let inputs: Vec<Tensor<2>> = shapes.iter().enumerate().map(tracked).collect();
            let y = f(&inputs);
            let grads = (y.clone() * normal(9, y.dims(), &device)).sum().backward();
            inputs[0].grad(&grads).expect("tracked")
        };
        let layers: [&OfInputs; 5] = [
            &|t| dense(t[0].clone(), t[6].clone(), bias(&t[3])),
            &|t| dense_norm_silu(t[0].clone(), t[6].clone(), bias(&t[3]), bias(&t[5]), bias(&t[3])),
            &|t| conv3(t[0].clone(), t[2].clone(), bias(&t[3]), size, 1),
            &|t| conv3(t[0].clone(), t[2].clone(), bias(&t[3]), size, 2),
            &|t| {
                let p = BlockParameters { w1: t[2].clone(), b1: bias(&t[3]), w2: t[4].clone(), b2: bias(&t[5]) };
                block(t[0].clone(), t[1].clone(), p, size)
            },
        ];
        for (i, layer) in layers.into_iter().enumerate() {
            assert_eq!(difference(gradient(layer, true), gradient(layer, false)), 0.0, "layer {i}");
        }
    }

    #[test]
    fn fused_dense_agrees_with_stock_operations() {
        agree(|x, w, b, _, _| dense(x, w, b), |x, w, b, _, _| x.matmul(w) + b.unsqueeze(), 3);
    }
}
