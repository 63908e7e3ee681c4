//! One core, several backends: the network, the denoiser, gradients, training steps, the optimiser and posterior draws on
//! every backend of the build against flex, and flex against the formulas in double precision.
//!
//! `cargo test --release --features ndarray,wgpu --test backends -- --nocapture` prints the differences. A backend of the
//! build without a device on the machine is reported as skipped; `DIFFEM_REQUIRE_WGPU=1` (`_CUDA`) makes that a failure.
#![cfg(feature = "flex")]

mod host;
mod problem;

use burn::tensor::Device;
use diffem::network::{Layout, MlpConfig, flatten, to_host};
use diffem::noise::{Key, Purpose};
use host::Places;
use problem::{Problem, Quantity, problems, quantities};

/// Greatest difference, in units of the reference's greatest value.
fn difference(found: &[f64], reference: &[f64]) -> f64 {
    assert_eq!(found.len(), reference.len());
    let scale = reference.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    assert!(scale > 0.0, "the reference is zero or not a number");
    // What is not a number differs without bound; `max` alone would drop it.
    let bounded = |v: f64| if v.is_finite() { v } else { f64::INFINITY };
    found.iter().zip(reference).map(|(a, b)| bounded((a - b).abs())).fold(0.0, f64::max) / scale
}

/// Prints a line a quantity and fails where one is out of tolerance.
fn compare(backend: &str, against: &str, found: &[Quantity], reference: &[Quantity]) {
    let mut beyond = Vec::new();
    println!("{:8} {:42} {:>10} {:>10}", "backend", format!("quantity (against {against})"), "difference", "tolerance");
    assert_eq!(found.len(), reference.len());
    for (found, reference) in found.iter().zip(reference) {
        assert_eq!(found.name, reference.name);
        let difference = difference(&found.values, &reference.values);
        println!("{backend:8} {:42} {difference:10.1e} {:10.0e}", found.name, reference.tolerance);
        if difference > reference.tolerance {
            beyond.push(format!("{}: {difference:.1e}", found.name));
        }
    }
    assert!(beyond.is_empty(), "{backend} differs from {against} beyond tolerance: {}", beyond.join("; "));
}

/// Denoiser with and without gain, loss, and the gradient along eight random directions: on flex and by the formulas in
/// double precision, where the derivative is a central difference.
fn flex_and_formulas(problem: &Problem, all: &[Quantity]) -> (Vec<Quantity>, Vec<Quantity>) {
    let (network, batch) = (problem.network(&Device::flex()), problem.batch());
    let config = MlpConfig::default();
    let places = Places::new(&Layout::of(&network), config.depth, config.embedding);
    let weights: Vec<f64> = to_host(&flatten(&network)).iter().map(|&w| w as f64).collect();
    let values = |name: &str| {
        let name = format!("{}: {name}", problem.name);
        all.iter().find(|q| q.name == name).expect("a quantity of this name").values.clone()
    };
    let rows = |gain| {
        (0..batch.x.n()).flat_map(|i| places.denoise(&weights, &problem.schedule, &batch, i, gain)).collect::<Vec<_>>()
    };
    let directions: Vec<Vec<f64>> = (0..8).map(|i| direction(i, weights.len())).collect();
    let gradient = values("gradient");
    let along = |v: &Vec<f64>| v.iter().zip(&gradient).map(|(v, g)| v * g).sum::<f64>();
    let slope = |v: &Vec<f64>| {
        let at = |t: f64| {
            let moved: Vec<f64> = weights.iter().zip(v).map(|(w, v)| w + t * v).collect();
            places.loss(&moved, &problem.schedule, &batch)
        };
        (at(1e-5) - at(-1e-5)) / 2e-5
    };
    let pairs = [
        ("denoiser without gain", values("denoiser without gain"), rows(false)),
        ("denoiser with gain", values("denoiser with gain"), rows(true)),
        ("loss", values("loss"), vec![places.loss(&weights, &problem.schedule, &batch)]),
        ("gradient, 8 directions", directions.iter().map(along).collect(), directions.iter().map(slope).collect()),
    ];
    let quantity = |name: &str, values| Quantity { name: format!("{}: {name}", problem.name), tolerance: 1e-5, values };
    pairs.into_iter().map(|(name, flex, formula)| (quantity(name, flex), quantity(name, formula))).unzip()
}

fn direction(index: usize, n: usize) -> Vec<f64> {
    let mut stream = Key::new(6, Purpose::Directions, 0).stream(index, 0);
    (0..n).map(|_| stream.normal() as f64).collect()
}

#[test]
fn flex_agrees_with_the_formulas_in_double_precision() {
    let all = quantities(&Device::flex());
    for problem in problems() {
        let (flex, formulas) = flex_and_formulas(&problem, &all);
        compare("flex", "f64", &flex, &formulas);
    }
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_agrees_with_flex() {
    // Deprecated by burn in favour of flex; kept as a second opinion that shares no kernel with it.
    #[allow(deprecated)]
    let device = Device::ndarray();
    compare("ndarray", "flex", &quantities(&device), &quantities(&Device::flex()));
}

/// The first device that `devices` found, or a visible word about its absence.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn against_flex(backend: &str, filter: burn::tensor::DeviceType, open: impl Fn() -> Device) {
    use std::io::Write;
    if !Device::enumerate(filter).into_vec().is_empty() {
        return compare(backend, "flex", &quantities(&open()), &quantities(&Device::flex()));
    }
    let flag = format!("DIFFEM_REQUIRE_{}", backend.to_uppercase());
    assert!(std::env::var_os(&flag).is_none_or(|v| v != "1"), "{backend}: no device on this machine, and {flag}=1");
    // Past the test runner's capture: a skipped backend shows in every log.
    let _ =
        writeln!(std::io::stderr(), "{backend}: SKIPPED, no device on this machine ({flag}=1 makes this a failure)");
}

#[test]
#[cfg(feature = "wgpu")]
fn wgpu_agrees_with_flex() {
    against_flex("wgpu", burn::tensor::DeviceType::Wgpu, || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
}

#[test]
#[cfg(feature = "cuda")]
fn cuda_agrees_with_flex() {
    against_flex("cuda", burn::tensor::DeviceType::Cuda, || Device::cuda(0));
}
