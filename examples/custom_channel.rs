//! A channel of one's own: a known gain per observation, y = g x + s n. It is linear with Gaussian noise, so the run gets a
//! Gaussian start and a measurement update.
//!
//! ```sh
//! cargo run --release --example custom_channel
//! ```

use burn::tensor::Device;
use diffem::channel::{Channel, LinearChannel};
use diffem::network::MlpConfig;
use diffem::noise::{Key, Purpose, Stream};
use diffem::{Em, Observations, Result, Samples};
use nalgebra::DMatrix;

const NOISE: f32 = 0.3;

struct Exposure;

#[rustfmt::skip]
impl Channel for Exposure {
    fn signal_len(&self) -> usize { 2 }
    fn observation_len(&self) -> usize { 2 }
    fn operator_len(&self) -> usize { 1 }
    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) { a[0] = 0.2 + 0.8 * stream.uniform() as f32 }
    fn as_linear(&self) -> Option<&dyn LinearChannel> { Some(self) }

    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = a[0] * x + NOISE * stream.normal());
    }
}

#[rustfmt::skip]
impl LinearChannel for Exposure {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) { y.iter_mut().zip(x).for_each(|(y, x)| *y = a[0] * x) }
    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) { self.apply(a, y, x) }
    fn noise_covariance(&self, _a: &[f32]) -> DMatrix<f64> { DMatrix::identity(2, 2) * f64::from(NOISE * NOISE) }
    fn is_noiseless(&self) -> bool { false }
    fn is_diagonal(&self) -> bool { true }
}

fn error(estimate: &[f32], truth: &Samples) -> f32 {
    let squares = estimate.iter().zip(truth.as_slice()).map(|(e, x)| (e - x).powi(2));
    (squares.sum::<f32>() / estimate.len() as f32).sqrt()
}

fn main() -> Result<()> {
    let circle = |n: usize| Samples::new((0..n).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect(), 2);
    let observe = |x: &Samples, seed| Observations::simulate(&Exposure, x, Key::new(seed, Purpose::Observe, 0), 0);
    let (test, network) = (circle(200), MlpConfig { width: 64, depth: 3, embedding: 16 });
    let seen = observe(&test, 1);

    let mut run = Em::new(Exposure, observe(&circle(1024), 0)).network(network).laps(6).steps(300).build(&Device::flex())?;
    run.run(|_| ())?;
    let (mean, std) = run.posterior()?.mean_std(&seen, 32, 0)?;
    let divided: Vec<f32> = (0..400).map(|j| seen.y.as_slice()[j] / seen.operator(j / 2)[0]).collect();
    println!("root mean square error of y / g: {:.3}", error(&divided, &test));
    println!("of the posterior mean: {:.3}", error(mean.as_slice(), &test));
    println!("mean posterior deviation: {:.3}", std.as_slice().iter().sum::<f32>() / 400.0);
    Ok(())
}
