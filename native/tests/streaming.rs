//! Data sets larger than memory: observations, signals and reconstructions stay in memory-mapped files.
#![cfg(target_os = "linux")]

mod common;

use common::{TINY, arrays, diffem, pictures};
use std::path::Path;
use std::process::{Command, Output};

/// Number of images, each of 32 x 32 pixels.
const IMAGES: usize = 40_000;
/// Memory that a process may allocate, in kB: less than any two of x, y and a, which take 164 MB each.
const LIMIT: usize = 300_000;

/// Upper bound on the bytes that the test writes.
const ROOM: u64 = 4_000_000_000;

fn config() -> String {
    let (head, rest) = TINY.split_once("[data]").expect("data");
    let (_, rest) = rest.split_once("[em]").expect("em");
    let data = "[data]\nkind = \"idx\"\npath = \"data\"\nheight = 32\nwidth = 32\ntest = 0\n";
    let channel = "\n[[channel]]\nkind = \"noise\"\nstd = 0.1\n\n[[channel]]\nkind = \"mask\"\nrate = 0.4\n";
    [head, data, channel, "\n[init]\nkind = \"gaussian\"\nrank = 2\niterations = 1\n\n[em]", rest].concat()
}

/// Runs `diffem args` in `dir` with at most `limit` kB of its own memory, not counting pages of mapped files.
fn limited(dir: &Path, limit: usize, args: &[&str]) -> Output {
    let command = diffem(dir, args);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -d {limit} && exec \"$0\" \"$@\"")]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(dir).env("NO_COLOR", "1").output().expect("a shell")
}

/// A run trains and resumes in less memory than the data set takes.
#[test]
#[ignore = "slow: writes 2 GB"]
fn a_set_larger_than_memory_is_trained_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path();
    let free = fs4::available_space(at).expect("the file system's size");
    if free < ROOM {
        println!("SKIPPED: {} has {free} bytes free, {ROOM} are needed", at.display());
        return;
    }
    pictures::idx(&at.join("data"), "train-images-idx3-ubyte", IMAGES, 32);
    std::fs::write(at.join("config.toml"), config()).expect("a file");
    let settings = ["em.laps=1", "m_step.steps=3", "e_step.shard=256", "e_step.sampler.steps=2", "monitor.holdout=0"];
    let mut args = vec!["train", "config.toml", "--out", "run", "--threads", "2", "--progress", "quiet"];
    args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let output = limited(at, LIMIT, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shape = |file: &str, name: &str| arrays::read(&at.join("run").join(file), name).0;
    for (file, name) in [
        ("observations.safetensors", "y"),
        ("observations.safetensors", "a"),
        ("truth.safetensors", "x"),
        ("lap-001/reconstructions.safetensors", "x"),
    ] {
        assert_eq!(shape(file, name), [IMAGES, 1024], "{file}");
    }
    assert!(std::fs::read_dir(at.join("run")).expect("a run").flatten().all(|entry| {
        let name = entry.file_name().into_string().expect("UTF-8");
        !name.starts_with("e-step") && !name.starts_with(".tmp-")
    }));
    // The limit is effective: with little memory, the run does not resume.
    let resume = ["resume", "run", "--set", "em.laps=2", "--threads", "2", "--progress", "quiet"];
    assert!(!limited(at, LIMIT / 20, &resume).status.success());
    let output = limited(at, LIMIT, &resume);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(shape("lap-002/reconstructions.safetensors", "x"), [IMAGES, 1024]);
}
