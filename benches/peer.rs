//! The figures that `benches/peers/run.py` sets beside PyTorch's, as one JSON object:
//! `cargo bench --workspace --bench peer -- --threads 1`.

mod workload;

use diffem::sampler::{SamplerConfig, Spacing};
use std::time::Instant;
use workload::Workload;

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

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = args.iter().position(|a| a == "--threads").and_then(|i| args.get(i + 1));
    let threads: usize = value.and_then(|n| n.parse().ok()).unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("first pool of this process");
    let work = Workload::new();
    let heun = SamplerConfig::Heun { steps: 15, spacing: Spacing::Geometric, churn: 0.0 };
    let ddpm = SamplerConfig::Ddpm { steps: 32, spacing: Spacing::Geometric };
    let report = serde_json::json!({
        "peer": "diffem-flex",
        "threads": threads,
        "mlp_train_ms": median(20, 100, work.train()),
        "mlp_full_step_ms": median(20, 100, work.full_step()),
        "mlp_forward_ms": median(10, 60, work.forward()),
        "e_step_s": median(1, 3, work.e_step(&heun)) / 1e3,
        "e_step_ddpm_s": median(1, 3, work.e_step(&ddpm)) / 1e3,
    });
    println!("{report}");
}
