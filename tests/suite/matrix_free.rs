//! Linear channels of signals too long for matrices, by conjugate gradient: the measurement update, its gradient, the
//! Gaussian start and whole E-steps against the exact posterior of a Gaussian, and training.

use burn::tensor::Device;
use diffem::basis::{Basis, Dct};
use diffem::channel::{
    BlurConfig, Channel, ChannelConfig, Compose, DownsampleConfig, FourierMaskConfig, LinearChannel, Maps,
    MulticoilConfig, NoiseConfig, Pattern, PixelMaskConfig, RadonConfig, StageConfig,
};
use diffem::conditioning::{Conditioning, ConditioningConfig, Features, OperatorStructure, Standardizer, feature_len};
use diffem::em::{EStep, GaussianInit, InitConfig, InitialPrior, MStepConfig, corrupted_init};
use diffem::gaussian::{Gaussian, SolverConfig, SpectralGaussian};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::metric::MeasurementFit;
use diffem::network::{MlpConfig, flatten, from_host, unflatten};
use diffem::noise::{Key, Purpose, Stream};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::{HeunConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Em, Observations, Samples};
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;

/// Just above the limit of matrices.
const SHAPE: ImageShape = ImageShape { channels: 1, height: 16, width: 18 };
const D: usize = 288;
const STD: f64 = 0.2;
/// Solves as far as 32 bits go.
const EXACT: SolverConfig = SolverConfig { iterations: 200, tolerance: 1e-6 };

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

fn pixel_mask() -> StageConfig {
    PixelMaskConfig { rate: 0.4, max_rate: None }.into()
}

fn chains() -> Vec<Vec<StageConfig>> {
    let coils = MulticoilConfig {
        coils: 3,
        maps: Maps::Made,
        acceleration: 3.0,
        center: 0.2,
        pattern: Pattern::Columns,
        complex: false,
    };
    let own = MulticoilConfig { coils: 2, maps: Maps::Each, ..coils.clone() };
    vec![
        vec![DownsampleConfig { factor: 2 }.into(), noise(STD)],
        vec![BlurConfig { sigma: 0.8 }.into(), pixel_mask(), noise(STD)],
        vec![noise(0.1), BlurConfig { sigma: 0.8 }.into(), pixel_mask(), noise(STD)],
        vec![RadonConfig { angles: 8, random_start: true }.into(), noise(0.05)],
        vec![coils.into(), noise(STD)],
        vec![own.into(), noise(STD)],
    ]
}

fn build(stages: &[StageConfig]) -> Compose {
    ChannelConfig(stages.to_vec()).build_image(SHAPE).unwrap()
}

fn normal(n: usize, index: usize) -> Samples {
    let mut x = Samples::zeros(n, D);
    Key::new(5, Purpose::Truth, index).stream(0, 0).fill_normal(x.as_mut_slice());
    x
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn simulated(channel: &Compose, x: &Samples) -> Observations {
    Observations::simulate(channel, x, Key::new(2, Purpose::Observe, 0), 0)
}

/// Coordinates of different scales.
fn standardizer() -> Standardizer {
    let root = (0..D).map(|j| 0.7 + (j % 5) as f64 / 10.0).collect();
    Standardizer::new((0..D).map(|j| (j % 3) as f64 / 10.0).collect(), root).unwrap()
}

/// The distribution of x that the standardizer assumes.
fn law() -> Gaussian {
    let standardizer = standardizer();
    let variance = DVector::from_iterator(D, standardizer.root.iter().map(|l| l * l));
    Gaussian::new(DVector::from_vec(standardizer.mean.clone()), DMatrix::from_diagonal(&variance)).unwrap()
}

/// A posterior whose network returns 0, the exact denoiser of [`law`].
fn posterior(channel: &Arc<Compose>) -> Posterior<MlpConfig> {
    let (config, device) = (ConditioningConfig::default(), Device::flex());
    let features = feature_len(channel.as_ref(), &config);
    let network = MlpConfig { width: 8, depth: 1, embedding: 8 }.init(D, features, 0, &device);
    let zeros = from_host(vec![0.0; flatten(&network).dims()[0]], &device);
    let model = Model {
        channel: channel.clone(),
        image: None,
        schedule: Schedule { sigma_min: 2e-3, sigma_max: 80.0, ..Default::default() },
        conditioning: config,
        method: Method::default(),
        network: MlpConfig::default(),
        sampler: HeunConfig { steps: 40, spacing: Spacing::Edm, churn: 0.0 }.into(),
        shard: 64,
    };
    Posterior::new(model, unflatten(network, &zeros), standardizer(), device)
}

/// Of the prior N(μ, L Lᵀ) the features show the exact posterior mean, since they are the update of an estimate that
/// knows nothing else.
#[test]
fn the_update_agrees_with_the_dense_formula() {
    let (config, standardizer) = (ConditioningConfig { solver: EXACT, ..Default::default() }, standardizer());
    for stages in chains() {
        let channel = build(&stages);
        let seen = simulated(&channel, &normal(2, 1));
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        let mut features = vec![0.0; conditioning.feature_len()];
        let measurement = conditioning.condition(seen.y.row(1), seen.operator(1), &mut features).unwrap();
        assert_eq!(measurement.structure(), OperatorStructure::MatrixFree, "{stages:?}");
        let found = standardizer.restore(&Samples::new(features[..D].to_vec(), D));
        let exact = law().posterior_of(&channel, &seen, 1).unwrap().mean;
        let worst = found.row(0).iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-5 * exact.amax(), "{stages:?}: {worst} of {}", exact.amax());
    }
}

