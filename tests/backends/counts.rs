//! What a training step and a network call of the sampler ask of a device, at the depth of `cifar10-mask75`: counted on any
//! wgpu adapter, a software one included, since the counts do not depend on the widths.

use super::GPU;
use super::memory::{assert_row_fits, reserved};
use burn::tensor::{Device, DeviceKind, DeviceType};
use diffem::channel::{ChannelConfig, NoiseConfig, PixelMaskConfig};
use diffem::conditioning::{ConditioningConfig, Features, Standardize};
use diffem::em::{EStepConfig, MStep, MStepConfig};
use diffem::image::ImageShape;
use diffem::method::Diffem;
use diffem::network::{UnetConfig, flatten};
use diffem::optim::OptimState;
use diffem::posterior::Row;
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::transfer::{Traffic, counted};
use diffem::{Em, Observations, Posterior, Samples};

/// Widths of the preset, and those of these tests.
const WIDTHS: [[usize; 3]; 2] = [[128, 256, 384], [4, 8, 8]];

/// Blocks of each half of a level of the preset.
const BLOCKS: usize = 5;

/// The preset's attention and dropout, with narrow layers.
fn network(blocks: usize, embedding: usize) -> UnetConfig {
    UnetConfig {
        channels: WIDTHS[1].to_vec(),
        blocks: vec![blocks; 3],
        heads: vec![0, 4, 0],
        embedding,
        patch: 1,
        dropout: 0.1,
        ..Default::default()
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

/// The preset's problem with images of another size.
struct Problem {
    device: Device,
    x: Samples,
    observations: Observations,
    posterior: Posterior<UnetConfig>,
    state: OptimState,
}

impl Problem {
    /// `None` on a machine without an adapter.
    fn new(side: usize, network: UnetConfig) -> Option<Self> {
        if Device::enumerate(DeviceType::Wgpu).into_vec().is_empty() {
            println!("wgpu: SKIPPED, no device on this machine");
            return None;
        }
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        let shape = ImageShape { channels: 3, height: side, width: side };
        let stages = [NoiseConfig { std: 1e-3.into() }.into(), PixelMaskConfig { rate: 0.75, max_rate: None }.into()];
        let channel = ChannelConfig::from(stages).build_image(shape).unwrap();
        let x = Samples::new((0..16 * shape.len()).map(|i| (i as f32 * 0.37).sin()).collect(), shape.len());
        let observations = Observations::observe(&channel, &x, 0);
        let conditioning = ConditioningConfig {
            features: Features::Observation,
            standardize: Standardize::None,
            measurement_update: false,
            ..Default::default()
        };
        let trainer = Em::new(channel, observations.clone())
            .image(shape)
            .network(network)
            .method(Diffem { imputed_weight: 1.0, ..Default::default() })
            .conditioning(conditioning)
            .e_step(EStepConfig { sampler: DdpmConfig { steps: 2, spacing: Spacing::Geometric }.into(), shard: 1 })
            .trainer(&device)
            .unwrap();
        let standardizer = trainer.model().conditioning.standardizer(trainer.model().channel.as_ref(), &x);
        let state = OptimState::new(flatten(trainer.network()));
        let posterior = trainer.posterior_in(&state.weights, standardizer);
        Some(Self { device, x, observations, posterior, state })
    }

    /// What step `i` of `pieces` micro-batches of `micro_batch` rows asks.
    fn step(&mut self, sizes: [usize; 2], i: usize) -> Traffic {
        self.step_of(sizes, i, false)
    }

    /// [`Problem::step`], with layers that are computed again for their gradients or kept.
    fn step_of(&mut self, [pieces, micro_batch]: [usize; 2], i: usize, gradient_checkpointing: bool) -> Traffic {
        let batch = pieces * micro_batch;
        let config = MStepConfig { batch, micro_batch, gradient_checkpointing, ..Default::default() };
        let mut m_step = MStep::new(&self.posterior, (&self.x, &self.observations), &config, 0, 1);
        counted(&self.device, || _ = m_step.step(&mut self.state, i)).1
    }
}

#[test]
fn a_step_asks_little_of_a_device() {
    let _alone = GPU.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(mut problem) = Problem::new(8, network(BLOCKS, 8)) else { return };
    problem.step([1, 2], 0);
    let [one, two] = [problem.step([1, 2], 1), problem.step([2, 2], 2)];
    show("M-step, one micro-batch", &one);
    show("M-step, two micro-batches", &two);
    let Problem { device, observations, posterior, .. } = &problem;
    let rows: Vec<Row> = (0..8).map(|i| Row::of(0, i, 0)).collect();
    let mut draws = posterior.begin(observations, rows);
    draws = posterior.advance(draws);
    let (_, call) = counted(device, || _ = posterior.advance(draws));
    show("network call of the sampler", &call);
    assert_eq!([one.reads, two.reads, call.reads], [0; 3], "a step that reads waits for the device");
    // Five shards of one row are read together.
    let (_, sampled) = counted(device, || posterior.sample_of(observations, &[0; 5], 1, 0).unwrap());
    show("five shards of draws", &sampled);
    assert_eq!(sampled.reads, 1);
    assert!(sampled.launches() > 5 * call.launches() && call.launches() > 0, "every shard calls the network");
    let launches = [one.launches(), two.launches() - one.launches(), call.launches()];
    // Few more than were measured: per step with one micro-batch, per further micro-batch, and per network call.
    let bounds = [3_280, 2_990, 765];
    assert!(launches.iter().zip(bounds).all(|(found, bound)| *found <= bound), "{launches:?} above {bounds:?}");
    // The noise and the embedding.
    assert!(call.bytes_up <= 6_400, "{} bytes sent", call.bytes_up);
}

/// Steps of images of the preset's size by a network of fewer blocks, from which the bytes of its 256 rows in micro-batches of
/// 16 follow, and what a row reserves.
#[test]
fn a_step_sends_few_bytes_and_reserves_what_sizes_are_chosen_by() {
    let _alone = GPU.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(mut problem) = Problem::new(32, network(1, 256)) else { return };
    let [(few, less), (many, more), (two, _)] = [[1, 4], [1, 16], [2, 4]].map(|sizes| {
        let sent = problem.step(sizes, 1).bytes_up as f64;
        (sent, reserved(&problem.device))
    });
    assert_row_fits(&problem.posterior, (more - less) / 12.0);
    let word = size_of::<i32>() as f64;
    let per_row = (many - few) / 12.0;
    let per_piece = two - few - 4.0 * per_row;
    let per_step = few - per_piece - 4.0 * per_row;
    // Dropout has a word per block and row, and a number per channel and micro-batch.
    let per_row = per_row + word * (6 * (BLOCKS - 1)) as f64;
    let [wide, narrow] = WIDTHS.map(|widths| widths.iter().sum::<usize>());
    let per_piece = per_piece + word * (wide - narrow) as f64;
    let total = per_step + 16.0 * per_piece + 256.0 * per_row;
    println!("bytes sent: {per_row:.0} per row, {per_piece:.0} per micro-batch, {total:.0} per step of cifar10-mask75");
    assert!(total <= 8e6, "{total}");
}

/// Layers that are computed again are a fraction of what is kept, for a third more kernels.
#[test]
fn layers_that_are_computed_again_take_less_memory() {
    let _alone = GPU.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(mut problem) = Problem::new(32, network(2, 8)) else { return };
    let [again, kept] = [true, false].map(|again| {
        let [(_, few), (step, many)] = [2, 8].map(|rows| {
            problem.device.memory_cleanup();
            let step = problem.step_of([1, rows], 1, again);
            (step.launches(), reserved(&problem.device))
        });
        (step as f64, (many - few) / 6.0)
    });
    println!(
        "computed again: {:.0} bytes per row instead of {:.0}, {:.0} launches instead of {:.0}",
        again.1, kept.1, again.0, kept.0
    );
    assert!(again.1 < 0.5 * kept.1 && again.0 < 1.6 * kept.0);
}
