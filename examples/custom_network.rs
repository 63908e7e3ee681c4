//! A network of your own: one hidden layer receives the noisy signal, the noise level and the observation.
//!
//! ```sh
//! cargo run --release --example custom_network
//! ```

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation::silu};
use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::network::{Network, NetworkShape, NetworkSpec};
use diffem::noise::{Key, Purpose};
use diffem::{Em, Observations, Result, Samples, em::MStepConfig, schedule::Schedule};

#[derive(Clone)]
struct Tiny(usize);

#[derive(Module, Debug)]
#[rustfmt::skip]
struct TinyNetwork { hidden: Linear, output: Linear }

#[rustfmt::skip]
impl Network for TinyNetwork {
    fn embedding_len(&self) -> usize { 8 }

    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.output.forward(silu(self.hidden.forward(Tensor::cat(vec![x, embedding, condition], 1))))
    }
}

impl NetworkSpec for Tiny {
    type Network = TinyNetwork;

    fn build(&self, shape: &NetworkShape, seed: u64, device: &Device) -> Result<TinyNetwork> {
        let linear = |layer, inputs: usize, outputs: usize| {
            let mut stream = Key::new(seed, Purpose::Weights, 0).stream(layer, 0);
            let weight: Vec<f32> = (0..inputs * outputs).map(|_| stream.normal() / (inputs as f32).sqrt()).collect();
            Linear { weight: Param::from_data(TensorData::new(weight, [inputs, outputs]), device), bias: None }
        };
        let inputs = shape.signal + 8 + shape.features;
        Ok(TinyNetwork { hidden: linear(0, inputs, self.0), output: linear(1, self.0, shape.signal) })
    }
}

pub fn main() -> Result<()> {
    let circle = Samples::new((0..1024).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect(), 2);
    let channel =
        ChannelConfig::from([ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.05.into() }.into()]).build(2)?;
    let seen = Observations::observe(&channel, &circle, 0);
    let m_step = MStepConfig { steps: 600, batch: 256, ema: 0.99, ..Default::default() };
    let schedule = Schedule { sigma_min: 0.02, sigma_max: 5.0, ..Default::default() };
    let em = Em::new(channel, seen).network(Tiny(128)).schedule(schedule).m_step(m_step).laps(8);
    let mut run = em.build(&Device::flex())?;
    let distance = |x: &Samples| x.rows().map(|p| (p[0].hypot(p[1]) - 1.0).abs()).sum::<f32>() / x.n() as f32;
    let start = distance(run.reconstructions());
    run.run(|_| ())?;
    println!("mean distance from the circle: {start:.3} at the start, {:.3} now", distance(run.reconstructions()));
    Ok(())
}
