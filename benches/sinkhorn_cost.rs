//! Prints `cost iterations converged seconds` for two files of little-endian f32 rows, for
//! `peers/compare_pot.py`: `sinkhorn_cost u.f32 v.f32 d [iterations]`. Run as a benchmark without arguments,
//! it times a fixed pair of clouds.
use std::time::Instant;

use diffem::{Samples, metric::Sinkhorn};

fn read(path: &str, d: usize) -> Result<Samples, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Samples::new(values, d))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, u, v, d, rest @ ..] = args.as_slice() else {
        return Err("usage: sinkhorn_cost u.f32 v.f32 d [iterations]".into());
    };
    let mut solver = Sinkhorn::default();
    if let Some(iterations) = rest.first() {
        solver.max_iterations = iterations.parse()?;
    }
    let (u, v) = (read(u, d.parse()?)?, read(v, d.parse()?)?);
    let start = Instant::now();
    let found = solver.cost(&u, &v)?;
    println!("{} {} {} {}", found.cost, found.iterations, found.converged, start.elapsed().as_secs_f64());
    Ok(())
}
