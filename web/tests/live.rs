//! The units of work in the browser add up to a run of the core, bit for bit.

use burn::tensor::Device;
use diffem::channel::{Channel, ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::conditioning::{ConditioningConfig, Standardizer};
use diffem::method::Method;
use diffem::network::{MlpConfig, NetworkConfig};
use diffem::noise::{Key, Purpose};
use diffem::posterior::Model;
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Em, Observations, Posterior, Samples};
use diffem_web::{
    LiveConfig, LiveProgress, LiveScorer, LiveTraining, ObserveOptions, Phase, SampleOptions, Sampling, observe,
};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Result of a future that never waits, because on the CPU none does.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a future on the CPU is pending"),
    }
}

const CONFIG: &str = r#"{"data": "curve", "observations": 96, "noise": 0.1, "laps": 2, "steps": 30, "batch": 40,
    "width": 16, "depth": 2, "sampler": {"kind": "ddpm", "steps": 5}}"#;

fn training() -> LiveTraining {
    training_with("")
}

/// A live run with further settings.
fn training_with(settings: &str) -> LiveTraining {
    let config: LiveConfig = serde_json::from_str(&CONFIG.replacen('{', &format!("{{{settings}"), 1)).unwrap();
    LiveTraining::new(&config, 7, Device::flex()).unwrap()
}

/// Reconstructions of the core's own laps with the settings of the live run.
fn reconstructions(training: &LiveTraining) -> Samples {
    let settings = serde_json::to_value(training.settings()).unwrap();
    let read = |name: &str| settings[name].clone();
    let channel = serde_json::from_value::<ChannelConfig>(read("channel")).unwrap().build(2).unwrap();
    let conditioning: ConditioningConfig = serde_json::from_value(read("conditioning")).unwrap();
    let network: NetworkConfig = serde_json::from_value(read("network")).unwrap();
    let mut run = Em::new(channel, training.observations().clone())
        .network(network)
        .schedule(serde_json::from_value(read("schedule")).unwrap())
        .conditioning(conditioning)
        .method(serde_json::from_value::<Method>(read("method")).unwrap())
        .init(serde_json::from_value(read("init")).unwrap())
        .em(serde_json::from_value(read("em")).unwrap())
        .m_step(serde_json::from_value(read("m_step")).unwrap())
        .e_step(serde_json::from_value(read("e_step")).unwrap())
        .monitor(serde_json::from_value(read("monitor")).unwrap())
        .seed(7)
        .build(&Device::flex())
        .unwrap();
    run.run(|_| ()).unwrap();
    run.reconstructions().clone()
}

/// Whether a piece of work ended a lap, or the start.
fn ends(progress: &LiveProgress) -> bool {
    progress.fraction == 1.0 && matches!(progress.phase, Phase::Start | Phase::EStep)
}

#[test]
fn live_laps_are_those_of_the_core() {
    let mut training = training();
    assert!(training.cloud().unwrap_err().to_string().contains("take the first step()"));
    let mut phases = Vec::new();
    loop {
        let progress = ready(training.step()).unwrap();
        if progress.phase == Phase::Done {
            break;
        }
        assert!(progress.fraction > 0.0 && progress.fraction <= 1.0);
        phases.push(progress.phase);
    }
    let count = |phase| phases.iter().filter(|p| **p == phase).count();
    // The loss is read every 25 steps, and an E-step has five sampler steps and the last call in each of the
    // two laps.
    assert_eq!((count(Phase::Start), count(Phase::MStep), count(Phase::EStep)), (1, 4, 12));
    assert_eq!(*training.cloud().unwrap(), reconstructions(&training));
}