#[test]
fn the_covariance_of_the_noise_is_applied() {
    for stages in chains() {
        let channel = build(&stages);
        let seen = simulated(&channel, &normal(1, 1));
        let (a, m) = (seen.operator(0), channel.observation_len());
        let linear = channel.as_linear().unwrap();
        let covariance = linear.noise_covariance(a);
        let v: Vec<f32> = (0..m).map(|i| ((i * 7 % 13) as f32 - 6.0) / 6.0).collect();
        let mut found = vec![0.0; m];
        linear.apply_noise(a, &v, &mut found);
        let expected = &covariance * DVector::from_vec(wide(&v));
        assert!(found.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{stages:?}");
        let mut variance = vec![0.0; m];
        linear.write_noise_variance(a, &mut variance);
        assert!((0..m).all(|i| (variance[i] - covariance[(i, i)]).abs() < 1e-7), "{stages:?}");
    }
}

/// With exact scores, whole E-steps draw from the exact posterior.
#[test]
fn draws_follow_the_exact_posterior() {
    let n = 100;
    // One whose noise passes the map, one whose operator mixes all values, and one operator for all observations.
    let shared = vec![RadonConfig { angles: 8, random_start: false }.into(), noise(0.05)];
    for stages in [chains().remove(2), chains().remove(3), shared] {
        let channel = Arc::new(build(&stages));
        let seen = simulated(&channel, &normal(1, 1));
        let a = (channel.operator_len() > 0).then(|| Samples::new(seen.operator(0).repeat(n), channel.operator_len()));
        let repeated = Observations::new(channel.as_ref(), seen.y.select(&vec![0; n]), a).unwrap();
        let (posterior, key) = (posterior(&channel), Key::new(3, Purpose::Sample, 1));
        let draws = EStep { posterior: &posterior, observations: &repeated, key }.all().unwrap();
        let exact = law().posterior_of(channel.as_ref(), &seen, 0).unwrap();
        let (mut square, mut ratio) = (0.0, 0.0);
        for j in 0..D {
            let values = || draws.rows().map(|row| f64::from(row[j]));
            let mean = values().sum::<f64>() / n as f64;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
            let error = (mean - exact.mean[j]) / (exact.covariance[(j, j)] / n as f64).sqrt();
            assert!(error.abs() < 5.0, "{stages:?} mean {j}: {error} standard errors");
            square += error * error / D as f64;
            ratio += variance / exact.covariance[(j, j)] / D as f64;
        }
        // 288 coordinates: chi-square with a relative deviation of 8 %, more where they are correlated.
        assert!((square - 1.0).abs() < 0.4, "{stages:?}: mean square error of {square} standard errors");
        // Each ratio has a deviation of 14 %, their mean .8 %; the sampler's own error is 1 %.
        assert!((ratio - 1.0).abs() < 0.04, "{stages:?}: {ratio} of the variance");
    }
}

/// Where the last noise level is as high as the noise, the last uncertainty is half of what is left of a measured value.
#[test]
fn draws_keep_the_variance_of_what_was_measured() {
    let n = 400;
    let stages = [DownsampleConfig { factor: 2 }.into(), noise(0.05)];
    let channel = Arc::new(build(&stages));
    let seen = simulated(&channel, &normal(1, 1));
    let repeated = Observations::new(channel.as_ref(), seen.y.select(&vec![0; n]), None).unwrap();
    let mut model = posterior(&channel).model().clone();
    model.schedule.sigma_min = 0.1;
    let from = posterior(&channel);
    let posterior = Posterior::new(model, from.network().clone(), standardizer(), Device::flex());
    let key = Key::new(3, Purpose::Sample, 1);
    let draws = EStep { posterior: &posterior, observations: &repeated, key }.all().unwrap();
    let observed = law().posterior_of(channel.as_ref(), &seen, 0).unwrap();
    let matrix = channel.linear_gaussian(&[]).unwrap().matrix;
    let exact = &matrix * observed.covariance * matrix.transpose();
    let (m, mut y) = (channel.observation_len(), vec![0.0; channel.observation_len()]);
    let values: Vec<Vec<f32>> = draws
        .rows()
        .map(|x| {
            channel.apply(&[], x, &mut y);
            y.clone()
        })
        .collect();
    let ratio = |j: usize| {
        let mean = values.iter().map(|y| f64::from(y[j])).sum::<f64>() / n as f64;
        let square = values.iter().map(|y| (f64::from(y[j]) - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        square / exact[(j, j)]
    };
    let ratio = (0..m).map(ratio).sum::<f64>() / m as f64;
    // 72 independent values of 400 draws: a standard error of .8 %. Of what is measured P takes 2 %, the sampler 1 %.
    assert!((ratio - 1.0).abs() < 0.055, "{ratio} of the variance");
}

/// With products on the device and with solutions that begin at earlier ones, a draw is its row's alone.
#[test]
fn a_draw_does_not_depend_on_the_others() {
    for random_start in [false, true] {
        let channel = Arc::new(build(&[RadonConfig { angles: 8, random_start }.into(), noise(0.05)]));
        let seen = simulated(&channel, &normal(20, 1));
        let draw = |shard: usize, n: usize| {
            let (from, device) = (posterior(&channel), Device::flex());
            let model = Model { shard, ..from.model().clone() };
            let posterior = Posterior::new(model, from.network().clone(), standardizer(), device);
            posterior.sample(&seen.first(n), 1).unwrap()
        };
        let all = draw(20, 20);
        assert!(draw(7, 20) == all, "random start {random_start}");
        assert!(draw(20, 3).as_slice() == &all.as_slice()[..3 * D], "random start {random_start}");
    }
}

#[test]
fn the_truth_has_a_chi_square_of_one() {
    for stages in chains() {
        let channel = build(&stages);
        let x = normal(30, 1);
        let seen = simulated(&channel, &x);
        let fit = MeasurementFit::of(&channel, &seen, &x).unwrap().unwrap();
        assert!((fit.chi2 - 1.0).abs() < 5.0 * (2.0 / fit.measurements as f64).sqrt(), "{stages:?}: {fit:?}");
        let zero = MeasurementFit::of(&channel, &seen, &Samples::zeros(30, D)).unwrap().unwrap();
        assert!(zero.chi2 > 1.3, "{stages:?}: {zero:?}");
    }
}

/// Variances that fall with the frequency.
fn falling(basis: &Basis) -> SpectralGaussian {
    let variance = basis.laplacian().iter().map(|l| 0.05 * (0.15 + l).powf(-1.5)).collect();
    SpectralGaussian::centered(basis.clone(), variance).unwrap()
}

/// 200 images with these variances.
fn smooth(basis: &Basis) -> Samples {
    let law = Gaussian::stationary(&falling(basis));
    let (root, key) = (law.root(), Key::new(1, Purpose::Truth, 0));
    let draw = |i| law.draw(&root, &mut key.stream(i, 0)).iter().map(|&v| v as f32).collect::<Vec<_>>();
    Samples::new((0..200).flat_map(draw).collect(), D)
}

/// Smooth images, whose distribution is a fixed point of EM: from there the start must stay better than the least-norm
/// solution, and as wide as its errors.
#[test]
fn the_start_keeps_the_spectrum() {
    let basis = Basis::Cosine(Dct::new(SHAPE));
    let x = smooth(&basis);
    let error = |y: &Samples| -> f64 {
        x.as_slice().iter().zip(y.as_slice()).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
            / x.as_slice().len() as f64
    };
    for stages in chains() {
        let channel = build(&stages);
        let seen = simulated(&channel, &x);
        let prior = falling(&basis).fitted_to_draws(&channel, &seen, 6, 0).unwrap();
        let (means, mut draws) = (prior.means(&channel, &seen).unwrap(), Samples::zeros(200, D));
        prior.reconstruct_into(&channel, &seen, 0, &mut draws).unwrap();
        let least = error(&corrupted_init(&channel, &seen).unwrap());
        // A draw's error is the mean's twice, if it is as wide as the posterior.
        let ratio = error(&draws) / error(&means);
        assert!(error(&means) < 0.8 * least, "{stages:?}: {} {least}", error(&means));
        assert!((ratio - 2.0).abs() < 0.3, "{stages:?}: {ratio}");
    }
}

/// A channel that hides what it knows of itself: products alone are left.
struct Plain(Compose);

#[rustfmt::skip]
impl Channel for Plain {
    fn signal_len(&self) -> usize { self.0.signal_len() }
    fn observation_len(&self) -> usize { self.0.observation_len() }
    fn operator_len(&self) -> usize { self.0.operator_len() }
    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) { self.0.draw_operator(stream, a) }
    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) { self.0.observe(x, a, stream, y) }
    fn as_linear(&self) -> Option<&dyn LinearChannel> { Some(self) }
}

#[rustfmt::skip]
impl LinearChannel for Plain {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) { self.0.apply(a, x, y) }
    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) { self.0.adjoint(a, y, x) }
    fn is_noiseless(&self) -> bool { false }
    fn write_noise_variance(&self, a: &[f32], out: &mut [f64]) { self.0.write_noise_variance(a, out) }
}

