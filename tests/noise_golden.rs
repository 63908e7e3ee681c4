//! Bits of the noise generator, which `web/check-noise.mjs` holds the WebAssembly build to as well.

#[path = "../examples/wasm_noise.rs"]
mod generator;

#[derive(serde::Deserialize)]
struct Case {
    seed: u32,
    step: u32,
    n: u32,
    digest: u32,
    first: Vec<f32>,
}

#[test]
fn normals_have_the_recorded_bits() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/noise.json")).expect("the recorded cases");
    assert!(!cases.is_empty());
    for Case { seed, step, n, digest, first } in cases {
        let found: Vec<f32> = (0..first.len() as u32).map(|i| generator::normal(seed, 3, step, i)).collect();
        assert_eq!(found, first, "seed {seed}, step {step}");
        assert_eq!(generator::digest(seed, step, n), digest, "seed {seed}, step {step}, {n} numbers");
    }
}
