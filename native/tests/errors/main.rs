//! Bad input: the exit code is 2, the message names the place and the remedy, and no file is created or
//! changed.

mod channels;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod configs;
mod images;
mod observations;
mod places;
mod prior;
mod runs;
mod starts;
mod web;

use common::arrays::{Array, signals};
use common::{TINY, copy, diffem, files, train};
use snapbox::data::Inline;
use snapbox::{Data, IntoData, assert_data_eq};
use std::sync::LazyLock;
use tempfile::TempDir;

/// Returns a directory with `c.toml`, a configuration for observations of 2-D signals in a file.
fn empty() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let data = "kind = \"file\"\npath = \"o.safetensors\"\nsignal = 2\n";
    let (head, rest) = TINY.split_once("kind = \"gaussian\"").expect("data");
    let (_, rest) = rest.split_once("correlation = 0.3\n").expect("data");
    std::fs::write(dir.path().join("c.toml"), [head, data, rest].concat()).expect("a file");
    dir
}

/// Returns [`empty`] with a finished run of two laps in `run`.
fn trained() -> TempDir {
    static RUN: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = tempfile::tempdir().expect("a directory");
        train(dir.path(), TINY, "run", &[]);
        dir
    });
    let dir = empty();
    copy(&RUN.path().join("run"), &dir.path().join("run"));
    dir
}

/// Asserts that the command fails with exactly this message and leaves every file unchanged.
fn fails(dir: &TempDir, args: &[&str], message: Inline) {
    let before = files(dir.path());
    let output = diffem(dir.path(), args).output().expect("the command starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_data_eq!(Data::text(stderr).raw(), message.into_data().raw());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let after = files(dir.path());
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let damage: Vec<&String> = before.keys().chain(after.keys()).filter(differs).collect();
    assert!(damage.is_empty(), "made, changed or removed: {damage:?}");
}

/// Returns 20 observations of one number each, and their operators.
fn y() -> (&'static str, Array) {
    ("y", signals(20, 1, 1))
}

fn a() -> (&'static str, Array) {
    ("a", (vec![20, 1, 2], signals(20, 2, 2).1))
}
