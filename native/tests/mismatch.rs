//! Observations through a channel that differs from that of training.

mod common;

use common::arrays::read;
use common::{TINY, succeed, train};
use serde_json::Value;
use std::path::Path;

const NOISIER: &str = r#"[{ kind = "projection", rows = 1 }, { kind = "noise", std = 1.5 }]"#;

fn test_rows(file: &Path) -> (Value, Vec<Value>) {
    let report: Value = serde_json::from_slice(&std::fs::read(file).expect("a report")).expect("JSON");
    (report["channel"].clone(), report["test"].as_array().expect("test").clone())
}

fn score(rows: &[Value], estimate: &str, lap: Option<u64>, name: &str) -> f64 {
    let row = rows.iter().find(|row| row["estimate"] == estimate && row["lap"].as_u64() == lap).expect("a row");
    row[name].as_f64().unwrap_or_else(|| panic!("{name}: {row}"))
}

#[test]
fn noisier_observations_are_reconstructed_with_less_trust() {
    let dir = tempfile::tempdir().expect("a directory");
    train(dir.path(), TINY, "run", &[]);
    let draw = |more: &[&str], out: &str| {
        succeed(dir.path(), &[&["sample", "run", "--draws", "8", "--out", out], more].concat());
        read(&dir.path().join(out), "x").1
    };
    let (trusted, doubted) = (draw(&[], "a.npz"), draw(&["--channel", NOISIER], "b.npz"));
    // Mean over the observations of the variance of the first coordinate in eight draws.
    let spread = |x: &[f32]| {
        let one = |draws: &[f32]| {
            let values: Vec<f64> = draws.iter().step_by(2).map(|&v| f64::from(v)).collect();
            let mean = values.iter().sum::<f64>() / 8.0;
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 7.0
        };
        x.chunks(16).map(one).sum::<f64>() / (x.len() / 16) as f64
    };
    assert!(spread(&doubted) > 1.2 * spread(&trusted), "{} {}", spread(&doubted), spread(&trusted));
}

#[test]
fn the_test_signals_are_observed_anew_and_scored() {
    let dir = tempfile::tempdir().expect("a directory");
    train(dir.path(), TINY, "run", &[]);
    let own = dir.path().join("run/evaluation.json");
    // The prior of the start was saved; if its file is missing, it is fitted again.
    let evaluate = ["evaluate", "run", "--points", "64", "--draws", "2"];
    let table = succeed(dir.path(), &evaluate);
    std::fs::remove_file(dir.path().join("run/start.safetensors")).expect("the start's prior");
    assert_eq!(succeed(dir.path(), &evaluate), table);
    let before = std::fs::read(&own).expect("a report");
    succeed(dir.path(), &["evaluate", "run", "--channel", NOISIER, "--draws", "2"]);
    assert_eq!(std::fs::read(&own).expect("a report"), before, "the run's own scores stay");
    let (channel, rows) = test_rows(&own);
    assert!(channel.is_null());
    let (channel, other) = test_rows(&dir.path().join("run/evaluation-channel.json"));
    assert_eq!(channel[1]["std"], 1.5);
    // The residuals of the truth are the noise of the new channel, and more noise makes restorations less
    // sharp.
    let (chi2, deviation) = (score(&other, "truth", None, "chi2"), score(&other, "truth", None, "chi2_deviation"));
    assert!((chi2 - 1.0).abs() < 5.0 * deviation, "{chi2} +- {deviation}");
    for (estimate, lap) in [("mean", 0), ("mean", 2)] {
        let [seen, worse] = [&rows, &other].map(|rows| score(rows, estimate, Some(lap), "psnr"));
        assert!(worse < seen - 0.3, "{estimate} of lap {lap}: {worse} dB, {seen} dB by the run's own channel");
    }
}
