//! The pieces of work that the browser takes add up to the core's run, bit for bit.

use burn::tensor::Device;
use diffem::channel::{Channel, ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::checkpoint::Precision;
use diffem::conditioning::Standardizer;
use diffem::conditioning::{ConditioningConfig, feature_len};
use diffem::em::*;
use diffem::network::{Layout, MlpConfig, NetworkConfig, flatten, to_host};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Examples, Posterior, Recipe, encode, open};
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{InMemory, Observations, Samples};
use diffem_web::{Lab, LabConfig, ObserveOptions, Phase, SampleOptions, Sampling, observe};
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The result of a future that never waits, as all are on the CPU.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the CPU made us wait"),
    }
}

const CONFIG: &str = r#"{"data": "curve", "observations": 96, "noise": 0.1, "laps": 2, "steps": 30, "batch": 40,
    "width": 16, "depth": 2, "sampler": {"kind": "ddpm", "steps": 5}}"#;

fn lab() -> Lab {
    let config: LabConfig = serde_json::from_str(CONFIG).unwrap();
    Lab::new(&config, 7, Device::flex()).unwrap()
}

/// Reconstructions of the core's own laps with the lab's settings.
fn reconstructions(lab: &Lab) -> Samples {
    let settings = serde_json::to_value(lab.settings()).unwrap();
    let read = |name: &str| settings[name].clone();
    let channel = serde_json::from_value::<ChannelConfig>(read("channel")).unwrap().build(2).unwrap();
    let conditioning: ConditioningConfig = serde_json::from_value(read("conditioning")).unwrap();
    let network: NetworkConfig = serde_json::from_value(read("network")).unwrap();
    let device = Device::flex();
    let network = network.init(2, None, feature_len(&channel, &conditioning), 7, &device).unwrap();
    let schedule: Schedule = serde_json::from_value(read("schedule")).unwrap();
    let (x, _) = gaussian_init(&channel, lab.observations(), 1.0, 16, 7).unwrap();
    let run = Em {
        network: &network,
        schedule: &schedule,
        channel: &channel,
        image: None,
        conditioning: &conditioning,
        observations: lab.observations(),
        em: &serde_json::from_value(read("em")).unwrap(),
        m_step: &serde_json::from_value(read("m_step")).unwrap(),
        e_step: &serde_json::from_value(read("e_step")).unwrap(),
        monitor: &serde_json::from_value(read("monitor")).unwrap(),
        seed: 7,
        device: &device,
        tables: &InMemory,
    };
    let mut state = run.begin(x, flatten(&network), None).unwrap();
    run.run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
    state.x
}

#[test]
fn a_lab_s_laps_are_the_core_s() {
    let mut lab = lab();
    assert!(lab.cloud().unwrap_err().to_string().contains("take the first step()"));
    let mut phases = Vec::new();
    loop {
        let progress = lab.step().unwrap();
        if progress.phase == Phase::Done {
            break;
        }
        assert!(progress.fraction > 0.0 && progress.fraction <= 1.0);
        assert_eq!(progress.divergence.is_some(), progress.fraction == 1.0 && progress.phase != Phase::MStep);
        phases.push(progress.phase);
    }
    let count = |phase| phases.iter().filter(|p| **p == phase).count();
    // Losses are read every 25 steps; five sampler steps and the last call.
    assert_eq!((count(Phase::Start), count(Phase::MStep), count(Phase::EStep)), (1, 4, 12));
    assert_eq!(*lab.cloud().unwrap(), reconstructions(&lab));
}