/// A mask trains to the same network with and without its diagonal form: update, gradient, trust weights and E-step are
/// the same functions.
#[test]
fn training_is_that_of_the_diagonal_form() {
    let x = normal(32, 1);
    let stages = [pixel_mask(), noise(0.5)];
    let seen = simulated(&build(&stages), &x);
    let conditioning = ConditioningConfig { features: Features::Observation, solver: EXACT, ..Default::default() };
    let run = |em: Em| {
        let m_step = MStepConfig { steps: 20, batch: 16, micro_batch: 8, ..Default::default() };
        let schedule = Schedule { sigma_min: 2e-3, ..Default::default() };
        let em =
            em.network(MlpConfig { width: 32, depth: 2, embedding: 16 }).init(InitConfig::Corrupted {}).m_step(m_step);
        let mut run = em.conditioning(conditioning.clone()).schedule(schedule).laps(2).build(&Device::flex()).unwrap();
        run.run(|_| ()).unwrap();
        run.reconstructions().clone()
    };
    let diagonal = run(Em::new(build(&stages), seen.clone()));
    let plain = run(Em::new(Plain(build(&stages)), seen.clone()));
    let pairs = || diagonal.as_slice().iter().zip(plain.as_slice());
    let worst = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-2, "{worst}");
    let mean = pairs().map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / diagonal.as_slice().len() as f64;
    assert!(mean < 1e-3, "{mean}");
}

