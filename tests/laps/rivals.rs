//! The compared methods on Gaussians: a learned prior, guided to the observations by moment matching, gives
//! the exact posterior.

use super::setup::Setup;
use diffem::channel::{
    Channel, ChannelConfig, DownsampleConfig, LinearChannel, MaskConfig, NoiseConfig, SaturationConfig,
};
use diffem::em::{EmConfig, GaussianInit, MStepConfig};
use diffem::gaussian::Gaussian;
use diffem::image::ImageShape;
use diffem::method::{Ambient, EmMmps, Method};
use diffem::network::MlpConfig;
use diffem::noise::Stream;
use diffem::sampler::{HeunConfig, Spacing};
use nalgebra::{DMatrix, DVector};

const CORRELATION: f64 = 0.8;
const NOISE: f64 = 0.1;

/// Runs one lap of `method` on a correlated pair, each value of which is missing with probability .3.
fn lap(method: impl Into<Method>) -> (Setup, diffem::Samples) {
    let law = DMatrix::from_row_slice(2, 2, &[1.0, CORRELATION, CORRELATION, 1.0]);
    let law = Gaussian::new(DVector::zeros(2), law).unwrap();
    let stages = vec![MaskConfig { rate: 0.3 }.into(), NoiseConfig { std: NOISE.into() }.into()];
    let network = MlpConfig { width: 64, depth: 2, embedding: 16 };
    let mut setup = Setup::new(&law, stages, 8192, network);
    setup.method = method.into();
    setup.schedule.sigma_max = 20.0;
    setup.em = EmConfig { laps: 1, patience: 0 };
    setup.init = GaussianInit { std: 1.5, ..Default::default() };
    setup.m_step = MStepConfig { steps: 1500, batch: 512, ema: 0.99, ..Default::default() };
    setup.e_step.sampler = HeunConfig { steps: 20, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let x = setup.all_laps().x;
    (setup, x)
}

/// Slope and residual variance of the draws of the second value against the observation of the first, where
/// only the first is observed.
fn regression(setup: &Setup, x: &diffem::Samples) -> (f64, f64) {
    let only_first = |i: &usize| setup.observations.operator(*i) == [1.0, 0.0];
    let rows: Vec<usize> = (0..x.n()).filter(only_first).collect();
    let pair = |i: &usize| (f64::from(setup.observations.y.row(*i)[0]), f64::from(x.row(*i)[1]));
    let (mut yy, mut yx, mut xx) = (0.0, 0.0, 0.0);
    for (y, x) in rows.iter().map(pair) {
        (yy, yx, xx) = (yy + y * y, yx + y * x, xx + x * x);
    }
    let slope = yx / yy;
    (slope, (xx - slope * yx) / rows.len() as f64)
}

/// Slope and residual variance of draws of the exact posterior.
fn exact() -> (f64, f64) {
    let slope = CORRELATION / (1.0 + NOISE * NOISE);
    (slope, 1.0 - CORRELATION * slope)
}

/// About 1700 draws give standard errors of .015 for the slope and 3.5 % for the variance; the learned prior
/// adds a few percent.
#[test]
fn em_mmps_draws_the_exact_posterior_of_gaussians() {
    let (setup, x) = lap(EmMmps::default());
    let ((slope, variance), exact) = (regression(&setup, &x), exact());
    assert!((slope - exact.0).abs() < 0.08, "slope {slope}, exact {}", exact.0);
    assert!((variance / exact.1 - 1.0).abs() < 0.2, "variance {variance}, exact {}", exact.1);
}

/// The prior is learned from masked pairs alone. It reconstructs the mean of the missing value, without the
/// posterior's spread.
#[test]
fn ambient_diffusion_learns_the_mean_of_what_is_missing() {
    let (setup, x) = lap(Ambient { further: 0.3 });
    let ((slope, variance), exact) = (regression(&setup, &x), exact());
    assert!((slope - exact.0).abs() < 0.08, "slope {slope}, exact {}", exact.0);
    assert!(variance < 0.1 * exact.1, "variance {variance}, of a draw {}", exact.1);
}

#[test]
fn methods_refuse_channels_that_they_do_not_suit() {
    let setup = Setup::tiny();
    let message = Method::from(Ambient::default()).validate(setup.channel.as_ref()).unwrap_err().to_string();
    assert!(message.contains("method.kind") && message.contains("masks"), "{message}");
    let mmps = Method::from(EmMmps::default());
    mmps.validate(setup.channel.as_ref()).unwrap();
    let bent = ChannelConfig(vec![SaturationConfig { low: -1.0, high: 1.0 }.into()]).build(3).unwrap();
    assert!(mmps.validate(&bent).unwrap_err().to_string().contains("em-mmps"));
    // Products are enough.
    let shape = ImageShape { channels: 1, height: 18, width: 18 };
    let lower = ChannelConfig(vec![DownsampleConfig { factor: 2 }.into()]).build_image(shape).unwrap();
    mmps.validate(&lower).unwrap();
    // A known gain is diagonal with parameters, and no mask.
    let message = Method::from(Ambient::default()).validate(&Gain).unwrap_err().to_string();
    assert!(message.contains("masks"), "{message}");
    let mask = ChannelConfig::from([MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1.into() }.into()])
        .build(3)
        .unwrap();
    Method::from(Ambient::default()).validate(&mask).unwrap();
}

/// y = a x with a gain a of each observation.
struct Gain;

#[rustfmt::skip]
impl Channel for Gain {
    fn signal_len(&self) -> usize { 3 }
    fn observation_len(&self) -> usize { 3 }
    fn operator_len(&self) -> usize { 1 }
    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) { a[0] = 0.2 + 0.8 * stream.uniform() as f32 }
    fn as_linear(&self) -> Option<&dyn LinearChannel> { Some(self) }
    fn observe(&self, x: &[f32], a: &[f32], _: &mut Stream, y: &mut [f32]) { self.apply(a, x, y) }
}

#[rustfmt::skip]
impl LinearChannel for Gain {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) { y.iter_mut().zip(x).for_each(|(y, x)| *y = a[0] * x) }
    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) { self.apply(a, y, x) }
    fn is_diagonal(&self) -> bool { true }
}
