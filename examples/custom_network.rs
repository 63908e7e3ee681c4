//! A network of one's own: a hidden layer that sees the noisy signal, the noise level and the observation.
//!
//! ```sh
//! cargo run --release --example custom_network
//! ```

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation::silu};
use diffem::channel::AdditiveNoise;
use diffem::network::{Network, NetworkShape, NetworkSpec};
use diffem::noise::{Key, Purpose};
use diffem::{Em, Observations, Result, Samples};

/// The settings: one hidden layer of `width` units.
#[derive(Clone)]
struct Tiny {
    width: usize,
}

/// The network.
#[derive(Module, Debug)]
struct TinyNetwork {
    hidden: Linear,
    output: Linear,
}

impl Network for TinyNetwork {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let inputs = Tensor::cat(vec![x, embedding, condition], 1);
        self.output.forward(silu(self.hidden.forward(inputs)))
    }

    fn embedding_len(&self) -> usize {
        16
    }
}

impl NetworkSpec for Tiny {
    type Network = TinyNetwork;

    fn build(&self, shape: &NetworkShape, seed: u64, device: &Device) -> Result<TinyNetwork> {
        let linear = |layer: usize, inputs: usize, outputs: usize| {
            let mut stream = Key::new(seed, Purpose::Weights, 0).stream(layer, 0);
            let weight = (0..inputs * outputs).map(|_| stream.normal() / (inputs as f32).sqrt()).collect();
            Linear {
                weight: Param::from_data(TensorData::new::<f32, _>(weight, [inputs, outputs]), device),
                bias: Some(Param::from_data(TensorData::zeros::<f32, _>([outputs]), device)),
            }
        };
        let inputs = shape.signal + 16 + shape.features;
        Ok(TinyNetwork { hidden: linear(0, inputs, self.width), output: linear(1, self.width, shape.signal) })
    }
}

fn main() -> Result<()> {
    let channel = AdditiveNoise::new(2, 0.5)?;
    let circle = Samples::new((0..1024).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect(), 2);
    let observations = Observations::simulate(&channel, &circle, Key::new(0, Purpose::Observe, 0), 0);
    let mut run = Em::new(channel, observations).network(Tiny { width: 64 }).laps(4).steps(300).build(&Device::flex())?;
    run.run(|_| ())?;
    let off = |x: &Samples| x.rows().map(|p| (p[0].hypot(p[1]) - 1.0).abs()).sum::<f32>() / x.n() as f32;
    println!("mean distance from the circle: observed {:.3}, reconstructed {:.3}", off(&run.trainer().observations().y), off(run.reconstructions()));
    Ok(())
}