/// A start that all observations' operators leave open is smooth there.
#[test]
fn a_start_of_one_operator_is_smooth_where_nothing_was_seen() {
    let basis = Basis::Cosine(Dct::new(SHAPE));
    let x = smooth(&basis);
    let error = |y: &Samples| -> f64 {
        x.as_slice().iter().zip(y.as_slice()).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    };
    let channel = build(&[DownsampleConfig { factor: 2 }.into(), noise(STD)]);
    let seen = simulated(&channel, &x);
    let prior = InitialPrior::fit(&channel, &seen, &GaussianInit { iterations: 4, ..Default::default() }, 0).unwrap();
    let (means, draws) = (prior.means(&channel, &seen).unwrap(), prior.reconstruct(&channel, &seen, 0).unwrap());
    let ratio = error(&draws) / error(&means);
    assert!((ratio - 2.0).abs() < 0.3, "{ratio}");
}

/// A single coil whose sensitivity is 1 everywhere is no coil.
#[test]
fn one_constant_coil_sees_what_a_mask_of_frequencies_shows() {
    let shape = ImageShape { channels: 2, height: 8, width: 6 };
    let mask = FourierMaskConfig { acceleration: 2.0, center: 0.2, pattern: Pattern::Points, complex: true };
    let single = ChannelConfig(vec![mask.clone().into()]).build_image(shape).unwrap();
    let ones = [vec![1.0; shape.pixels()], vec![0.0; shape.pixels()]];
    let coil = diffem::channel::Multicoil::new(shape, &mask, vec![ones]).unwrap();
    let mut x = Samples::zeros(3, shape.len());
    Key::new(5, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
    let key = Key::new(2, Purpose::Observe, 0);
    let own = diffem::channel::Multicoil::with_own_maps(shape, &mask, 1).unwrap();
    let [a, b] = [Observations::simulate(&single, &x, key, 0), Observations::simulate(&coil, &x, key, 0)];
    assert_eq!(a.a, b.a);
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close(a.y.as_slice(), b.y.as_slice()));
    // The same from an operator that brings its map.
    let (pixels, mut y) = (shape.pixels(), vec![0.0; 2 * shape.pixels()]);
    for i in 0..3 {
        let operator = [a.operator(i), &vec![1.0; pixels], &vec![0.0; pixels]].concat();
        own.apply(&operator, x.row(i), &mut y);
        assert!(close(&y, a.y.row(i)));
    }
}
