//! A few clean signals tell what no operator shows.

use burn::tensor::Device;
use diffem::channel::{ChannelConfig, LinearConfig, NoiseConfig};
use diffem::method::Ambient;
use diffem::network::MlpConfig;
use diffem::noise::{Key, Purpose};
use diffem::{Em, Observations, Samples};

/// Signals (s, s) with a standard normal s, of which only the sum is observed.
fn pairs(n: usize, set: usize) -> Samples {
    let key = Key::new(3, Purpose::Truth, set);
    let rows = (0..n).flat_map(|i| [key.stream(i, 0).normal()].repeat(2)).collect();
    Samples::new(rows, 2)
}

fn em() -> Em<MlpConfig> {
    let sum = LinearConfig { matrix: vec![vec![1.0, 1.0]] };
    let channel = ChannelConfig(vec![sum.into(), NoiseConfig { std: 0.1.into() }.into()]).build(2).unwrap();
    let observations = Observations::observe(&channel, &pairs(256, 0), 0);
    Em::new(channel, observations).network(MlpConfig { width: 32, depth: 2, embedding: 16 }).laps(2).steps(300)
}

/// Variance of the difference of both values, which is 0 for the true signals.
fn hidden_variance(em: Em<MlpConfig>) -> [f64; 2] {
    let variance = |x: &Samples| x.rows().map(|row| f64::from(row[0] - row[1]).powi(2)).sum::<f64>() / x.n() as f64;
    let mut run = em.build(&Device::flex()).unwrap();
    let start = variance(run.reconstructions());
    run.run(|_| {}).unwrap();
    [start, variance(run.reconstructions())]
}

#[test]
fn what_no_operator_shows_is_learned_from_clean_signals_alone() {
    let [start, without] = hidden_variance(em());
    assert!(start > 1.5 && without > 0.6 * start, "{start} {without}");
    let [_, with] = hidden_variance(em().clean(pairs(20, 1), 0.5));
    assert!(with < 0.5 * without, "{with} {without}");
}

#[test]
fn clean_signals_that_cannot_be_used_are_refused() {
    let refused = |em: Em<MlpConfig>| em.trainer(&Device::flex()).err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(refused(em().clean(pairs(20, 1), 0.2)), "");
    assert_eq!(refused(em().clean(pairs(20, 1), 1.0)), "clean.weight: expected a number in [0, 1), found 1");
    let other = Samples::zeros(5, 3);
    assert_eq!(refused(em().clean(other, 0.2)), "clean signals x: expected [h, 2] with h > 0, found [5, 3]");
    assert!(refused(em().clean(Samples::zeros(0, 2), 0.2)).ends_with("found [0, 2]"));
    let broken = Samples::new(vec![0.0, 1.0, f32::INFINITY, 2.0], 2);
    assert!(refused(em().clean(broken, 0.2)).starts_with("clean signals x: row 1 holds NaN or infinity"));
    let said = refused(em().method(Ambient::default()).clean(pairs(20, 1), 0.2));
    assert!(said.starts_with("method.kind"), "{said}");
}
