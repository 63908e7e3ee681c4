//! Training steps that are computed in different ways.

use diffem::channel::{ChannelConfig, MaskConfig, NoiseConfig};
use diffem::em::{EStepConfig, MStep, MStepConfig};
use diffem::image::ImageShape;
use diffem::network::{MlpConfig, NetworkConfig, UnetConfig, flatten, to_host};
use diffem::optim::OptimState;
use diffem::{Em, Observations, Samples};

use burn::tensor::Device;

/// Images that every level has to pad.
const SHAPE: ImageShape = ImageShape { channels: 2, height: 7, width: 9 };

fn em(network: NetworkConfig, m_step: MStepConfig) -> (Em, Samples) {
    let x = Samples::new((0..12 * SHAPE.len()).map(|i| (i as f32 * 0.7).sin()).collect(), SHAPE.len());
    let stages = ChannelConfig::from([NoiseConfig { std: 0.05.into() }.into(), MaskConfig { rate: 0.5 }.into()]);
    let channel = stages.build_image(SHAPE).unwrap();
    let observations = Observations::observe(&channel, &x, 0);
    let e_step = EStepConfig { shard: 4, ..Default::default() };
    (Em::new(channel, observations).image(SHAPE).network(network).m_step(m_step).e_step(e_step), x)
}

fn unet() -> NetworkConfig {
    NetworkConfig::Unet(UnetConfig {
        channels: vec![6, 8, 4],
        blocks: vec![1, 2, 1],
        heads: vec![0, 2, 1],
        embedding: 8,
        patch: 1,
        dropout: 0.2,
        ..Default::default()
    })
}

/// Weights after three steps, and the losses.
fn trained(gradient_checkpointing: bool) -> (Vec<f32>, Vec<f32>) {
    let config = MStepConfig { steps: 3, batch: 10, micro_batch: 4, gradient_checkpointing, ..Default::default() };
    let (em, x) = em(unet(), config.clone());
    let trainer = em.trainer(&Device::flex()).unwrap();
    let model = trainer.model();
    let standardizer = model.conditioning.standardizer(model.channel.as_ref(), &x);
    let mut state = OptimState::new(flatten(trainer.network()));
    let posterior = trainer.posterior_in(&state.weights, standardizer);
    let observations = Observations::observe(model.channel.as_ref(), &x, 0);
    let mut m_step = MStep::new(&posterior, (&x, &observations), &config, 0, 1);
    let losses = (0..3).flat_map(|i| to_host(&m_step.step(&mut state, i)).unwrap()).collect();
    (to_host(&state.weights).unwrap(), losses)
}

/// Layers, skip connections, dropout and padding are those of the pass that keeps everything. The bits are not: outside
/// autodiff, burn computes a softmax in another order.
#[test]
fn gradients_of_parts_that_are_computed_again_are_those_of_the_whole() {
    let ((kept, losses), (again, same_losses)) = (trained(false), trained(true));
    assert!(losses.iter().all(|loss| *loss > 0.0) && losses[0] != losses[2]);
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // A step of Adam moves a weight by a thousandth, whatever the size of its gradient.
    assert!(apart(&kept, &again) < 5e-6 && apart(&losses, &same_losses) < 1e-6, "{}", apart(&kept, &again));
}

#[test]
fn a_network_without_parts_is_refused() {
    let network = NetworkConfig::Mlp(MlpConfig { width: 8, depth: 2, embedding: 8 });
    let config = MStepConfig { gradient_checkpointing: true, ..Default::default() };
    let error = em(network, config).0.trainer(&Device::flex()).err().expect("an error").to_string();
    assert!(error.contains("m_step.gradient_checkpointing") && error.contains("unet"), "{error}");
}
