//! Conjugate gradient against matrices, for signals that have them.

use crate::channel::{
    BlurConfig, Channel, ChannelConfig, Compose, DownsampleConfig, Maps, MulticoilConfig, NoiseConfig, Pattern,
    PixelMaskConfig, RadonConfig, StageConfig,
};
use crate::conditioning::{Conditioning, ConditioningConfig, Measurement, Standardizer};
use crate::gaussian::{Gaussian, SolverConfig};
use crate::image::ImageShape;
use crate::noise::{Key, Purpose};
use crate::{Observations, Samples};
use nalgebra::{DMatrix, DVector};

const SHAPE: ImageShape = ImageShape { channels: 1, height: 6, width: 8 };
const D: usize = 48;

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

fn chains() -> Vec<Compose> {
    let coils = MulticoilConfig {
        coils: 2,
        maps: Maps::Made,
        acceleration: 2.0,
        center: 0.2,
        pattern: Pattern::Points,
        complex: false,
    };
    let mask = || StageConfig::from(PixelMaskConfig { rate: 0.4, max_rate: None });
    let chains = [
        vec![DownsampleConfig { factor: 2 }.into(), noise(0.1)],
        vec![noise(0.1), BlurConfig { sigma: 0.8 }.into(), mask(), noise(0.1)],
        vec![RadonConfig { angles: 4, random_start: true }.into(), noise(0.05)],
        vec![coils.into(), noise(0.1)],
    ];
    chains.into_iter().map(|stages| ChannelConfig(stages).build_image(SHAPE).unwrap()).collect()
}

/// Coordinates of different scales.
fn standardizer() -> Standardizer {
    let root = (0..D).map(|j| 0.7 + (j % 5) as f64 / 10.0).collect();
    Standardizer::new((0..D).map(|j| (j % 3) as f64 / 10.0).collect(), root).unwrap()
}

fn normal(n: usize) -> Samples {
    let mut x = Samples::zeros(n, D);
    Key::new(5, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
    x
}

/// Calls `check` for every chain with its conditioning, an observation of it and its measurement without a matrix, `n` times.
fn each(tolerance: f64, n: usize, check: impl Fn(&Compose, Conditioning<'_>, &Observations, &[Measurement])) {
    let (standardizer, solver) = (standardizer(), SolverConfig { iterations: 500, tolerance });
    let config = ConditioningConfig { solver, ..Default::default() };
    for channel in chains() {
        let seen = Observations::simulate(&channel, &normal(1), Key::new(2, Purpose::Observe, 0), 0);
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        let linear = channel.as_linear().unwrap();
        let measurement = || conditioning.unsolved(linear, seen.y.row(0), seen.operator(0));
        let measurements: Vec<Measurement> = (0..n).map(|_| measurement()).collect();
        check(&channel, conditioning, &seen, &measurements);
    }
}

/// From level to level every solution begins at the ones before it; its error stays within the tolerance, of which the
/// estimate of the error is a third at worst.
#[test]
fn updates_are_those_of_matrices_at_every_level() {
    for tolerance in [1e-6, 0.01] {
        each(tolerance, 1, |channel, conditioning, seen, measurements| {
            let free = conditioning.matrix_free(measurements).unwrap();
            let standardizer = conditioning.standardizer;
            for sigma in [80.0, 20.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.01, 1e-3] {
                let v = sigma * sigma / (1.0 + sigma * sigma);
                let estimate = Samples::new(normal(2).row(1).iter().map(|x| x * (1.0 - v) as f32).collect(), D);
                let found = free.update(&estimate, |_| v);
                let start: Vec<f64> = standardizer.restore(&estimate).as_slice().iter().map(|&x| x.into()).collect();
                let variance = DVector::from_iterator(D, standardizer.root.iter().map(|l| v * l * l));
                let law = Gaussian::new(DVector::from_vec(start), DMatrix::from_diagonal(&variance)).unwrap();
                let exact = law.posterior_of(channel, seen, 0).unwrap().mean;
                let found = standardizer.restore(&found);
                let error = |j: usize| (f64::from(found.row(0)[j]) - exact[j]) / standardizer.root[j];
                let error = ((0..D).map(|j| error(j).powi(2)).sum::<f64>() / D as f64).sqrt();
                // The second part is the rounding of 32 bits.
                assert!(error < 3.0 * tolerance * v.sqrt() + 1e-5, "level {sigma}, tolerance {tolerance}: {error}");
            }
        });
    }
}

/// P e has the covariance P V P, V = v (I - K A).
#[test]
fn the_remainder_has_the_covariance_that_is_left() {
    let n = 4000;
    each(0.01, n, |channel, conditioning, seen, measurements| {
        let model = channel.linear_gaussian(seen.operator(0)).unwrap();
        let root = DVector::from_vec(conditioning.standardizer.root.clone());
        let a = &model.matrix * DMatrix::from_diagonal(&root);
        let m = a.nrows();
        let measured = |v: f64| {
            let evidence = &a * a.transpose() * v + &model.covariance + DMatrix::identity(m, m) * 1e-8;
            a.transpose() * evidence.try_inverse().unwrap() * &a * v
        };
        // As large as the noise, so that all of the remainder counts.
        let v = 0.02;
        let p = measured(1.0);
        let exact = &p * (DMatrix::identity(D, D) - measured(v)) * &p * v;
        let key = Key::new(3, Purpose::Sample, 0);
        let found = conditioning.matrix_free(measurements).unwrap().remainder(v, 1.0, &|i| key.stream(i, 0));
        for (i, j) in (0..D).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let product = found.rows().map(|row| f64::from(row[i]) * f64::from(row[j])).sum::<f64>() / n as f64;
            let error = ((exact[(i, i)] * exact[(j, j)] + exact[(i, j)].powi(2)) / n as f64).sqrt();
            // Five standard errors: 1176 products of four channels are looked at.
            let off = (product - exact[(i, j)]).abs();
            assert!(off < 5.0 * error + 1e-9, "{i} {j}: {product} {}", exact[(i, j)]);
        }
        let total = found.as_slice().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n as f64;
        let error = (2.0 * (&exact * &exact).trace() / n as f64).sqrt();
        assert!((total - exact.trace()).abs() < 4.0 * error, "{total} {}: {error}", exact.trace());
    });
}
