//! A channel of your own, which applies a known gain per observation, y = g x + s n. It is linear with
//! Gaussian noise, so the run gets a Gaussian start and a measurement update.
//!
//! ```sh
//! cargo run --release --example custom_channel
//! ```

use burn::tensor::Device;
use diffem::channel::{Channel, LinearChannel};
use diffem::em::MStepConfig;
use diffem::network::MlpConfig;
use diffem::noise::Stream;
use diffem::{Em, Observations, Result, Samples};

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
    fn write_noise_variance(&self, _a: &[f32], out: &mut [f64]) { out.fill(f64::from(NOISE * NOISE)) }
    fn is_noiseless(&self) -> bool { false }
    fn is_diagonal(&self) -> bool { true }
}

pub fn main() -> Result<()> {
    let circle = |n: usize| Samples::new((0..n).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect(), 2);
    let (truth, seen) = (circle(200), Observations::observe(&Exposure, &circle(200), 1));

    let mut run = Em::new(Exposure, Observations::observe(&Exposure, &circle(1024), 0))
        .network(MlpConfig { width: 64, depth: 2, embedding: 16 })
        .m_step(MStepConfig { steps: 600, batch: 256, ema: 0.99, ..Default::default() })
        .laps(4)
        .build(&Device::flex())?;
    run.run(|_| ())?;
    let (mean, std) = run.posterior()?.mean_std(&seen, 32, 0)?;
    let root_mean = |value: &dyn Fn(usize) -> f32| ((0..400).map(|j| value(j).powi(2)).sum::<f32>() / 400.0).sqrt();
    let (x, y) = (truth.as_slice(), seen.y.as_slice());
    println!("root mean square error of y / g: {:.3}", root_mean(&|j| y[j] / seen.operator(j / 2)[0] - x[j]));
    println!("of the posterior mean: {:.3}", root_mean(&|j| mean.as_slice()[j] - x[j]));
    println!("root mean square deviation of the draws: {:.3}", root_mean(&|j| std.as_slice()[j]));
    Ok(())
}
