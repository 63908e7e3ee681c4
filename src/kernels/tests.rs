//! Fused layers and written out gradients against burn's own operations.

use super::*;
use crate::noise::{Key, Purpose};
use burn::tensor::TensorData;

const F32: MatmulPrecision = MatmulPrecision::F32;

fn normal<const D: usize>(index: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    Key::new(5, Purpose::Weights, 0).stream(index, 0).fill_normal(&mut values);
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn plain_row_norm(x: Tensor<2>) -> Tensor<2> {
    let centered = x.clone() - x.mean_dim(1);
    let variance = centered.clone().square().mean_dim(1);
    centered / (variance + NORM_EPSILON).sqrt()
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
fn compare<const D: usize>(
    shapes: &[[usize; D]],
    fused: impl Fn(&[Tensor<D>]) -> Tensor<D>,
    stock: impl Fn(&[Tensor<D>]) -> Tensor<D>,
) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let run = |f: &dyn Fn(&[Tensor<D>]) -> Tensor<D>| {
        let inputs: Vec<Tensor<D>> =
            shapes.iter().enumerate().map(|(i, s)| normal(10 + i, *s, &device).require_grad()).collect();
        let y = f(&inputs);
        let grads = (y.clone() * normal(9, y.dims(), &device)).sum().backward();
        let gradients = inputs.iter().map(|t| t.grad(&grads).expect("tracked"));
        std::iter::once(y.inner()).chain(gradients).collect::<Vec<_>>()
    };
    let relative = |(a, b): (Tensor<D>, Tensor<D>)| {
        let scale: f32 = b.clone().abs().max().into_scalar();
        difference(a, b) / scale
    };
    run(&fused).into_iter().zip(run(&stock)).map(relative).collect()
}

#[test]
fn products_and_gradients_are_those_of_flex() {
    fn agree<const D: usize>(shapes: [[usize; D]; 2], view: impl Fn(Tensor<D>) -> Tensor<D>) {
        let view = |t: &[Tensor<D>]| (view(t[0].clone()), t[1].clone());
        let product = |t: &[Tensor<D>]| view(t).0.matmul(view(t).1);
        let found = compare(&shapes, |t| matmul(view(t).0, view(t).1), product);
        assert!(found.iter().all(|difference| *difference < 1e-6), "{shapes:?}: {found:?}");
    }
    agree([[5, 7], [7, 3]], |a| a);
    agree([[7, 5], [7, 3]], Tensor::transpose);
    agree([[1, 7], [7, 3]], |a| a.expand([4, 7]));
    agree([[2, 3, 5, 7], [2, 3, 7, 4]], |a| a);
    agree([[2, 5, 3, 7], [2, 3, 7, 4]], |a| a.swap_dims(1, 2));
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
                |t| conv3(t[0].clone(), t[1].clone(), bias(&t[2]), [h, w], stride, F32),
                |t| stock_conv3(t[0].clone(), t[1].clone(), bias(&t[2]), [h, w], stride, F32),
            );
            assert!(worst.iter().all(|&d| d < 2e-5), "{n} {h} {w} {c} {m} stride {stride}: {worst:?}");
        }
    }
}

#[test]
fn norms_and_upsampling_agree_with_stock_operations() {
    let worst = compare(&[[30, 19]], |t| row_norm(t[0].clone()), |t| plain_row_norm(t[0].clone()));
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
            block(t[0].clone(), t[1].clone(), p, size, F32)
        };
        let stock = |t: &[Tensor<2>]| {
            let conv = |x, w: &Tensor<2>, b: &Tensor<2>| stock_conv3(x, w.clone(), bias(b), size, 1, F32);
            let inside = |v| conv(activation::silu(conv(v, &t[2], &t[3])), &t[4], &t[5]);
            gated(t[0].clone(), t[1].clone(), size, inside)
        };
        let worst = compare(&shapes, fused, stock);
        assert!(worst.iter().all(|&d| d < 5e-5), "{n} {h} {w} {c}: {worst:?}");
    }
}

#[test]
fn written_out_gradients_agree_with_burn_s() {
    let silu = (stock::silu as fn(Tensor<2>) -> Tensor<2>, activation::silu as fn(Tensor<2>) -> Tensor<2>);
    let norm = (stock::row_norm as fn(Tensor<2>) -> Tensor<2>, plain_row_norm as fn(Tensor<2>) -> Tensor<2>);
    for (written, plain) in [silu, norm] {
        let worst = compare(&[[30, 19]], |t| written(t[0].clone()), |t| plain(t[0].clone()));
        assert!(worst.len() == 2 && worst.iter().all(|&d| d < 2e-6), "{worst:?}");
    }
    let (n, size, c) = (3, [2, 5], 7);
    let inside = |v: Tensor<2>, w: &Tensor<2>| v.matmul(w.clone());
    let written = |t: &[Tensor<2>]| {
        let y = inside(stock::modulated(t[0].clone(), t[1].clone()), &t[2]);
        stock::joined(t[0].clone(), y, t[1].clone(), stock::shrink(t[1].clone()))
    };
    let plain = |t: &[Tensor<2>]| plainly_gated(t[0].clone(), t[1].clone(), size, |v| inside(v, &t[2]));
    let worst = compare(&[[n * 10, c], [n, 3 * c], [c, c]], written, plain);
    assert!(worst.len() == 4 && worst.iter().all(|&d| d < 5e-6), "{worst:?}");
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
        &|t| conv3(t[0].clone(), t[2].clone(), bias(&t[3]), size, 1, F32),
        &|t| conv3(t[0].clone(), t[2].clone(), bias(&t[3]), size, 2, F32),
        &|t| {
            let p = BlockParameters { w1: t[2].clone(), b1: bias(&t[3]), w2: t[4].clone(), b2: bias(&t[5]) };
            block(t[0].clone(), t[1].clone(), p, size, F32)
        },
    ];
    for (i, layer) in layers.into_iter().enumerate() {
        assert_eq!(difference(gradient(layer, true), gradient(layer, false)), 0.0, "layer {i}");
    }
}

/// Rounded to eight significant bits, values and gradients are off by about a part in a few hundred, and no more: sums and
/// what is between products are not rounded.
#[test]
fn factors_in_bf16_are_rounded_and_nothing_else() {
    let (n, size, c) = (3, [6, 8], 16);
    let shapes = [[n * 48, c], [n, 3 * c], [9 * c, c], [1, c], [9 * c, c], [1, c], [c, 3 * c], [c, c]];
    let network = |t: &[Tensor<2>], precision| {
        // As large as the weights of a network are.
        let weight = |i: usize| t[i].clone() / (shapes[i][0] as f64).sqrt();
        let p = BlockParameters { w1: weight(2), b1: bias(&t[3]), w2: weight(4), b2: bias(&t[5]) };
        let x = block(t[0].clone(), t[1].clone(), p, size, precision);
        let x = attention(row_norm(x), weight(6), weight(7), Heads { pixels: 48, heads: 2, precision });
        conv3(x, weight(2), bias(&t[3]), size, 2, precision)
    };
    let off = compare(&shapes, |t| network(t, MatmulPrecision::Bf16), |t| network(t, F32));
    assert!(off.len() == 9 && off.iter().all(|&d| (1e-4..3e-2).contains(&d)), "{off:?}");
}

#[test]
fn fused_dense_agrees_with_stock_operations() {
    agree(|x, w, b, _, _| dense(x, w, b), |x, w, b, _, _| x.matmul(w) + b.unsqueeze(), 3);
}
