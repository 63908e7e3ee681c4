//! The figures that `benches/peers/run.py` sets beside PyTorch's, as one JSON object: `cargo bench --bench peer -- --threads 1`.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use diffem::channel::{Channel, ChannelConfig, StageConfig};
use diffem::conditioning::{Conditioning, ConditioningConfig, Features};
use diffem::em::{EStep, MStep, MStepConfig};
use diffem::frame::{Frame, Standardise};
use diffem::network::{Mlp, MlpConfig, Network, flatten, flatten_gradients, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::optim::{OptimState, Update};
use diffem::sampler::{SamplerConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use rayon::prelude::*;
use std::time::Instant;

const SHARD: usize = 256;

/// Median milliseconds of `work` over `repeats` runs after `warm_up`.
fn median(warm_up: usize, repeats: usize, mut work: impl FnMut()) -> f64 {
    (0..warm_up).for_each(|_| work());
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repeats / 2]
}

fn normal(n: usize, d: usize, index: usize) -> Samples {
    let mut x = Samples::zeros(n, d);
    Key::new(1, Purpose::Truth, 0).stream(index, 0).fill_normal(x.as_mut_slice());
    x
}

fn tensor(x: &Samples, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.as_slice().to_vec(), [x.n(), x.d()]), device)
}

/// Forward, mean-square loss, backward and Adam on fixed inputs, cut into shards as the M-step does.
fn train(network: &Mlp, device: &Device) -> f64 {
    let (x, y) = (normal(1024, 17, 0), normal(1024, 5, 1));
    let mut state = OptimState::new(flatten(network));
    median(20, 100, || {
        let network = unflatten(network.clone(), &state.weights);
        let shard = |i: usize| {
            let network = burn::module::Module::train(network.clone());
            let device = device.clone().autodiff();
            let rows = i * SHARD..(i + 1) * SHARD;
            let (x, y) = (tensor(&x.slice(rows.clone()), &device), tensor(&y.slice(rows), &device));
            let (signal, condition) = (x.clone().narrow(1, 0, 5), x.narrow(1, 5, 12));
            let embedding = Tensor::ones([SHARD, 64], &device);
            let loss = (network.forward(signal, embedding, condition) - y).square().sum() / (1024.0 * 5.0);
            flatten_gradients(&network, GradientsParams::from_grads(loss.backward(), &network))
        };
        let gradients = (0..1024 / SHARD).into_par_iter().map(shard).collect();
        state.update(gradients, Update { learning_rate: 1e-3, clip_norm: 0.0, average_decay: 0.0 });
    })
}

/// The M-step's own step: fresh corruption, noise, loss, backward, clipping, Adam.
fn full_step(network: &Mlp, conditioning: Conditioning<'_>, device: &Device) -> f64 {
    let (schedule, x) = (Schedule::default(), normal(16_384, 5, 2));
    let config = MStepConfig { steps: 1000, ema: 0.0, micro_batch: SHARD, ..Default::default() };
    let mut m_step = MStep::new(network, &schedule, conditioning, &x, &config, 1, 1, device);
    let (mut state, mut step) = (OptimState::new(flatten(network)), 0);
    median(20, 100, || {
        m_step.step(&mut state, step);
        step += 1;
    })
}

/// One pass of 4096 rows through the bare network.
fn forward(network: &Mlp, device: &Device) -> f64 {
    let shards: Vec<[Tensor<2>; 3]> =
        (0..4096 / SHARD).map(|i| [5, 64, 12].map(|d| tensor(&normal(SHARD, d, i), device))).collect();
    median(10, 60, || {
        let out: Vec<Tensor<2>> =
            shards.par_iter().map(|[x, e, c]| network.forward(x.clone(), e.clone(), c.clone())).collect();
        std::hint::black_box(out);
    })
}

/// Seconds to draw once from the posteriors of 16 384 observations, and the same for `steps` of ddpm.
fn e_step(network: &Mlp, conditioning: Conditioning<'_>, sampler: &SamplerConfig, device: &Device) -> f64 {
    let observations =
        Observations::simulate(conditioning.channel, &normal(16_384, 5, 3), Key::new(1, Purpose::Observe, 0), 0);
    let schedule = Schedule::default();
    let key = Key::new(1, Purpose::Sample, 0);
    let e_step =
        EStep { network, schedule: &schedule, conditioning, observations: &observations, sampler, key, device };
    median(1, 3, || drop(e_step.all(SHARD))) / 1e3
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.iter().position(|a| a == "--threads").and_then(|i| args.get(i + 1)).and_then(|n| n.parse().ok());
    let threads: usize = threads.unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("first pool of this process");
    let device = Device::flex();
    let stages = vec![StageConfig::Projection { rows: 2 }, StageConfig::Noise { std: 0.01 }];
    let channel = ChannelConfig(stages).build(5).expect("valid stages");
    // The published conditioning, so that both sides do the same work.
    let config = ConditioningConfig {
        features: Features::Observation,
        standardise: Standardise::None,
        measurement_update: false,
    };
    let frame = Frame::identity(5);
    let conditioning = Conditioning { channel: &channel, config: &config, frame: &frame };
    let network = MlpConfig::default().init(5, channel.condition_len(), 1, &device);
    let heun = SamplerConfig::Heun { steps: 15, spacing: Spacing::Geometric, churn: 0.0 };
    let ddpm = SamplerConfig::Ddpm { steps: 32, spacing: Spacing::Geometric };
    let report = serde_json::json!({
        "peer": "diffem-flex",
        "threads": threads,
        "mlp_train_ms": train(&network, &device),
        "mlp_full_step_ms": full_step(&network, conditioning, &device),
        "mlp_forward_ms": forward(&network, &device),
        "e_step_s": e_step(&network, conditioning, &heun, &device),
        "e_step_ddpm_s": e_step(&network, conditioning, &ddpm, &device),
    });
    println!("{report}");
}
