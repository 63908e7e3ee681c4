//! Compares flex with the formulas in double precision: the denoiser with and without gain, the loss, and the
//! gradient along eight random directions, where the derivative is a central difference.

use super::paper;
use crate::host::Places;
use burn::tensor::Device;
use diffem::conformance::{Golden, Problem};
use diffem::network::{Layout, MlpConfig};
use diffem::noise::{Key, Purpose};

const TOLERANCE: f64 = 1e-5;

/// Prints the greatest difference in units of the greatest value, and fails where it is out of tolerance.
fn assert_close(name: &str, found: &[f64], formula: &[f64]) {
    assert_eq!(found.len(), formula.len());
    let scale = formula.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    let worst = found.iter().zip(formula).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale;
    println!("{name:40} {worst:9.1e} {TOLERANCE:9.0e}");
    // NaN is close to nothing.
    assert!(found.iter().all(|v| v.is_finite()) && worst <= TOLERANCE, "{name}: {worst:.1e}");
}

fn direction(index: usize, n: usize) -> Vec<f64> {
    let mut stream = Key::new(6, Purpose::Directions, 0).stream(index, 0);
    (0..n).map(|_| stream.normal() as f64).collect()
}

fn check(golden: &Golden, problem: &Problem) {
    let batch = problem.batch();
    let MlpConfig { depth, embedding, .. } = problem.settings.network;
    let places = Places::new(&Layout::of(&problem.network(&Device::flex()).unwrap()), depth, embedding);
    let weights: Vec<f64> = problem.inputs.weights.iter().map(|&w| w as f64).collect();
    let values = |name: &str| -> Vec<f64> {
        let values = golden.expected(&format!("{}: {name}", problem.name)).expect("a quantity of this name");
        values.iter().map(|&v| v as f64).collect()
    };
    let rows = |gain| (0..batch.x.n()).flat_map(|i| places.denoise(&weights, problem, &batch, i, gain)).collect();
    let formulas: [(&str, Vec<f64>); 3] = [
        ("denoiser without gain", rows(false)),
        ("denoiser with gain", rows(true)),
        ("loss", vec![places.loss(&weights, problem, &batch)]),
    ];
    for (name, formula) in formulas {
        assert_close(&format!("{}: {name}", problem.name), &values(name), &formula);
    }
    let directions: Vec<Vec<f64>> = (0..8).map(|i| direction(i, weights.len())).collect();
    let gradient = values("gradient");
    let along = |v: &Vec<f64>| v.iter().zip(&gradient).map(|(v, g)| v * g).sum::<f64>();
    let slope = |v: &Vec<f64>| {
        let at = |t: f64| {
            let moved: Vec<f64> = weights.iter().zip(v).map(|(w, v)| w + t * v).collect();
            places.loss(&moved, problem, &batch)
        };
        (at(1e-5) - at(-1e-5)) / 2e-5
    };
    let [along, slope]: [Vec<f64>; 2] =
        [directions.iter().map(along).collect(), directions.iter().map(slope).collect()];
    assert_close(&format!("{}: gradient, 8 directions", problem.name), &along, &slope);
}

#[test]
fn flex_agrees_with_the_formulas_in_double_precision() {
    let golden = Golden::make(paper(), &Device::flex()).unwrap();
    // The formulas are those for vectors; the agreement of the U-Net's kernels with stock operations is
    // tested beside the kernels.
    golden.problems().iter().filter(|problem| problem.name != "images").for_each(|problem| check(&golden, problem));
}
