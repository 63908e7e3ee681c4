//! Training with factors in another format. flex stands for a device that multiplies in it.

use super::GPU;
use burn::tensor::{Device, DeviceKind, DeviceType};
use diffem::channel::{ChannelConfig, MaskConfig, NoiseConfig};
use diffem::em::{EStepConfig, MStep, MStepConfig};
use diffem::image::ImageShape;
use diffem::network::{MatmulPrecision, UnetConfig, flatten, to_host};
use diffem::optim::OptimState;
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::{Em, Observations, Samples};

const SHAPE: ImageShape = ImageShape { channels: 1, height: 8, width: 8 };

/// The losses of some steps, and draws.
fn run(precision: MatmulPrecision, device: &Device) -> (Vec<f32>, Vec<f32>) {
    let x = Samples::new((0..32 * SHAPE.len()).map(|i| (i as f32 * 0.3).sin()).collect(), SHAPE.len());
    let stages = ChannelConfig::from([NoiseConfig { std: 0.05.into() }.into(), MaskConfig { rate: 0.5 }.into()]);
    let channel = stages.build_image(SHAPE).unwrap();
    let observations = Observations::observe(&channel, &x, 0);
    let network = UnetConfig {
        channels: vec![8, 8],
        blocks: vec![1, 1],
        heads: vec![0, 2],
        embedding: 8,
        patch: 1,
        precision,
        ..Default::default()
    };
    let config = MStepConfig { steps: 4, batch: 32, micro_batch: 32, ..Default::default() };
    let sampler = DdpmConfig { steps: 4, spacing: Spacing::Geometric }.into();
    let trainer = Em::new(channel, observations.clone())
        .image(SHAPE)
        .network(network)
        .m_step(config.clone())
        .e_step(EStepConfig { sampler, shard: 8 })
        .trainer(device)
        .unwrap();
    let model = trainer.model();
    let standardizer = model.conditioning.standardizer(model.channel.as_ref(), &x);
    let mut state = OptimState::new(flatten(trainer.network()));
    let posterior = trainer.posterior_in(&state.weights, standardizer.clone());
    let mut m_step = MStep::new(&posterior, (&x, &observations), &config, 0, 1);
    let losses = (0..4).flat_map(|i| to_host(&m_step.step(&mut state, i)).unwrap()).collect();
    let trained = trainer.posterior_in(&state.weights, standardizer);
    (losses, trained.sample_of(&observations, &[0, 1, 2, 3], 1, 0).unwrap().as_slice().to_vec())
}

/// Root mean square of the differences, in units of that of `b`.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let square = |sum: f64, v: f32| sum + f64::from(v).powi(2);
    let (off, all) = (a.iter().zip(b).map(|(a, b)| a - b).fold(0.0, square), b.iter().copied().fold(0.0, square));
    (off / all).sqrt()
}

#[test]
fn a_run_in_bf16_is_the_run_in_single_precision_rounded() {
    let device = Device::flex();
    assert_eq!(MatmulPrecision::Bf16.on(&device), MatmulPrecision::Bf16);
    let (single, rounded) = (run(MatmulPrecision::F32, &device), run(MatmulPrecision::Bf16, &device));
    let off = [apart(&rounded.0, &single.0), apart(&rounded.1, &single.1)];
    println!("bf16 on flex: losses {:.1e} and draws {:.1e} from those of single precision", off[0], off[1]);
    assert!(off.iter().all(|off| (1e-5..2e-2).contains(off)), "{off:?}");
}

#[test]
fn a_device_that_does_not_multiply_in_a_format_computes_in_single_precision() {
    let _alone = GPU.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let device = Device::ndarray();
    assert_eq!(MatmulPrecision::Bf16.on(&device), MatmulPrecision::F32);
    assert_eq!(run(MatmulPrecision::Bf16, &device), run(MatmulPrecision::F32, &device));
    if !Device::enumerate(DeviceType::Wgpu).into_vec().is_empty() {
        let found = MatmulPrecision::Bf16.on(&Device::wgpu(DeviceKind::DefaultDevice));
        println!("bf16 on wgpu: computed in {found:?}");
    }
}
