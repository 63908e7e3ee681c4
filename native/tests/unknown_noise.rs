//! Noise whose level the configuration leaves open.

mod common;

use common::arrays::{self, Array};
use common::{run, succeed};
use std::path::Path;

const D: usize = 6;
const CONFIG: &str = r#"
name = "unknown"
data = { kind = "file", path = "seen.npz", signal = 6 }
channel = [{ kind = "noise", std = "unknown" }]
network = { kind = "mlp", width = 16, depth = 1, embedding = 8 }
em = { laps = 1 }
m_step = { steps = 20, batch = 64 }
e_step = { sampler = { kind = "heun", steps = 4 } }
report = { points = 0 }
"#;

/// Signals near a plane of two dimensions.
fn plane(n: usize) -> Array {
    let wave = |i: usize, k: usize| ((i * (k + 3)) as f32 * 0.618).sin() * 2.0;
    let value = |i: usize, j: usize| wave(i, 0) * (j as f32 * 0.7).cos() + wave(i, 1) * (j as f32 * 0.7).sin();
    (vec![n, D], (0..n * D).map(|k| value(k / D, k % D)).collect())
}

fn fail(at: &Path, args: &[&str]) -> String {
    let output = run(at, args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn std_of(run: &Path) -> f64 {
    let config = std::fs::read_to_string(run.join("config.toml")).expect("a configuration");
    let config: toml::Table = config.parse().expect("TOML");
    config["channel"][0]["std"].as_float().expect("a number")
}

#[test]
fn a_run_notes_the_noise_that_its_observations_show() {
    let dir = tempfile::tempdir().expect("a directory");
    arrays::write(&dir.path().join("clean.npz"), &[("x", plane(800))]);
    std::fs::write(dir.path().join("unknown.toml"), CONFIG).expect("a file");
    let channel = r#"[{ kind = "noise", std = 0.3 }]"#;
    succeed(dir.path(), &["corrupt", "clean.npz", "--channel", channel, "--out", "seen.npz"]);
    let checked = succeed(dir.path(), &["check", "unknown.toml"]);
    assert!(checked.contains("the noise was unknown"), "{checked}");
    succeed(dir.path(), &["train", "unknown.toml", "--progress", "quiet", "--out", "run"]);
    let found = std_of(&dir.path().join("run"));
    assert!((found / 0.3 - 1.0).abs() < 0.05, "{found}");
    succeed(dir.path(), &["sample", "run", "--draws", "2", "--out", "draws.npz"]);
    succeed(dir.path(), &["resume", "run", "--set", "em.laps=2", "--progress", "quiet"]);
    assert_eq!(std_of(&dir.path().join("run")), found);
}

#[test]
fn noise_that_is_added_needs_a_number() {
    let dir = tempfile::tempdir().expect("a directory");
    arrays::write(&dir.path().join("clean.npz"), &[("x", plane(8))]);
    let channel = r#"[{ kind = "noise", std = "unknown" }]"#;
    let said = fail(dir.path(), &["corrupt", "clean.npz", "--channel", channel, "--out", "seen.npz"]);
    assert!(said.contains("noise that is added here needs a number"), "{said}");
    let set = format!("channel={channel}");
    let said = fail(dir.path(), &["train", "digits", "--set", &set, "--set", "method.imputed_weight=1.0"]);
    assert!(said.contains("\"unknown\" is for observations that are read from files"), "{said}");
    let word = fail(
        dir.path(),
        &["corrupt", "clean.npz", "--channel", r#"[{ kind = "noise", std = "little" }]"#, "--out", "x.npz"],
    );
    assert!(word.contains("expected a number >= 0, or \"unknown\""), "{word}");
}
