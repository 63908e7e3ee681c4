//! What a training step and a network call of the sampler ask of a device, at the depth of `cifar10-mask75`: counted on any
//! wgpu adapter, a software one included, since the counts do not depend on the widths.

use burn::tensor::{Device, DeviceKind, DeviceType};
use diffem::channel::{ChannelConfig, NoiseConfig, PixelMaskConfig};
use diffem::conditioning::{ConditioningConfig, Features, Standardize};
use diffem::em::{EStepConfig, MStep, MStepConfig};
use diffem::image::ImageShape;
use diffem::network::{UnetConfig, flatten};
use diffem::optim::OptimState;
use diffem::posterior::Row;
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::transfer::{Traffic, counted};
use diffem::{Em, Observations, Samples};

const SHAPE: ImageShape = ImageShape { channels: 3, height: 8, width: 8 };

/// The preset's blocks, attention and dropout, with narrow layers.
fn network() -> UnetConfig {
    UnetConfig {
        channels: vec![4, 8, 8],
        blocks: vec![5, 5, 5],
        heads: vec![0, 4, 0],
        embedding: 8,
        patch: 1,
        dropout: 0.1,
    }
}

fn show(what: &str, traffic: &Traffic) {
    let Traffic { uploads, bytes_up, reads, bytes_down, .. } = traffic;
    println!(
        "{what}: {} launches, {uploads} uploads of {bytes_up} bytes, {reads} reads of {bytes_down} bytes",
        traffic.launches()
    );
    let mut kernels: Vec<_> = traffic.kernels.iter().collect();
    kernels.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in kernels.iter().take(12) {
        println!(
            "  {count:6} {}",
            name.split(['<', '>']).next().and_then(|name| name.rsplit("::").next()).unwrap_or(name)
        );
    }
}

#[test]
fn a_step_asks_little_of_a_device() {
    if Device::enumerate(DeviceType::Wgpu).into_vec().is_empty() {
        return println!("wgpu: SKIPPED, no device on this machine");
    }
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let stages = [NoiseConfig { std: 1e-3.into() }.into(), PixelMaskConfig { rate: 0.75, max_rate: None }.into()];
    let channel = ChannelConfig::from(stages).build_image(SHAPE).unwrap();
    let x = Samples::new((0..16 * SHAPE.len()).map(|i| (i as f32 * 0.37).sin()).collect(), SHAPE.len());
    let observations = Observations::observe(&channel, &x, 0);
    let conditioning = ConditioningConfig {
        features: Features::Observation,
        standardize: Standardize::None,
        measurement_update: false,
        ..Default::default()
    };
    let trainer = Em::new(channel, observations.clone())
        .image(SHAPE)
        .network(network())
        .conditioning(conditioning)
        .e_step(EStepConfig { sampler: DdpmConfig { steps: 2, spacing: Spacing::Geometric }.into(), shard: 1 })
        .trainer(&device)
        .unwrap();
    let standardizer = trainer.model().conditioning.standardizer(trainer.model().channel.as_ref(), &x);
    let mut state = OptimState::new(flatten(trainer.network()));
    let posterior = trainer.posterior_in(&state.weights, standardizer);
    let config = |pieces: usize| MStepConfig { batch: 2 * pieces, micro_batch: 2, ..Default::default() };
    let mut step = |pieces: usize, i: usize| {
        let config = config(pieces);
        let mut m_step = MStep::new(&posterior, (&x, &observations), &config, 0, 1);
        counted(&device, || _ = m_step.step(&mut state, i)).1
    };
    step(1, 0);
    let [one, two] = [step(1, 1), step(2, 2)];
    show("M-step, one micro-batch", &one);
    show("M-step, two micro-batches", &two);
    let rows: Vec<Row> = (0..8).map(|i| Row::of(0, i, 0)).collect();
    let mut draws = posterior.begin(&observations, rows);
    draws = posterior.advance(draws);
    let (_, call) = counted(&device, || _ = posterior.advance(draws));
    show("network call of the sampler", &call);
    assert_eq!([one.reads, two.reads, call.reads], [0; 3], "a step that reads waits for the device");
    // Five shards of one row are read together.
    let (_, sampled) = counted(&device, || posterior.sample_of(&observations, &[0; 5], 1, 0).unwrap());
    show("five shards of draws", &sampled);
    assert_eq!(sampled.reads, 1);
    assert!(sampled.launches() > 5 * call.launches() && call.launches() > 0, "every shard calls the network");
    let launches = [one.launches(), two.launches() - one.launches(), call.launches()];
    // Few more than were measured: per step with one micro-batch, per further micro-batch, and per network call.
    let bounds = [5_180, 4_840, 1_680];
    assert!(launches.iter().zip(bounds).all(|(found, bound)| *found <= bound), "{launches:?} above {bounds:?}");
    // The rows with their noise and features, the embedding and scalings, one word per block; and noise and embedding.
    let up = [one.bytes_up, call.bytes_up];
    assert!(up[0] <= 8_000 && up[1] <= 6_400, "{up:?} bytes sent");
}
