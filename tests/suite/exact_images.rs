//! Images of 32 x 32 pixels through every linear channel: draws of whole E-steps against the exact posterior of a Gaussian,
//! from dense matrices.

use burn::tensor::Device;
use diffem::channel::{
    BlockMaskConfig, BlurConfig, Border, Channel, ChannelConfig, Compose, DownsampleConfig, FourierMaskConfig,
    KernelConfig, LinearChannel, LinearConfig, Maps, MaskConfig, MulticoilConfig, NoiseConfig, NoiseLevelConfig,
    Pattern, PixelMaskConfig, ProjectionConfig, RadonConfig, StageConfig,
};
use diffem::conditioning::{ConditioningConfig, Standardizer, feature_len};
use diffem::em::EStep;
use diffem::gaussian::{Gaussian, SpectralGaussian};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::network::{MlpConfig, flatten, from_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::{HeunConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use nalgebra::{Cholesky, DMatrix, DVector};
use std::sync::Arc;

const SHAPE: ImageShape = ImageShape { channels: 1, height: 32, width: 32 };
const D: usize = 1024;
const DRAWS: usize = 100;

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

/// Every linear stage of the list, and chains whose noise passes a map.
fn chains() -> Vec<Vec<StageConfig>> {
    let frequencies = FourierMaskConfig { acceleration: 3.0, center: 0.1, pattern: Pattern::Columns, complex: false };
    let coils = MulticoilConfig {
        coils: 2,
        maps: Maps::Made,
        acceleration: 3.0,
        center: 0.1,
        pattern: Pattern::Columns,
        complex: false,
    };
    let pixels = || StageConfig::from(PixelMaskConfig { rate: 0.4, max_rate: None });
    let kernel = |border| StageConfig::from(KernelConfig { weights: None, sigma: Some([0.6, 1.2]), size: 5, border });
    let matrix = (0..40).map(|i| (0..D).map(|j| ((i * 37 + j * 11) % 23) as f32 / 100.0 - 0.11).collect()).collect();
    vec![
        vec![noise(0.3)],
        vec![NoiseLevelConfig { min: 0.1, max: 0.4 }.into()],
        vec![MaskConfig { rate: 0.4 }.into(), noise(0.2)],
        vec![pixels(), noise(0.2)],
        vec![BlockMaskConfig { height: 12, width: 12 }.into(), noise(0.2)],
        vec![ProjectionConfig { rows: 24 }.into(), noise(0.1)],
        vec![LinearConfig { matrix }.into(), noise(0.1)],
        vec![BlurConfig { sigma: 1.0 }.into(), noise(0.1)],
        vec![kernel(Border::Periodic), noise(0.1)],
        vec![kernel(Border::Zero), noise(0.1)],
        vec![DownsampleConfig { factor: 2 }.into(), noise(0.1)],
        vec![frequencies.into(), noise(0.1)],
        vec![coils.clone().into(), noise(0.1)],
        vec![MulticoilConfig { maps: Maps::Each, ..coils }.into(), noise(0.1)],
        vec![RadonConfig { angles: 12, random_start: false }.into(), noise(0.05)],
        vec![RadonConfig { angles: 12, random_start: true }.into(), noise(0.05)],
        vec![noise(0.1), BlurConfig { sigma: 0.8 }.into(), pixels(), noise(0.1)],
    ]
}

/// Coordinates in which a network that returns 0 is the exact denoiser, and the distribution of which it is.
fn distribution(channel: &Compose) -> (Standardizer, Gaussian) {
    if let Some(spectral) = channel.as_linear().unwrap().as_spectral() {
        let power: Vec<f64> = spectral.basis().laplacian().iter().map(|l| 3.0 / (0.5 + l)).collect();
        let covariance =
            Gaussian::stationary(&SpectralGaussian::centered(spectral.basis().clone(), power.clone()).unwrap())
                .covariance
                * (1.7 * 1.7);
        let standardizer = Standardizer::new(vec![0.3; D], vec![1.7; D]).unwrap().with_power(Some(power)).unwrap();
        return (standardizer, Gaussian::new(DVector::from_element(D, 0.3), covariance).unwrap());
    }
    let (mean, root) = ((0..D).map(|j| (j % 3) as f64 / 10.0), (0..D).map(|j| 0.7 + (j % 5) as f64 / 10.0));
    let standardizer = Standardizer::new(mean.collect(), root.collect()).unwrap();
    let variance = DVector::from_iterator(D, standardizer.root.iter().map(|l| l * l));
    let law = Gaussian::new(DVector::from_vec(standardizer.mean.clone()), DMatrix::from_diagonal(&variance)).unwrap();
    (standardizer, law)
}

fn posterior(channel: &Arc<Compose>, standardizer: Standardizer) -> Posterior<MlpConfig> {
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
        sampler: HeunConfig { steps: 60, spacing: Spacing::Edm, churn: 0.0 }.into(),
        shard: 25,
    };
    Posterior::new(model, unflatten(network, &zeros), standardizer, device)
}

/// The exact posterior of observation 0. Where noise does not pass a map, its precision is S⁻¹ + Aᵀ Σ_y⁻¹ A.
fn exact(channel: &Compose, law: &Gaussian, seen: &Observations, white: bool) -> Gaussian {
    if !white {
        return law.posterior_of(channel, seen, 0).unwrap();
    }
    let (a, mut variance) = (seen.operator(0), vec![0.0; channel.observation_len()]);
    let matrix = channel.matrix(a);
    channel.write_noise_variance(a, &mut variance);
    let invert = |matrix: DMatrix<f64>| Cholesky::new(matrix).unwrap().inverse();
    let mut weighted = matrix.transpose();
    weighted.column_iter_mut().zip(&variance).for_each(|(mut column, v)| column /= *v);
    let precision = invert(law.covariance.clone()) + &weighted * &matrix;
    let y = DVector::from_iterator(variance.len(), seen.y.row(0).iter().map(|&y| f64::from(y)));
    let covariance = invert((&precision + precision.transpose()) * 0.5);
    let mean = &law.mean + &covariance * (weighted * (y - matrix * &law.mean));
    Gaussian { mean, covariance }
}

/// Mean square of the errors of the means of `draws`, in standard errors, and mean ratio of their variances, each less
/// 1 and divided by its standard error. With the correlations R of the exact posterior, it is (2 Σ R²)^½ / d of the former
/// and, for n draws, (2 Σ R² / (n - 1))^½ / d of the latter.
fn scores(draws: &Samples, exact: &Gaussian) -> [f64; 2] {
    let n = draws.n() as f64;
    let (mut square, mut ratio) = (0.0, 0.0);
    for j in 0..D {
        let values = || draws.rows().map(|row| f64::from(row[j]));
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        square += (mean - exact.mean[j]).powi(2) * n / exact.covariance[(j, j)] / D as f64;
        ratio += variance / exact.covariance[(j, j)] / D as f64;
    }
    let width: Vec<f64> = (0..D).map(|j| exact.covariance[(j, j)].sqrt()).collect();
    let correlation = |i: usize, j: usize| exact.covariance[(i, j)] / (width[i] * width[j]);
    let squares: f64 = (0..D).flat_map(|i| (0..D).map(move |j| (i, j))).map(|(i, j)| correlation(i, j).powi(2)).sum();
    let error = (2.0 * squares).sqrt() / D as f64;
    [(square - 1.0) / error, (ratio - 1.0) / (error / (n - 1.0).sqrt())]
}

#[test]
#[ignore = "slow: 1600 draws of 1024 values"]
fn draws_of_every_linear_channel_follow_the_exact_posterior() {
    let mut failed = Vec::new();
    for stages in chains() {
        let channel = Arc::new(ChannelConfig(stages.clone()).build_image(SHAPE).unwrap());
        let (standardizer, law) = distribution(&channel);
        let mut x = Samples::zeros(1, D);
        Key::new(5, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
        let seen = Observations::simulate(channel.as_ref(), &x, Key::new(2, Purpose::Observe, 0), 0);
        let a =
            (channel.operator_len() > 0).then(|| Samples::new(seen.operator(0).repeat(DRAWS), channel.operator_len()));
        let repeated = Observations::new(channel.as_ref(), seen.y.select(&[0; DRAWS]), a).unwrap();
        let (posterior, key) = (posterior(&channel, standardizer), Key::new(3, Purpose::Sample, 1));
        let begun = std::time::Instant::now();
        let draws = EStep { posterior: &posterior, observations: &repeated, key }.all().unwrap();
        let drawn = begun.elapsed().as_secs_f64();
        let white = stages[..stages.len() - 1].iter().all(|stage| !matches!(stage, StageConfig::Noise(_)));
        let scores = scores(&draws, &exact(&channel, &law, &seen, white));
        let name =
            serde_json::to_string(&stages.iter().filter(|s| !matches!(s, StageConfig::Linear(_))).collect::<Vec<_>>());
        let name = name.unwrap();
        println!("{name}: means {:.1}, variances {:.1} standard errors; {drawn:.1} s", scores[0], scores[1]);
        if scores.iter().any(|score| score.abs() > 3.0) {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
