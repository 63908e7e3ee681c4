//! Criterion benchmarks of the core: `cargo bench --workspace --bench core`.

mod workload;

use criterion::{Criterion, criterion_group, criterion_main};
use diffem::metric::Sinkhorn;
use diffem::sampler::{HeunConfig, Spacing};
use workload::{Workload, normal};

fn training(c: &mut Criterion) {
    let work = Workload::new();
    c.bench_function("mlp training step, batch 1024", |b| b.iter(work.train()));
    c.bench_function("m-step with fresh corruption, batch 1024", |b| b.iter(work.full_step()));
    c.bench_function("mlp forward, batch 4096", |b| b.iter(work.forward()));
}

fn sampling(c: &mut Criterion) {
    let work = Workload::new();
    let heun = HeunConfig { steps: 15, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let mut group = c.benchmark_group("e-step of 16384 observations");
    group.sample_size(10);
    group.bench_function("heun, 31 network calls", |b| b.iter(work.e_step(&heun)));
}

/// Times 100 iterations; the 1024 of the full protocol take about ten times as long.
fn distances(c: &mut Criterion) {
    let (u, v) = (normal(16_384, 5, 0), normal(16_384, 5, 1));
    let sinkhorn = Sinkhorn { max_iterations: 100, ..Default::default() };
    let mut group = c.benchmark_group("sinkhorn at 16384 points");
    group.sample_size(10);
    group.bench_function("100 iterations, d = 5", |b| b.iter(|| sinkhorn.cost(&u, &v)));
}

criterion_group!(benches, training, sampling, distances);
criterion_main!(benches);
