//! Prints the timings that `benches/peers/run.py` compares with PyTorch's, as one JSON object:
//! `cargo bench --workspace --bench peer -- --threads 1`.

mod timing;
mod workload;

use diffem::sampler::{DdpmConfig, HeunConfig, Spacing};
use timing::{median, use_threads};
use workload::Workload;

fn main() {
    let threads = use_threads();
    let work = Workload::new();
    let heun = HeunConfig { steps: 15, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let ddpm = DdpmConfig { steps: 32, spacing: Spacing::Geometric }.into();
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