#[test]
fn the_later_learning_rate_holds_after_the_third_lap() {
    let laps = |settings: &str| {
        let config = CONFIG.replace("\"laps\": 2", "\"laps\": 4").replacen('{', &format!("{{{settings}"), 1);
        let mut training =
            LiveTraining::new(&serde_json::from_str::<LiveConfig>(&config).unwrap(), 7, Device::flex()).unwrap();
        let mut clouds = Vec::new();
        while clouds.len() < 5 {
            if ends(&ready(training.step()).unwrap()) {
                clouds.push(training.cloud().unwrap().clone());
            }
        }
        clouds
    };
    let (plain, later) = (laps(""), laps(r#""laterLearningRate": 0.02, "#));
    assert_eq!(plain[..4], later[..4]);
    assert_ne!(plain[4], later[4]);
}

#[test]
fn drawn_signals_are_observed_and_learned() {
    let drawn = r#"{"drawn": {"strokes": [[[-1, 0.5], [1, 0.5]]], "width": 0}}"#;
    let config = CONFIG.replace("\"curve\"", drawn);
    let mut training = LiveTraining::new(&serde_json::from_str(&config).unwrap(), 7, Device::flex()).unwrap();
    assert!((0..training.truth().n()).all(|i| training.truth().row(i)[1] == 0.5));
    ready(training.step()).unwrap();
    assert_eq!((training.d(), training.observations().n(), training.cloud().unwrap().n()), (2, 96, 96));
    let outside = CONFIG.replace("\"curve\"", &drawn.replace("-1, 0.5", "-3, 0.5"));
    let error = LiveTraining::new(&serde_json::from_str(&outside).unwrap(), 7, Device::flex()).err().unwrap();
    assert_eq!(error.to_string(), "data.strokes: expected coordinates in [-2, 2], found -3");
}

/// With a factor this large, some E-steps are not kept and are taken again.
#[test]
fn over_relaxed_live_laps_are_those_of_the_core() {
    let mut training = training_with(r#""relaxation": 4, "imputedWeight": 0.05, "learningRate": 0.05, "#);
    let (mut ended, mut begun) = (0, 0);
    loop {
        let progress = ready(training.step()).unwrap();
        if progress.phase == Phase::Done {
            break;
        }
        ended += usize::from(ends(&progress));
        begun += usize::from(progress.phase == Phase::EStep && progress.fraction == 0.0);
    }
    assert_eq!((ended, begun), (3, 1));
    assert_eq!(*training.cloud().unwrap(), reconstructions(&training));
}

#[test]
fn reconstructions_are_scored_apart_from_the_run() {
    let mut training = training();
    let config: LiveConfig = serde_json::from_str(CONFIG).unwrap();
    let scorer = LiveScorer::new(&config, 7).unwrap();
    let truth = training.truth();
    let own = scorer.score(truth.slice(0..96).as_slice().to_vec()).unwrap();
    assert!(own.divergence < own.floor, "{own:?}");
    ready(training.step()).unwrap();
    let start = scorer.score(training.cloud().unwrap().as_slice().to_vec()).unwrap();
    assert!(start.divergence > 10.0 * start.floor && start.floor == own.floor, "{start:?}");
    let error = |values| scorer.score(vec![0.0; values]).unwrap_err().to_string();
    assert_eq!(error(190), "cloud: expected a multiple of 2 numbers, at least 192, found 190");
    assert!(error(193).ends_with("found 193"));
}

fn posterior() -> (Posterior, Observations) {
    let stages = ChannelConfig(vec![ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.1.into() }.into()]);
    let channel = stages.build(3).unwrap();
    let x = Samples::new(vec![0.5, -1.0, 1.5, 0.1, 0.2, 0.3], 3);
    let observations = Observations::simulate(&channel, &x, Key::new(0, Purpose::Observe, 0), 0);
    let model = Model {
        channel: Arc::new(channel),
        image: None,
        schedule: Schedule::default(),
        conditioning: ConditioningConfig::default(),
        method: Method::default(),
        network: NetworkConfig::Mlp(MlpConfig { width: 16, depth: 1, embedding: 8 }),
        sampler: DdpmConfig { steps: 6, spacing: Spacing::Geometric }.into(),
        shard: 64,
    };
    let network = model.build_network(1, &Device::flex()).unwrap();
    let standardizer = Standardizer::new(vec![0.1, 0.0, -0.2], vec![1.5, 1.0, 0.5]).unwrap();
    (Posterior::new(model, network, standardizer, Device::flex()), observations)
}

#[test]
fn draws_are_those_of_the_e_step_with_a_key_for_each() {
    let (posterior, seen) = posterior();
    // Draw k has the same noise whether it is made alone, as here, or among others, as by `diffem sample`.
    let expected = posterior.sample_seeded(&seen, 3, 9).unwrap();
    for i in 0..seen.n() {
        let options = SampleOptions { draws: 3, seed: 9, index: i, ..Default::default() };
        let (y, a) = (seen.y.row(i).to_vec(), seen.operator(i).to_vec());
        let mut sampling = Sampling::new(&posterior, y, a, &options).unwrap();
        assert!(ready(sampling.state()).unwrap().is_none());
        let mut steps = 0;
        while let Some(info) = sampling.advance() {
            steps += 1;
            assert_eq!((info.step, info.steps), (steps, 6));
            let (x, mean) = ready(sampling.state()).unwrap().unwrap();
            assert_eq!((x.n(), mean.n(), x.d()), (3, 3, 3));
        }
        let x = ready(sampling.finish()).unwrap();
        for draw in 0..3 {
            assert_eq!(x.row(draw), expected.row(3 * i + draw), "observation {i}, draw {draw}");
        }
        let last = SampleOptions { draws: 1, first: 2, ..options };
        let (y, a) = (seen.y.row(i).to_vec(), seen.operator(i).to_vec());
        let alone = ready(Sampling::new(&posterior, y, a, &last).unwrap().finish()).unwrap();
        assert_eq!(alone.row(0), x.row(2), "observation {i}, the last draw alone");
    }
}

#[test]
fn observing_is_simulating_and_a_fixed_operator_keeps_the_noise() {
    let (posterior, _) = posterior();
    let channel = posterior.model().channel.clone();
    let x = vec![0.3, 0.6, -0.9];
    let options = ObserveOptions { seed: 4, channel: None };
    let seen = observe(&posterior, x.clone(), None, &options).unwrap();
    let signals = Samples::new(x.clone(), 3);
    assert_eq!(seen, Observations::simulate(&channel, &signals, Key::new(4, Purpose::Observe, 0), 0));
    let again = observe(&posterior, x.clone(), Some(seen.operator(0).to_vec()), &options).unwrap();
    assert_eq!(again, seen);
    let axis = observe(&posterior, x.clone(), Some(vec![1.0, 0.0, 0.0]), &options).unwrap();
    let mut mean = [0.0];
    channel.as_linear().unwrap().apply(seen.operator(0), &x, &mut mean);
    let noise = |y: f32, mean: f32| y - mean;
    assert!((noise(axis.y.row(0)[0], 0.3) - noise(seen.y.row(0)[0], mean[0])).abs() < 1e-6);
}

#[test]
fn wrong_arrays_are_named() {
    let (posterior, _) = posterior();
    let message = |y: Vec<f32>, a: Vec<f32>| {
        Sampling::new(&posterior, y, a, &SampleOptions::default()).err().unwrap().to_string()
    };
    assert_eq!(message(vec![], vec![0.0; 3]), "y: expected 1 numbers, found 0");
    assert_eq!(message(vec![1.0], vec![0.0; 2]), "a: expected 3 numbers, found 2");
    assert_eq!(message(vec![1.0], vec![0.0, f32::NAN, 0.0]), "a[1]: expected a finite number, found NaN");
}
