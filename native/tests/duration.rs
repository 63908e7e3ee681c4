//! What a run takes, compared with what was said before it began: the only test of its file, so that no other runs beside it.

mod common;

use common::{estimate, number, pictures, succeed};
use serde_json::Value;
use std::path::Path;

/// Times that a run is repeated while something else on the machine disturbs it.
const TRIES: usize = 3;

/// What was said of a lap or found.
#[derive(Debug)]
struct Lap {
    seconds: f64,
    /// Bytes.
    memory: f64,
}

fn said(at: &Path, args: &[&str]) -> Lap {
    let said = estimate(at, args);
    Lap { seconds: number(&said, "/seconds_per_lap"), memory: number(&said, "/memory_bytes/total") }
}

/// The only lap of a run, as its metrics and its summary tell.
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

/// Time and memory of a lap of a preset within a factor of two of what was said.
fn compare(at: &Path, preset: &str, settings: &[&str]) {
    // The comparison on held-out observations comes on top of what is said.
    let settings = settings.iter().chain(&["em.laps=1", "report.draws=2", "monitor.holdout=0.0"]);
    let args: Vec<&str> = ["train", preset].into_iter().chain(settings.flat_map(|s| ["--set", s])).collect();
    let close = |said: &Lap, found: &Lap| (0.5..2.0).contains(&(found.seconds / said.seconds));
    for attempt in 1..=TRIES {
        let (said, found) = (said(at, &args), found(at, &args, &format!("{preset}-{attempt}")));
        println!("{preset}, try {attempt}: said {said:.3?}, found {found:.3?}");
        // Besides the arrays, the process and what its parts hold for a moment.
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
    compare(dir.path(), "manifold", &["m_step.steps=400", "report.points=0"]);
    compare(dir.path(), "digits", &["m_step.steps=200"]);
    // A U-Net whose activations outweigh the rest.
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
