//! Prints the processor time that the update by conjugate gradient takes beside a network call, for smooth images of 64 x 64
//! pixels and 24 steps of dpmpp2m-sde, features and last draw included: `RAYON_NUM_THREADS=1 cargo bench --bench update`.
//! The network returns 0 and takes next to nothing; what a posterior without an update takes is left out. With a word after
//! `--`, only the channels whose names contain it.

use burn::tensor::Device;
use diffem::channel::{
    BlurConfig, ChannelConfig, Compose, Maps, MulticoilConfig, NoiseConfig, Pattern, PixelMaskConfig, RadonConfig,
    StageConfig,
};
use diffem::conditioning::{ConditioningConfig, Features, Standardizer, feature_len};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::network::{MlpConfig, flatten, from_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::{Dpmpp2mSdeConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use std::sync::Arc;

const SHAPE: ImageShape = ImageShape { channels: 1, height: 64, width: 64 };
const ROWS: usize = 16;
const STEPS: usize = 24;

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

fn chains() -> Vec<(&'static str, Vec<StageConfig>)> {
    let radon = || StageConfig::from(RadonConfig { angles: 12, random_start: true });
    let coils = |pattern, maps| {
        StageConfig::from(MulticoilConfig { coils: 4, maps, acceleration: 4.0, center: 0.08, pattern, complex: false })
    };
    let pixels = PixelMaskConfig { rate: 0.4, max_rate: None }.into();
    vec![
        ("blur, 40 % missing, noise .1", vec![BlurConfig { sigma: 1.0 }.into(), pixels, noise(0.1)]),
        ("radon, 12 angles from a random start, noise .05", vec![radon(), noise(0.05)]),
        ("the same, noise .01", vec![radon(), noise(0.01)]),
        ("multicoil, columns, noise .05", vec![coils(Pattern::Columns, Maps::Made), noise(0.05)]),
        ("multicoil, columns, own maps, noise .05", vec![coils(Pattern::Columns, Maps::Each), noise(0.05)]),
        ("multicoil, points, noise .05", vec![coils(Pattern::Points, Maps::Made), noise(0.05)]),
    ]
}

/// Sums of a few waves, with a standard deviation near 1.
fn images() -> Samples {
    let mut x = Samples::zeros(ROWS, SHAPE.len());
    for i in 0..ROWS {
        let mut stream = Key::new(1, Purpose::Truth, 0).stream(i, 0);
        for wave in 1..8 {
            let [k, l, phase] = [4.0, 4.0, 6.3].map(|most: f32| most * stream.uniform() as f32);
            for (p, x) in x.row_mut(i).iter_mut().enumerate() {
                let (row, column) = ((p / SHAPE.width) as f32 / 64.0, (p % SHAPE.width) as f32 / 64.0);
                *x += (6.3 * (k * row + l * column) + phase).sin() / (wave as f32).sqrt();
            }
        }
    }
    x
}

fn posterior(channel: &Arc<Compose>, conditioning: ConditioningConfig) -> Posterior<MlpConfig> {
    let (device, config) = (Device::flex(), MlpConfig { width: 4, depth: 1, embedding: 4 });
    let network = config.init(SHAPE.len(), feature_len(channel.as_ref(), &conditioning), 0, &device);
    let zeros = from_host(vec![0.0; flatten(&network).dims()[0]], &device);
    let model = Model {
        channel: channel.clone(),
        image: None,
        schedule: Schedule { sigma_min: 3e-3, sigma_max: 80.0, ..Default::default() },
        conditioning,
        method: Method::default(),
        network: config,
        sampler: Dpmpp2mSdeConfig { steps: STEPS, spacing: Spacing::Geometric }.into(),
        shard: ROWS,
    };
    Posterior::new(model, unflatten(network, &zeros), Standardizer::identity(SHAPE.len()), device)
}

/// Processor seconds of this process so far.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

fn main() {
    let x = images();
    let word = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for (name, stages) in chains().into_iter().filter(|(name, _)| name.contains(&word)) {
        let channel = Arc::new(ChannelConfig(stages).build_image(SHAPE).expect("a valid channel"));
        let seen = Observations::simulate(channel.as_ref(), &x, Key::new(2, Purpose::Observe, 0), 0);
        let milliseconds = |measurement_update: bool| {
            let features = if measurement_update { Features::Geometry } else { Features::Observation };
            let posterior =
                posterior(&channel, ConditioningConfig { features, measurement_update, ..Default::default() });
            let (start, mut rounds) = (processor_seconds(), 0);
            while processor_seconds() - start < 2.0 {
                posterior.sample(&seen, 1).expect("draws");
                rounds += 1;
            }
            1e3 * (processor_seconds() - start) / (rounds * ROWS * (STEPS + 1)) as f64
        };
        let (with, without) = (milliseconds(true), milliseconds(false));
        println!("{name}: {:.2} ms per call ({with:.2} less {without:.2})", with - without);
    }
}
