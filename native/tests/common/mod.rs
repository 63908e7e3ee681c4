//! Runs the command as a user does and inspects the files that it leaves on disk.

// Every test file uses only a part of this module.
#![allow(dead_code)]

pub mod arrays;
pub mod pictures;

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// 512 observations of a 2-D Gaussian through one random projection each, and two laps of a very small
/// network: one second of work. The state is saved at every event.
pub const TINY: &str = r#"name = "tiny"

[data]
kind = "gaussian"
n = 512
std = [1.0, 0.5]
correlation = 0.3

[[channel]]
kind = "projection"
rows = 1

[[channel]]
kind = "noise"
std = 0.3

[em]
laps = 2

[network]
kind = "mlp"
width = 16
depth = 1
embedding = 8

[m_step]
steps = 60
batch = 64
micro_batch = 32

[e_step]
shard = 32
sampler = { kind = "ddpm", steps = 20 }

[monitor]
points = 64

[report]
points = 64
save_every = 0.0
"#;

/// The command with `args` in the directory `at`, isolated from the terminal and the environment of the test
/// process.
pub fn diffem(at: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diffem"));
    command.args(args).current_dir(at).stdin(Stdio::null());
    for variable in ["COLUMNS", "RUST_BACKTRACE", "RAYON_NUM_THREADS", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1");
    command
}

/// Runs the command until it ends.
pub fn run(at: &Path, args: &[&str]) -> Output {
    diffem(at, args).output().expect("the command starts")
}

/// Runs the command, which must succeed, and returns its standard output.
pub fn succeed(at: &Path, args: &[&str]) -> String {
    let output = run(at, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "diffem {args:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Trains `config` in `at/out`.
pub fn train(at: &Path, config: &str, out: &str, more: &[&str]) {
    let file = format!("{out}.toml");
    std::fs::write(at.join(&file), config).expect("a writable directory");
    succeed(at, &[&["train", &file, "--out", out, "--progress", "quiet"], more].concat());
}

/// Returns all files below `dir` with their bytes.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(dir, dir, &mut found);
    found
}

fn collect(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(root).expect("below").display().to_string();
        match path.is_dir() {
            true => {
                // A directory gets an entry of its own, so that an empty one counts too.
                found.insert(name + "/", Vec::new());
                collect(root, &path, found);
            }
            false => _ = found.insert(name, std::fs::read(&path).expect("a file")),
        }
    }
}

/// Copies the directory `from` to `to`.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a new directory");
    for (name, bytes) in files(from) {
        match name.strip_suffix('/') {
            Some(dir) => std::fs::create_dir_all(to.join(dir)).expect("a new directory"),
            None => std::fs::write(to.join(name), bytes).expect("a new file"),
        }
    }
}

/// Returns the lines of metrics.jsonl without times.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics.jsonl");
    let timeless = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("a JSON line");
        let fields = line.as_object_mut().expect("an object");
        assert!(fields.remove("seconds").is_some() && fields.remove("time").is_some());
        // Ranks say where their time went.
        fields.remove("ranks");
        line
    };
    text.lines().map(timeless).collect()
}

/// Returns the files of the laps by name.
pub fn laps(run: &Path) -> BTreeMap<String, Vec<u8>> {
    files(run).into_iter().filter(|(name, _)| name.starts_with("lap-")).collect()
}

/// Asserts that two runs have the same laps, byte for byte, and the same metrics.
pub fn assert_same_run(found: &Path, expected: &Path) {
    let (a, b) = (laps(found), laps(expected));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let different: Vec<&String> = a.keys().filter(|name| a[*name] != b[*name]).collect();
    assert!(different.is_empty(), "different: {different:?}");
    assert_eq!(metrics(found), metrics(expected));
    assert!(!found.join("state.safetensors").exists(), "a finished run has no state inside a lap");
}

/// Returns the output of `args` with `--dry-run`.
pub fn estimate(at: &Path, args: &[&str]) -> Value {
    let said = succeed(at, &[args, &["--dry-run", "--progress", "json"]].concat());
    serde_json::from_str(&said).expect("one JSON object")
}

/// Returns the number at `at` (a JSON pointer) in `value`.
pub fn number(value: &Value, at: &str) -> f64 {
    value.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at} of {value}"))
}
