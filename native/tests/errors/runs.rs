//! Runs that were edited or damaged, or that are in use.

use super::common::arrays;
use super::common::{diffem, run, succeed};
use super::{a, fails, trained, y};
use snapbox::{Data, IntoData, assert_data_eq, str};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// Replaces a file of the run by the result of `change`.
fn edit(dir: &TempDir, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = dir.path().join("run").join(name);
    let bytes = std::fs::read(&path).expect("a file");
    std::fs::write(path, change(bytes)).expect("a file");
}

fn replace(dir: &TempDir, name: &str, from: &str, to: &str) {
    edit(dir, name, |bytes| {
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(text.contains(from), "{name} has no {from}");
        text.replacen(from, to, 1).into_bytes()
    });
}

#[test]
fn a_run_whose_configuration_was_edited() {
    let dir = trained();
    replace(&dir, "config.toml", "width = 16", "width = 32");
    fails(
        &dir,
        &["resume", "run"],
        str![[r#"
error: run/lap-002/state.safetensors: network.width was 16 and is now 32; in a run that has begun only em.laps, em.patience and report.* may change: train another with `diffem train`

"#]],
    );
    let dir = trained();
    replace(&dir, "config.toml", "steps = 60", "steps = 61");
    fails(
        &dir,
        &["resume", "run"],
        str![[r#"
error: run/lap-002/state.safetensors: m_step.steps was 60 and is now 61; in a run that has begun only em.laps, em.patience and report.* may change: train another with `diffem train`

"#]],
    );
    let dir = trained();
    replace(&dir, "config.toml", "rows = 1", "rows = 2");
    fails(
        &dir,
        &["resume", "run"],
        str![[r#"
error: run/observations.safetensors: observations y: expected [n, 2], found [512, 1]

"#]],
    );
}

#[test]
fn settings_that_make_another_run() {
    fails(
        &trained(),
        &["resume", "run", "--set", "seed=5"],
        str![[r#"
error: run/config.toml: seed was 0 and is now 5; in a run that has begun only em.laps, em.patience and report.* may change: train another with `diffem train`

"#]],
    );
    fails(
        &trained(),
        &["resume", "run", "--set", "em.laps=4", "--set", "e_step.sampler.steps=9"],
        str![[r#"
error: run/config.toml: e_step.sampler.steps was 20 and is now 9; in a run that has begun only em.laps, em.patience and report.* may change: train another with `diffem train`

"#]],
    );
}

#[test]
fn settings_that_make_another_run_before_its_first_lap() {
    let dir = trained();
    for lap in ["lap-000", "lap-001", "lap-002"] {
        std::fs::remove_dir_all(dir.path().join("run").join(lap)).expect("a lap");
    }
    fails(
        &dir,
        &["resume", "run", "--set", "data.n=100"],
        str![[r#"
error: run/config.toml: data.n was 512 and is now 100; in a run that has begun only em.laps, em.patience and report.* may change: train another with `diffem train`

"#]],
    );
}

#[test]
fn a_damaged_state_of_a_lap() {
    let dir = trained();
    edit(&dir, "lap-002/state.safetensors", |bytes| bytes[..bytes.len() / 2].to_vec());
    fails(
        &dir,
        &["resume", "run", "--set", "em.laps=3"],
        str![[r#"
error: run/lap-002/state.safetensors: this state cannot be read; restore it, or delete it (in a lap, the whole directory of that lap) to go on from the point before it: checkpoint: not a whole safetensors file (incomplete metadata, file not fully covered)

"#]],
    );
}

#[test]
fn a_damaged_state_inside_a_lap() {
    let dir = trained();
    std::fs::write(dir.path().join("run/state.safetensors"), "garbage").expect("a file");
    fails(
        &dir,
        &["resume", "run"],
        str![[r#"
error: run/state.safetensors: this state cannot be read; restore it, or delete it (in a lap, the whole directory of that lap) to go on from the point before it: checkpoint: not a whole safetensors file (header too small)

"#]],
    );
    // The remedy that the message names works.
    std::fs::remove_file(dir.path().join("run/state.safetensors")).expect("a file");
    succeed(dir.path(), &["resume", "run"]);
}

#[test]
fn damaged_weights() {
    let dir = trained();
    edit(&dir, "lap-002/ema.safetensors", |_| b"garbage".to_vec());
    fails(
        &dir,
        &["sample", "run", "--lap", "2"],
        str![[r#"
error: run/lap-002/ema.safetensors: cannot use these weights; restore the run's files, or choose another lap: checkpoint: not a whole safetensors file (header too small)

"#]],
    );
}

#[test]
fn damaged_metrics() {
    let dir = trained();
    edit(&dir, "metrics.jsonl", |bytes| [b"garbage\n", &bytes[..]].concat());
    fails(
        &dir,
        &["resume", "run"],
        str![[r#"
error: run/metrics.jsonl: line 1 is not one that diffem wrote (expected value at line 1 column 1); restore or delete that line

"#]],
    );
    fails(
        &dir,
        &["plot", "run"],
        str![[r#"
error: run/metrics.jsonl: line 1 is not one that diffem wrote (expected value at line 1 column 1); restore or delete that line

"#]],
    );
}

#[test]
fn observations_of_another_run() {
    let dir = trained();
    let path = dir.path().join("run/observations.safetensors");
    arrays::write(&path, &[y(), a()]);
    fails(
        &dir,
        &["resume", "run", "--set", "em.laps=3"],
        str![[r#"
error: run/lap-002/state.safetensors: it belongs to reconstructions [512, 2] and run/observations.safetensors holds 20 observations of signals of length 2; put the run's own files back

"#]],
    );
}

#[test]
fn damaged_truth() {
    let dir = trained();
    edit(&dir, "truth.safetensors", |bytes| bytes[..100].to_vec());
    fails(
        &dir,
        &["evaluate", "run"],
        str![[r#"
error: run/truth.safetensors: not a safetensors file, or cut short: its header of 488 bytes does not fit in it

"#]],
    );
}

#[test]
fn a_damaged_start() {
    let dir = trained();
    edit(&dir, "start.safetensors", |bytes| bytes[..100].to_vec());
    fails(
        &dir,
        &["evaluate", "run", "--points", "64", "--draws", "2"],
        str![[r#"
error: run/start.safetensors: delete it, and it will be made again: checkpoint: not a whole safetensors file (invalid header length)

"#]],
    );
}

/// A process that trains in `dir/run` for a long time and ends when dropped.
struct Training(std::process::Child);

impl Training {
    fn begin(dir: &Path) -> Self {
        let args = ["train", "gaussian", "--out", "run", "--set", "m_step.steps=1000000", "--progress", "quiet"];
        let mut child = diffem(dir, &args).stderr(Stdio::null()).spawn().expect("the command starts");
        while !dir.join("run/lap-000/DONE").exists() {
            assert!(child.try_wait().expect("a process").is_none(), "the training ended");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_run_that_another_process_trains() {
    let dir = tempfile::tempdir().expect("a directory");
    let _training = Training::begin(dir.path());
    let config = dir.path().join("run/config.toml");
    let before = std::fs::read(&config).expect("a file");
    for settings in [&[][..], &["--set", "em.laps=9"]] {
        let output = run(dir.path(), &[&["resume", "run"], settings].concat());
        assert_eq!(output.status.code(), Some(2));
        let stderr = Data::text(String::from_utf8(output.stderr).expect("UTF-8"));
        assert_data_eq!(
            stderr.raw(),
            str![[r#"
error: run is being trained by another process; wait for it or stop it

"#]]
            .into_data()
            .raw()
        );
        assert_eq!(std::fs::read(&config).expect("a file"), before);
    }
}

#[test]
fn fewer_laps_than_are_finished() {
    fails(
        &trained(),
        &["resume", "run", "--set", "em.laps=1"],
        str![[r#"
error: em.laps=1: run has finished 2 laps already; give 2 or more. Every lap is kept: `diffem sample run --lap 1` and `diffem evaluate run --laps 1` use an earlier one

"#]],
    );
}

#[test]
fn the_start_has_no_posterior() {
    let dir = trained();
    fails(
        &dir,
        &["sample", "run", "--lap", "0", "--out", "x.npz"],
        str![[r#"
error: lap 0 is the start, which has no trained posterior: run has laps 1 to 2

"#]],
    );
}
