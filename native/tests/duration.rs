//! The cost of a run is compared with the estimate made before it started. This is the only test in its file,
//! so that no other test runs at the same time.

mod common;

use common::{estimate, number, pictures, succeed};
use serde_json::Value;
use std::path::Path;

/// Maximum number of runs, since other processes on the machine may disturb one.
const TRIES: usize = 3;

/// Estimated or measured cost of a lap.
#[derive(Debug)]
struct Lap {
    seconds: f64,
    /// Memory in bytes.
    memory: f64,
}

fn said(at: &Path, args: &[&str]) -> Lap {
    let said = estimate(at, args);
    Lap { seconds: number(&said, "/seconds_per_lap"), memory: number(&said, "/memory_bytes/total") }
}

/// Cost of the only lap of a run, from its metrics and its summary.
fn found(at: &Path, args: &[&str], out: &str) -> Lap {
    succeed(at, &[args, &["--out", out, "--progress", "quiet"]].concat());
    let read = |name: &str| std::fs::read_to_string(at.join(out).join(name)).expect(name);
    let metrics = read("metrics.jsonl");
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let end =
        |lap: u64| number(lines.iter().find(|l| l["event"] == "lap" && l["lap"] == lap).expect("a lap"), "/seconds");
    let summary = serde_json::from_str(&read("summary.json")).expect("JSON");
    Lap { seconds: end(1) - end(0), memory: number(&summary, "/peak_memory_bytes") }
}

/// Time and memory of a preset's lap are within a factor of two of the estimate.
fn compare(at: &Path, preset: &str, settings: &[&str]) {
    // The comparison on held-out observations adds to the estimate.
    let settings = settings.iter().chain(&["em.laps=1", "report.draws=2", "monitor.holdout=0.0"]);
    let args: Vec<&str> = ["train", preset].into_iter().chain(settings.flat_map(|s| ["--set", s])).collect();
    let close = |said: &Lap, found: &Lap| (0.5..2.0).contains(&(found.seconds / said.seconds));
    for attempt in 1..=TRIES {
        let (said, found) = (said(at, &args), found(at, &args, &format!("{preset}-{attempt}")));
        println!("{preset}, try {attempt}: said {said:.3?}, found {found:.3?}");
        // The process itself and temporary buffers add to the memory of the arrays.
        assert!(
            found.memory > 0.5 * said.memory && found.memory < 2.0 * said.memory + 1e8,
            "{preset}: {said:?}, {found:?}"
        );
        if close(&said, &found) {
            return;
        }
    }
    panic!("{preset}: not within a factor of two in {TRIES} tries");
}

#[test]
#[ignore = "a minute, on a machine that does nothing else"]
fn time_and_memory_are_within_a_factor_of_two() {
    let dir = tempfile::tempdir().expect("a directory");
    compare(dir.path(), "manifold", &["m_step.steps=400", "report.points=0", "method.relaxation=1.0"]);
    compare(dir.path(), "digits", &["m_step.steps=200"]);
    // In this U-Net, the activations dominate the memory.
    pictures::idx(&dir.path().join("data"), "train-images-idx3-ubyte", 600, 28);
    let unet = [
        "data.path=data",
        "data.n=256",
        "data.test=0",
        "network.channels=[64,128]",
        "m_step.micro_batch=32",
        "m_step.steps=10",
        "init.rank=4",
    ];
    compare(dir.path(), "fashion-mask75", &unet);
}
