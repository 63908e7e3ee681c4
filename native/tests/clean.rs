//! A few clean signals beside the observations.

mod common;

use common::arrays::{self, read, signals};
use common::{TINY, assert_same_run, diffem, pictures, run, succeed, train};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A directory with 50 clean signals of two values in `clean.npz`.
fn with_clean() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    arrays::write(&dir.path().join("clean.npz"), &[("x", signals(50, 2, 3))]);
    dir
}

/// [`TINY`] with clean signals of this weight.
fn config(weight: &str) -> String {
    format!("{TINY}\n[clean]\npath = \"clean.npz\"\nweight = {weight}\n")
}

fn reconstructions(run: &Path) -> Vec<f32> {
    read(&run.join("lap-002/reconstructions.safetensors"), "x").1
}

#[test]
fn clean_signals_change_a_run_with_their_weight_only() {
    let dir = with_clean();
    train(dir.path(), TINY, "without", &[]);
    for weight in ["0.0", "0.3"] {
        train(dir.path(), &config(weight), weight, &[]);
    }
    let [without, unused, used] = ["without", "0.0", "0.3"].map(|run| reconstructions(&dir.path().join(run)));
    assert!(without == unused && without != used);
}

/// A run is killed within its second lap; the file that the clean signals came from is gone when it continues.
#[test]
fn a_killed_run_continues_to_the_same_bytes() {
    let slow = config("0.3").replace("steps = 60", "steps = 3000");
    let whole = with_clean();
    train(whole.path(), &slow, "run", &[]);
    let killed = with_clean();
    std::fs::write(killed.path().join("run.toml"), &slow).expect("a file");
    let mut command = diffem(killed.path(), &["train", "run.toml", "--out", "run", "--progress", "quiet"]);
    let mut child = command.stdout(Stdio::null()).spawn().expect("the command starts");
    let (run, begun) = (killed.path().join("run"), Instant::now());
    while !(run.join("lap-001/DONE").exists() && run.join("state.safetensors").exists()) {
        assert!(begun.elapsed() < Duration::from_secs(240) && child.try_wait().expect("a process").is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("a running process");
    child.wait().expect("a process");
    std::fs::remove_file(killed.path().join("clean.npz")).expect("a file");
    succeed(killed.path(), &["resume", "run", "--progress", "quiet"]);
    assert_same_run(&run, &whole.path().join("run"));
}

#[test]
fn every_table_says_that_clean_signals_were_used() {
    let dir = with_clean();
    train(dir.path(), &config("0.3"), "run", &[]);
    let expected = "trained with 50 clean signals of weight 0.3";
    let summary = std::fs::read(dir.path().join("run/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    assert_eq!(summary["clean"], serde_json::json!({ "signals": 50, "weight": 0.3 }));
    let evaluated = succeed(dir.path(), &["evaluate", "run", "--draws", "2", "--points", "64", "--progress", "quiet"]);
    assert!(evaluated.starts_with(&format!("{expected}\n")), "{evaluated}");
    let report = std::fs::read_to_string(dir.path().join("run/evaluation.json")).expect("a report");
    assert!(report.contains("\"signals\": 50"), "{report}");
    let calibrated = succeed(dir.path(), &["calibrate", "run", "--draws", "4", "--signals", "16"]);
    assert!(calibrated.starts_with(expected), "{calibrated}");
    std::fs::write(dir.path().join("tiny.toml"), TINY).expect("a file");
    let contenders = ["--contender", "plain", "--contender", "clean clean.path=clean.npz clean.weight=0.3"];
    let compared = [&["compare", "tiny.toml", "--out", "out", "--progress", "quiet"][..], &contenders].concat();
    let compared = succeed(dir.path(), &compared);
    assert!(compared.contains(&format!("\nclean: {expected}\n")) && !compared.contains("plain: "), "{compared}");
}

#[test]
fn without_a_weight_the_channel_decides() {
    let dir = with_clean();
    let shown = |channel: &str| {
        let channel = format!("channel={channel}");
        run(
            dir.path(),
            &[
                "config",
                "show",
                "gaussian",
                "--set",
                &channel,
                "--set",
                "data.std=[1.0, 0.5]",
                "--set",
                "clean.path=clean.npz",
            ],
        )
    };
    let sum = shown("[{ kind = \"linear\", matrix = [[1.0, 1.0]] }]");
    assert!(String::from_utf8_lossy(&sum.stdout).contains("[clean]\npath = \"clean.npz\"\nweight = 0.2\n"));
    let mask = shown("[{ kind = \"mask\", rate = 0.5 }]");
    assert_eq!(mask.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&mask.stderr).contains("clean.weight: observations of this channel tell"));
}

#[test]
fn what_cannot_be_used_is_refused_before_a_run_is_made() {
    let dir = with_clean();
    arrays::write(&dir.path().join("long.npz"), &[("x", signals(50, 3, 3))]);
    let (shape, mut x) = signals(50, 2, 3);
    x[7] = f32::NAN;
    arrays::write(&dir.path().join("nan.npz"), &[("x", (shape, x))]);
    arrays::write(&dir.path().join("empty.npz"), &[("x", (vec![0, 2], Vec::new()))]);
    std::fs::create_dir(dir.path().join("folder")).expect("a directory");
    std::fs::write(dir.path().join("tiny.toml"), config("0.2")).expect("a file");
    let refused = |settings: &[&str], expected: &str| {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let output = run(dir.path(), &[&["train", "tiny.toml", "--out", "run"], &settings[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{settings:?}: {said}");
        assert!(!dir.path().join("run").exists());
    };
    refused(&["clean.path=long.npz"], "tensor `x` has shape [50, 3]; expected [n, 2]");
    refused(&["clean.path=nan.npz"], "the value at [3, 1] is NaN");
    refused(&["clean.path=empty.npz"], "expected at least one row");
    refused(&["clean.path=none.npz"], "none.npz");
    refused(&["clean.path=folder"], "expected a file with x [h, d]");
    refused(&["clean.weight=1.0"], "clean.weight: expected a number in [0, 1), found 1");
    let masks = [r#"channel=[{kind="mask",rate=0.5}]"#, "method.kind=ambient"];
    refused(&masks, "method.kind: this method trains on the observations themselves and takes no clean signals");
}

#[test]
fn a_folder_of_clean_pictures_is_read_at_the_size_of_the_signals() {
    let dir = tempfile::tempdir().expect("a directory");
    pictures::faces(&dir.path().join("clean"), 3);
    pictures::faces(&dir.path().join("seen"), 20);
    let config = "name = \"mine\"\ndata = { kind = \"images\", path = \"seen\", height = 8, width = 8, test = 0 }\n\
                  channel = [{ kind = \"blur\", sigma = 1.0 }, { kind = \"noise\", std = 0.01 }]\n\
                  network = { kind = \"mlp\", width = 16, depth = 1 }\nclean = { path = \"clean\" }\n";
    std::fs::write(dir.path().join("mine.toml"), config).expect("a file");
    let said = succeed(dir.path(), &["check", "mine.toml"]);
    assert!(said.contains("trained with 3 clean signals of weight 0.2"), "{said}");
}