fn posterior() -> Posterior {
    let recipe = Recipe {
        name: "test".into(),
        lap: 1,
        signal: 3,
        image: None,
        channel: ChannelConfig(vec![ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.1 }.into()]),
        schedule: Schedule::default(),
        conditioning: ConditioningConfig::default(),
        network: NetworkConfig::Mlp(MlpConfig { width: 16, depth: 1, embedding: 8 }),
        sampler: DdpmConfig { steps: 6, spacing: Spacing::Geometric }.into(),
    };
    let channel = recipe.channel.build(3).unwrap();
    let device = Device::flex();
    let network = recipe.network.init(3, None, feature_len(&channel, &recipe.conditioning), 1, &device).unwrap();
    let x = Samples::new(vec![0.5, -1.0, 1.5, 0.1, 0.2, 0.3], 3);
    let observations = Observations::simulate(&channel, &x, Key::new(0, Purpose::Observe, 0), 0);
    let examples = Examples { observations, x: Some(x) };
    let standardizer = Standardizer::new(vec![0.1, 0.0, -0.2], vec![1.5, 1.0, 0.5]).unwrap();
    let weights = to_host(&flatten(&network)).unwrap();
    let bytes = encode(&recipe, &standardizer, (&Layout::of(&network), &weights), &examples, Precision::F32).unwrap();
    open(&bytes, &device).unwrap()
}

#[test]
fn draws_are_those_of_the_e_step_with_a_key_for_each() {
    let posterior = Rc::new(posterior());
    let seen = &posterior.examples.observations;
    // As `diffem sample` takes them: draw after draw, all observations at once.
    let expected: Vec<Samples> = (0..3)
        .map(|draw| {
            posterior.e_step(seen, &posterior.recipe.sampler, Key::new(9, Purpose::Draw, draw)).all(64).unwrap()
        })
        .collect();
    for i in 0..seen.n() {
        let options = SampleOptions { draws: 3, seed: 9, index: i, ..Default::default() };
        let (y, a) = (seen.y.row(i).to_vec(), seen.operator(i).to_vec());
        let mut sampling = Sampling::new(posterior.clone(), y, a, &options).unwrap();
        assert!(ready(sampling.state()).unwrap().is_none());
        let mut steps = 0;
        while let Some(info) = sampling.advance() {
            steps += 1;
            assert_eq!((info.step, info.steps), (steps, 6));
            let (x, mean) = ready(sampling.state()).unwrap().unwrap();
            assert_eq!((x.n(), mean.n(), x.d()), (3, 3, 3));
        }
        let x = ready(sampling.finish()).unwrap();
        for (draw, expected) in expected.iter().enumerate() {
            assert_eq!(x.row(draw), expected.row(i), "observation {i}, draw {draw}");
        }
    }
}

#[test]
fn observing_is_simulating_and_a_fixed_operator_keeps_the_noise() {
    let posterior = posterior();
    let x = vec![0.3, 0.6, -0.9];
    let options = ObserveOptions { seed: 4, channel: None };
    let seen = observe(&posterior, x.clone(), None, &options).unwrap();
    let signals = Samples::new(x.clone(), 3);
    assert_eq!(seen, Observations::simulate(&posterior.channel, &signals, Key::new(4, Purpose::Observe, 0), 0));
    let again = observe(&posterior, x.clone(), Some(seen.operator(0).to_vec()), &options).unwrap();
    assert_eq!(again, seen);
    let axis = observe(&posterior, x.clone(), Some(vec![1.0, 0.0, 0.0]), &options).unwrap();
    let mut mean = [0.0];
    posterior.channel.as_linear().unwrap().apply(seen.operator(0), &x, &mut mean);
    let noise = |y: f32, mean: f32| y - mean;
    assert!((noise(axis.y.row(0)[0], 0.3) - noise(seen.y.row(0)[0], mean[0])).abs() < 1e-6);
}

#[test]
fn wrong_arrays_are_named() {
    let posterior = Rc::new(posterior());
    let message = |y: Vec<f32>, a: Vec<f32>| {
        Sampling::new(posterior.clone(), y, a, &SampleOptions::default()).err().unwrap().to_string()
    };
    assert_eq!(message(vec![], vec![0.0; 3]), "y: expected 1 numbers, found 0");
    assert_eq!(message(vec![1.0], vec![0.0; 2]), "a: expected 3 numbers, found 2");
    assert_eq!(message(vec![1.0], vec![0.0, f32::NAN, 0.0]), "a[1]: expected a finite number, found NaN");
}
