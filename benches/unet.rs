//! Times a U-Net's training step and forward pass on images and prints one JSON object:
//! `cargo bench --workspace --bench unet -- --threads 1`. `benches/peers/unet_torch.py` does the same work in
//! PyTorch.

mod timing;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use diffem::image::ImageShape;
use diffem::network::{Layout, Network, Unet, UnetConfig, flatten, flatten_gradients, unflatten};
use diffem::noise::{Key, Purpose};
use rayon::prelude::*;
use timing::{median, use_threads};

const BATCH: usize = 16;

fn normal(n: usize, d: usize, index: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0; n * d];
    Key::new(1, Purpose::Truth, 0).stream(index, 0).fill_normal(&mut values);
    Tensor::from_data(TensorData::new(values, [n, d]), device)
}

/// One piece of a batch: `[BATCH / pieces]` images.
struct Piece {
    x: Tensor<2>,
    embedding: Tensor<2>,
    condition: Tensor<2>,
}

fn pieces(count: usize, shape: ImageShape, embedding: usize, device: &Device) -> Vec<Piece> {
    let n = BATCH / count;
    (0..count)
        .map(|i| Piece {
            x: normal(n, shape.len(), 3 * i, device),
            embedding: normal(n, embedding, 3 * i + 1, device),
            condition: normal(n, shape.len(), 3 * i + 2, device),
        })
        .collect()
}

/// Computes the loss gradient of every piece, one thread per piece, as the M-step does.
fn train(network: &Unet, weights: &Tensor<1>, pieces: &[Piece]) -> Vec<Tensor<1>> {
    let plain = unflatten(network.clone(), weights);
    pieces
        .par_iter()
        .map(|p| {
            let network = plain.clone().train();
            let [x, e, c] = [&p.x, &p.embedding, &p.condition].map(|t| Tensor::from_inner(t.clone()));
            let loss = network.forward(x, e, c).square().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            flatten_gradients(&network, gradients)
        })
        .collect()
}

fn main() {
    let threads = use_threads();
    let device = Device::flex();
    let config = UnetConfig {
        channels: vec![32, 64, 128],
        blocks: vec![2, 2, 2],
        heads: vec![0, 0, 1],
        patch: 1,
        ..Default::default()
    };
    for side in [32, 16] {
        let shape = ImageShape { channels: 3, height: side, width: side };
        let network = config.init(shape, shape.len(), 1, &device).expect("valid sizes");
        let weights = flatten(&network);
        let pieces = pieces(4, shape, config.embedding, &device);
        let forward = || {
            let _: Vec<Tensor<2>> = pieces
                .par_iter()
                .map(|p| network.forward(p.x.clone(), p.embedding.clone(), p.condition.clone()))
                .collect();
        };
        let report = serde_json::json!({
            "peer": "diffem-flex",
            "threads": threads,
            "side": side,
            "batch": BATCH,
            "parameters": Layout::of(&network).len(),
            "unet_train_ms": median(3, 15, || { train(&network, &weights, &pieces); }),
            "unet_forward_ms": median(3, 25, forward),
        });
        println!("{report}");
    }
}
