//! What the benchmarks that are compared with PyTorch share.

use std::time::Instant;

/// Starts as many threads as `--threads N` requests, 2 by default, with the same memory settings as the
/// command line.
pub fn use_threads() -> usize {
    diffem::keep_freed_memory();
    let args: Vec<String> = std::env::args().collect();
    let value = args.iter().position(|a| a == "--threads").and_then(|i| args.get(i + 1));
    let threads: usize = value.and_then(|n| n.parse().ok()).unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("first pool of this process");
    threads
}

/// Median milliseconds of `work` over `repeats` runs after `warm_up`.
pub fn median(warm_up: usize, repeats: usize, mut work: impl FnMut()) -> f64 {
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
