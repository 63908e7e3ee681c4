//! The noise generator as a WebAssembly module that exchanges numbers only. `check.mjs` runs it in a
//! JavaScript engine and compares it with `golden.json`, as the test below does for the native build.

use diffem::noise::{Key, Purpose};

/// FNV-1a hash of the bits of the first `n` normals of streams 0, 1, ..., 7 of `seed`, at `step`.
#[unsafe(no_mangle)]
pub extern "C" fn digest(seed: u32, step: u32, n: u32) -> u32 {
    let key = Key::new(seed as u64, Purpose::Sample, 1);
    let normals = (0..8).flat_map(|index| {
        let mut normals = vec![0.0; n as usize];
        key.stream(index, step as usize).fill_normal(&mut normals);
        normals
    });
    let bytes = normals.flat_map(|z| f32::to_bits(z).to_le_bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ byte as u32).wrapping_mul(0x0100_0193))
}

/// Normal number `i` of stream `index`.
#[unsafe(no_mangle)]
pub extern "C" fn normal(seed: u32, index: u32, step: u32, i: u32) -> f32 {
    let mut stream = Key::new(seed as u64, Purpose::Sample, 1).stream(index as usize, step as usize);
    (0..=i).map(|_| stream.normal()).last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
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
        let cases: Vec<Case> = serde_json::from_str(include_str!("../golden.json")).expect("the recorded cases");
        assert!(!cases.is_empty());
        for Case { seed, step, n, digest, first } in cases {
            let found: Vec<f32> = (0..first.len() as u32).map(|i| super::normal(seed, 3, step, i)).collect();
            assert_eq!(found, first, "seed {seed}, step {step}");
            assert_eq!(super::digest(seed, step, n), digest, "seed {seed}, step {step}, {n} numbers");
        }
    }
}
