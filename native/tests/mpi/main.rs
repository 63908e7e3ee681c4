//! Runs on several ranks of MPI write the bytes of one process, end together and go on in any number. Without `mpirun`
//! each test says that it is skipped.
#![cfg(feature = "mpi")]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod training;

use common::train;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A small U-Net with dropout on images of handwritten digits, three quarters of the pixels of which are missing.
const IMAGES: &str = r#"name = "images"
data = { kind = "digits", n = 200 }
channel = [{ kind = "noise", std = 0.05 }, { kind = "mask", rate = 0.5 }]
em = { laps = 2 }
network = { kind = "unet", channels = [8, 16], blocks = [1, 1], heads = [0, 2], embedding = 16, dropout = 0.1 }
m_step = { steps = 12, batch = 32, micro_batch = 4 }
e_step = { shard = 16, sampler = { kind = "ddpm", steps = 5 } }
report = { points = 0 }
"#;

/// Whether ranks can be started; says which test is skipped where they cannot.
fn can_start(test: &str) -> bool {
    let found = Command::new("mpirun").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("{test}: skipped, there is no mpirun");
    }
    found
}

/// `mpirun` for `ranks` ranks of the command in `at`, each with one worker thread.
fn mpirun(at: &Path, ranks: usize, args: &[&str]) -> Command {
    on(at, &[&["-n", &ranks.to_string()], program(args).as_slice()].concat())
}

/// The words that start the program with `args`.
fn program<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&[env!("CARGO_BIN_EXE_diffem")], args, &["--threads", "1"]].concat()
}

/// `mpirun` with `words`, isolated as [`diffem`] is. As root it has to be told twice.
fn on(at: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe"]).args(words).current_dir(at).stdin(Stdio::null());
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").env_remove("RAYON_NUM_THREADS");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory with the file `run.toml`, and the run of one process beside it in `alone`.
fn with_alone(config: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    train(dir.path(), config, "alone", &[]);
    std::fs::write(dir.path().join("run.toml"), config).expect("a file");
    dir
}

/// Trains `run.toml` on `ranks` ranks in `out`.
fn trained(at: &Path, ranks: usize, out: &str) {
    let output = mpirun(at, ranks, &["train", "run.toml", "--out", out]).output().expect("mpirun");
    assert!(output.status.success(), "{ranks} ranks: {}\n{}", output.status, said(&output));
}

/// Runs `words` under `mpirun`, which must be refused with one message that holds `expected`.
fn refused(at: &Path, words: &[&str], expected: &str) {
    let began = Instant::now();
    let output = on(at, words).output().expect("mpirun");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(expected) && said.matches("error:").count() == 1, "expected {expected}: {said}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
