//! The optimal transport scores against POT (fixture: ../golden/golden_sinkhorn.py), and against themselves on
//! different numbers of threads.

use diffem::Samples;
use diffem::metric::{Sinkhorn, energy_distance, sliced_wasserstein};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    grid: f32,
    sinkhorn: Vec<SinkhornCase>,
    sliced: Vec<SlicedCase>,
}

#[derive(Deserialize)]
struct SinkhornCase {
    name: String,
    d: usize,
    u: Vec<i32>,
    v: Vec<i32>,
    reg: f64,
    iterations: usize,
    tolerance: f64,
    cost: f64,
    iterations_done: usize,
    converged: bool,
}

#[derive(Deserialize)]
struct SlicedCase {
    d: usize,
    u: Vec<i32>,
    v: Vec<i32>,
    directions: Vec<f32>,
    distance: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/metric.json")).expect("the fixture is what its script writes")
}

fn samples(values: &[i32], grid: f32, d: usize) -> Samples {
    Samples::new(values.iter().map(|&q| q as f32 / grid).collect(), d)
}

fn assert_close(found: f64, expected: f64, tolerance: f64, name: &str) {
    assert!((found / expected - 1.0).abs() < tolerance, "{name}: {found}, expected {expected}");
}

#[test]
fn sinkhorn_is_that_of_pot() {
    let golden = golden();
    for case in &golden.sinkhorn {
        let solver = Sinkhorn { reg: case.reg, max_iterations: case.iterations, tolerance: case.tolerance };
        let (u, v) = (samples(&case.u, golden.grid, case.d), samples(&case.v, golden.grid, case.d));
        let found = solver.cost(&u, &v).unwrap();
        assert_close(found.cost, case.cost, 1e-10, &case.name);
        assert_eq!((found.iterations, found.converged), (case.iterations_done, case.converged), "{}", case.name);
    }
    assert!(golden.sinkhorn.iter().any(|case| case.converged) && golden.sinkhorn.iter().any(|case| !case.converged));
}

#[test]
fn sliced_wasserstein_is_that_of_pot() {
    let golden = golden();
    for case in &golden.sliced {
        let (u, v) = (samples(&case.u, golden.grid, case.d), samples(&case.v, golden.grid, case.d));
        let directions = Samples::new(case.directions.clone(), case.d);
        assert_close(sliced_wasserstein(&u, &v, &directions).unwrap(), case.distance, 1e-10, "sliced");
    }
}

/// Returns the bits of all scores on `threads` threads.
fn scores(threads: usize) -> [u64; 3] {
    let golden = golden();
    let case = &golden.sinkhorn[0];
    let (u, v) = (samples(&case.u, golden.grid, case.d), samples(&case.v, golden.grid, case.d));
    let directions = Samples::new((0..3 * case.d).map(|i| f32::from(i % (case.d + 1) == 0)).collect(), case.d);
    let solver = Sinkhorn { max_iterations: 30, ..Sinkhorn::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let transport = solver.cost(&u, &v).unwrap().cost;
        [transport, sliced_wasserstein(&u, &v, &directions).unwrap(), energy_distance(&u, &v).unwrap()]
            .map(f64::to_bits)
    })
}

#[test]
fn the_number_of_threads_does_not_show() {
    let alone = scores(1);
    assert_eq!(alone, scores(2));
    assert_eq!(alone, scores(5));
}
