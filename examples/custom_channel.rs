//! A channel of your own on images of 64 x 64 pixels: a camera that moved by a known length a, y = mean of a pixels + s n.
//! It gives products with A and Aᵀ; conjugate gradient makes a Gaussian start and a measurement update of them.
//!
//! ```sh
//! cargo run --release --example custom_channel
//! ```

use burn::tensor::Device;
use diffem::channel::{Channel, LinearChannel};
use diffem::{Em, Observations, Result, Samples, image::ImageShape, network::MlpConfig, noise::Stream};

const SIDE: usize = 64;
const D: usize = SIDE * SIDE;
const NOISE: f32 = 0.3;

struct Moved;

#[rustfmt::skip]
impl Channel for Moved {
    fn signal_len(&self) -> usize { D }
    fn observation_len(&self) -> usize { D }
    fn operator_len(&self) -> usize { 1 }
    fn signal_image(&self) -> Option<ImageShape> { Some(ImageShape { channels: 1, height: SIDE, width: SIDE }) }
    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) { a[0] = 1.0 + (9.0 * stream.uniform()).floor() as f32 }
    fn as_linear(&self) -> Option<&dyn LinearChannel> { Some(self) }

    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
        y.iter_mut().for_each(|y| *y += NOISE * stream.normal());
    }
}

/// Calls `f(pixel of y, pixel of x)` for every weight 1 / a of A.
fn each(a: &[f32], mut f: impl FnMut(usize, usize)) {
    (0..D).for_each(|p| (p..D.min(p + a[0] as usize)).filter(|q| q / SIDE == p / SIDE).for_each(|q| f(p, q)));
}

#[rustfmt::skip]
impl LinearChannel for Moved {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) { y.fill(0.0); each(a, |p, q| y[p] += x[q] / a[0]) }
    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) { x.fill(0.0); each(a, |p, q| x[q] += y[p] / a[0]) }
    fn is_noiseless(&self) -> bool { false }
    fn write_noise_variance(&self, _a: &[f32], out: &mut [f64]) { out.fill(f64::from(NOISE * NOISE)) }
}

pub fn main() -> Result<()> {
    let wave = |i: f32, p: usize| ((p % SIDE) as f32 / 3.0 + i).sin() * ((p / SIDE) as f32 / 8.0 - i).cos();
    let images = |n: usize| Samples::new((0..n * D).map(|v| wave((v / D) as f32, v % D)).collect(), D);
    let (truth, seen) = (images(8), Observations::observe(&Moved, &images(8), 1));
    let em = Em::new(Moved, Observations::observe(&Moved, &images(32), 0));
    let mut run = em.network(MlpConfig::default()).laps(1).steps(10).build(&Device::flex())?;
    run.run(|_| ())?;
    let (mean, _) = run.posterior()?.mean_std(&seen, 4, 0)?;
    let errors = |x: &Samples| x.as_slice().iter().zip(truth.as_slice()).map(|(x, t)| (x - t).powi(2)).sum::<f32>();
    let [y, mean] = [&seen.y, &mean].map(|x| (errors(x) / (8 * D) as f32).sqrt());
    println!("root mean square error of y: {y:.3}, of the posterior mean: {mean:.3}");
    Ok(())
}
