//! Commands that draw from a run on several ranks.

use super::common::{diffem, files, succeed};
use super::{IMAGES, can_start, mpirun, program, refused, said, with_alone};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A run of nearly all digits, which leaves a few to be tested on, by one process.
fn run() -> tempfile::TempDir {
    with_alone(&IMAGES.replace("n = 200 }", "n = 1740 }"))
}

/// Runs the command on three ranks, which must succeed.
fn on_three(at: &Path, args: &[&str]) -> String {
    let output = mpirun(at, 3, args).output().expect("mpirun");
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn draws_of_three_ranks_are_those_of_one_process() {
    if !can_start("draws of three ranks") {
        return;
    }
    let dir = run();
    let at = dir.path();
    let commands: [(&[&str], &str); 4] = [
        (&["sample", "alone", "--draws", "3", "--out", "x.npz"], "x.npz"),
        (&["evaluate", "alone", "--laps", "all", "--draws", "3", "--progress", "quiet"], "alone/evaluation.json"),
        (&["evaluate", "alone", "--draws", "2", "--channel", CHANNEL], "alone/evaluation-channel.json"),
        (&["calibrate", "alone", "--draws", "9", "--signals", "21"], "alone/calibration.json"),
    ];
    for (args, file) in commands {
        let shown = succeed(at, args);
        let alone = fs::read(at.join(file)).expect(file);
        fs::remove_file(at.join(file)).expect("a file");
        assert_eq!(on_three(at, args), shown, "{args:?}");
        assert!(fs::read(at.join(file)).expect(file) == alone, "{file}");
    }
}

/// Less noise than the run was trained with.
const CHANNEL: &str = r#"[{ kind = "noise", std = 0.02 }, { kind = "mask", rate = 0.5 }]"#;

#[test]
fn a_prior_of_three_ranks_is_that_of_one_process() {
    if !can_start("a prior of three ranks") {
        return;
    }
    let dir = run();
    let at = dir.path();
    let train = ["prior", "alone", "--steps", "40", "--progress", "quiet"];
    let sample = ["sample", "alone", "--prior", "--draws", "50", "--out", "x.npz"];
    succeed(at, &train);
    let alone = files(&at.join("alone/prior"));
    succeed(at, &sample);
    let drawn = fs::read(at.join("x.npz")).expect("draws");
    fs::remove_dir_all(at.join("alone/prior")).expect("the prior");
    fs::remove_file(at.join("x.npz")).expect("draws");
    on_three(at, &train);
    assert!(files(&at.join("alone/prior")) == alone);
    on_three(at, &sample);
    assert!(fs::read(at.join("x.npz")).expect("draws") == drawn);
}

#[test]
fn commands_that_do_not_fit_are_refused_once() {
    if !can_start("commands that do not fit") {
        return;
    }
    let dir = run();
    let at = dir.path();
    let three = |args: &[&'static str]| [&["-n", "3"], program(args).as_slice()].concat();
    let before = files(&at.join("alone"));
    refused(at, &three(&["sample", "alone", "--lap", "7", "--out", "x.npz"]), "lap 7 is not finished");
    refused(at, &three(&["sample", "alone", "--draws", "0", "--out", "x.npz"]), "--draws 0: expected 1 or more");
    refused(at, &three(&["sample", "alone", "--prior", "--out", "x.npz"]), "has no prior yet");
    refused(at, &three(&["evaluate", "alone", "--laps", "9"]), "lap 9 is not finished");
    refused(at, &three(&["evaluate", "none"]), "none");
    refused(at, &three(&["calibrate", "alone", "--signals", "1"]), "--signals 1: expected 2 or more");
    let seed = |seed| program(&["sample", "alone", "--out", "x.npz", "--seed", seed]);
    let two = [&["-n", "1"], seed("1").as_slice(), &[":", "-n", "1"], seed("2").as_slice()].concat();
    refused(at, &two, "the ranks differ in the command: `1` on rank 0 and `2` on rank 1");
    assert!(!at.join("x.npz").exists() && files(&at.join("alone")) == before);
}

/// A copy of the program whose version is another one.
fn another_version(at: &Path) -> String {
    let (own, path) = (env!("CARGO_PKG_VERSION").as_bytes(), at.join("another"));
    let mut program = fs::read(env!("CARGO_BIN_EXE_diffem")).expect("the program");
    let places: Vec<usize> =
        (0..program.len() - own.len()).filter(|&i| program[i] == own[0] && program[i..].starts_with(own)).collect();
    places.into_iter().for_each(|place| program[place + own.len() - 1] = b'9');
    fs::write(&path, program).expect("a copy of the program");
    fs::set_permissions(&path, fs::metadata(env!("CARGO_BIN_EXE_diffem")).expect("the program").permissions())
        .expect("a program");
    path.display().to_string()
}

#[test]
fn ranks_of_two_versions_are_refused() {
    if !can_start("ranks of two versions") {
        return;
    }
    let dir = run();
    let at = dir.path();
    let other = another_version(at);
    let version = Command::new(&other).arg("--version").output().expect("the other version").stdout;
    let found = String::from_utf8(version).expect("UTF-8");
    assert!(found.contains(".9"), "{found}");
    let words = ["resume", "alone"];
    let two = [&["-n", "1"], program(&words).as_slice(), &[":", "-n", "1", other.as_str()], &words].concat();
    let expected = format!("the ranks differ in the version: `{}` on rank 0", env!("CARGO_PKG_VERSION"));
    refused(at, &two, &expected);
    let sample = ["sample", "alone", "--out", "x.npz"];
    let two = [&["-n", "1"], program(&sample).as_slice(), &[":", "-n", "1", other.as_str()], &sample].concat();
    refused(at, &two, &expected);
    assert!(diffem(at, &sample).status().expect("it runs").success());
}
