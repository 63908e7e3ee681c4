//! Bad input: exit code 2, a message that names the place and the way out, and nothing made, changed or left behind.

mod common;

use common::arrays::{self, Array, signals};
use common::{TINY, copy, diffem, files, run, succeed, train};
use snapbox::data::Inline;
use snapbox::{Data, IntoData, assert_data_eq, str};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

/// A directory with `c.toml`, a configuration for observations of 2-D signals in a file.
fn empty() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let data = "kind = \"file\"\npath = \"o.safetensors\"\nsignal = 2\n";
    let (head, rest) = TINY.split_once("kind = \"gaussian\"").expect("data");
    let (_, rest) = rest.split_once("correlation = 0.3\n").expect("data");
    std::fs::write(dir.path().join("c.toml"), [head, data, rest].concat()).expect("a file");
    dir
}

/// [`empty`] with a finished run of two laps in `run`.
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

/// The command must fail with exactly this message and leave every file as it was.
fn fails(dir: &TempDir, args: &[&str], message: Inline) {
    fails_with(diffem(dir.path(), args), dir, message);
}

fn fails_with(mut command: Command, dir: &TempDir, message: Inline) {
    let before = files(dir.path());
    let output = command.output().expect("the command starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_data_eq!(Data::text(stderr).raw(), message.into_data().raw());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let after = files(dir.path());
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let damage: Vec<&String> = before.keys().chain(after.keys()).filter(differs).collect();
    assert!(damage.is_empty(), "made, changed or removed: {damage:?}");
}

fn y() -> (&'static str, Array) {
    ("y", signals(20, 1, 1))
}

fn a() -> (&'static str, Array) {
    ("a", (vec![20, 1, 2], signals(20, 2, 2).1))
}

/// Training on a file of `observations` must fail.
fn observations_fail(observations: &[(&str, Array)], message: Inline) {
    let dir = empty();
    arrays::write(&dir.path().join("o.safetensors"), observations);
    fails(&dir, &["train", "c.toml", "--out", "new"], message);
}

/// Training on the file `name` with these bytes must fail.
fn file_fails(name: &str, bytes: &[u8], message: Inline) {
    let dir = empty();
    std::fs::write(dir.path().join(name), bytes).expect("a file");
    fails(&dir, &["train", "c.toml", "--out", "new", "--observations", name], message);
}

/// Training with `--set setting` must fail.
fn setting_fails(setting: &str, message: Inline) {
    let dir = empty();
    arrays::write(&dir.path().join("o.safetensors"), &[y(), a()]);
    fails(&dir, &["train", "c.toml", "--out", "new", "--set", setting], message);
}

/// Replaces a file of the run by what `change` makes of it.
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

// Observations.

#[test]
fn observations_without_y() {
    observations_fail(
        &[a()],
        str![[r#"
error: o.safetensors: there is no tensor `y`; the file holds `a`. Save it under that name

"#]],
    );
}

#[test]
fn observations_without_operators() {
    observations_fail(
        &[y()],
        str![[r#"
error: o.safetensors: there is no tensor `a`; the file holds `y`. Save it under that name

"#]],
    );
}

#[test]
fn observations_of_another_rank() {
    observations_fail(
        &[("y", (vec![20], signals(20, 1, 1).1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20]; expected [n, 1] (one observation a row). Add the missing axis, for example `y.reshape(n, -1)`

"#]],
    );
    observations_fail(
        &[("y", (vec![20, 1, 1], signals(20, 1, 1).1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20, 1, 1]; expected [n, 1] (one observation a row). Flatten each row, `y.reshape(len(y), -1)`, or choose another file

"#]],
    );
}

#[test]
fn observations_of_another_length() {
    observations_fail(
        &[("y", signals(20, 3, 1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20, 3]; expected [n, 1] (one observation a row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn operators_of_another_shape() {
    observations_fail(
        &[y(), ("a", (vec![20, 2, 1], a().1.1))],
        str![[r#"
error: o.safetensors: tensor `a` has shape [20, 2, 1]; expected [n, 1, 2] (one operator a row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn operators_of_another_count() {
    observations_fail(
        &[y(), ("a", (vec![19, 1, 2], signals(19, 2, 2).1))],
        str![[r#"
error: o.safetensors: tensor `a` has 19 rows and `y` has 20; expected one row of `a` for every observation

"#]],
    );
}

#[test]
fn truth_of_another_length() {
    observations_fail(
        &[y(), a(), ("x", signals(20, 3, 3))],
        str![[r#"
error: o.safetensors: tensor `x` has shape [20, 3]; expected [n, 2] (one signal a row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn values_that_are_not_finite() {
    let with = |at: usize, value: f32, (name, (shape, mut values)): (&'static str, Array)| {
        values[at] = value;
        (name, (shape, values))
    };
    observations_fail(
        &[with(7, f32::NAN, y()), a()],
        str![[r#"
error: o.safetensors: tensor `y`: the value at [7, 0] is NaN as float32; expected finite numbers. Repair or remove that row

"#]],
    );
    observations_fail(
        &[y(), with(23, f32::INFINITY, a())],
        str![[r#"
error: o.safetensors: tensor `a`: the value at [11, 0, 1] is inf as float32; expected finite numbers. Repair or remove that row

"#]],
    );
}

#[test]
fn a_single_observation() {
    observations_fail(
        &[("y", signals(1, 1, 1)), ("a", (vec![1, 1, 2], vec![1.0, 0.0]))],
        str![[r#"
error: o.safetensors: expected 2 or more observations, found 1

"#]],
    );
}

#[test]
fn a_file_cut_short() {
    let dir = empty();
    let path = dir.path().join("o.safetensors");
    arrays::write(&path, &[y(), a()]);
    let bytes = std::fs::read(&path).expect("a file");
    file_fails(
        "o.safetensors",
        &bytes[..bytes.len() - 5],
        str![[r#"
error: o.safetensors: the header promises 240 bytes of data and the file has 235: the file is damaged or cut short; write or copy it again

"#]],
    );
    file_fails(
        "o.safetensors",
        &bytes[..5],
        str![[r#"
error: o.safetensors: not a safetensors file: it is only 5 bytes long

"#]],
    );
}

#[test]
fn a_file_of_garbage() {
    file_fails(
        "o.npz",
        b"this is not a zip archive",
        str![[r#"
error: o.npz: not a whole .npz (zip) file: invalid Zip archive: Could not find EOCD

"#]],
    );
    file_fails(
        "o.safetensors",
        b"this is not a safetensors file",
        str![[r#"
error: o.safetensors: not a safetensors file, or cut short: its header of 2338328219631577204 bytes does not fit in it

"#]],
    );
    file_fails(
        "o.npy",
        b"this is not an array",
        str![[r#"
error: o.npy: tensor `y`: not an array in .npy format

"#]],
    );
}

#[test]
fn a_file_of_another_format() {
    file_fails(
        "o.pt",
        b"",
        str![[r#"
error: o.pt: unknown tensor format; expected a name that ends in .safetensors, .npz or .npy

"#]],
    );
}

#[test]
fn a_file_that_is_not_there() {
    fails(
        &empty(),
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: cannot read o.safetensors (check the path): No such file or directory (os error 2)

"#]],
    );
    fails(
        &empty(),
        &["train", "c.toml", "--out", "new", "--observations", "no/o.npz"],
        str![[r#"
error: cannot read no/o.npz (check the path): No such file or directory (os error 2)

"#]],
    );
}

// Configurations.

#[test]
fn a_configuration_that_is_not_there() {
    fails(
        &empty(),
        &["train", "manifld", "--out", "new"],
        str![[r#"
error: `manifld` is neither a preset (manifold, manifold-paper, digits, gaussian, gaussian-5d) nor a file

"#]],
    );
    fails(
        &empty(),
        &["config", "show", "no/c.toml"],
        str![[r#"
error: `no/c.toml` is neither a preset (manifold, manifold-paper, digits, gaussian, gaussian-5d) nor a file

"#]],
    );
}

#[test]
fn a_field_that_does_not_exist() {
    let dir = empty();
    let text = TINY.replace("shard = 32", "shards = 32");
    std::fs::write(dir.path().join("c.toml"), text).expect("a file");
    // The line is the one of the file, with or without settings.
    fails(
        &dir,
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: c.toml: TOML parse error at line 31, column 1
   |
31 | shards = 32
   | ^^^^^^
unknown field `shards`, expected `sampler` or `shard`

"#]],
    );
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--seed", "1"],
        str![[r#"
error: c.toml: TOML parse error at line 31, column 1
   |
31 | shards = 32
   | ^^^^^^
unknown field `shards`, expected `sampler` or `shard`

"#]],
    );
}

#[test]
fn a_file_that_is_not_toml() {
    let dir = empty();
    std::fs::write(dir.path().join("c.toml"), "name = \"tiny\n[data]\n").expect("a file");
    fails(
        &dir,
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: c.toml: TOML parse error at line 1, column 13
  |
1 | name = "tiny
  |             ^
invalid basic string, expected `"`

"#]],
    );
    std::fs::write(dir.path().join("c.toml"), b"name = \"\xff\"").expect("a file");
    fails(
        &dir,
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: c.toml: not UTF-8 text: invalid utf-8 sequence of 1 bytes from index 8

"#]],
    );
}

#[test]
fn settings_that_cannot_be_made() {
    setting_fails(
        "em.laps",
        str![[r#"
error: --set em.laps: expected key=value, such as em.laps=32

"#]],
    );
    setting_fails(
        "=3",
        str![[r#"
error: --set =3: expected key=value, such as em.laps=32

"#]],
    );
    setting_fails(
        "em.laps=many",
        str![[r#"
error: c.toml with --set em.laps=many: TOML parse error at line 30, column 8
   |
30 | laps = "many"
   |        ^^^^^^
invalid type: string "many", expected a whole number, 0 or more

"#]],
    );
    setting_fails(
        "em.lapse=3",
        str![[r#"
error: c.toml with --set em.lapse=3: TOML parse error at line 31, column 1
   |
31 | lapse = 3
   | ^^^^^
unknown field `lapse`, expected one of `laps`, `patience`, `start`

"#]],
    );
    setting_fails(
        "channel.0.rows=3",
        str![[r#"
error: --set channel.0.rows=3: `channel` has no fields; set all of it, `channel=...`

"#]],
    );
    setting_fails(
        "em=3",
        str![[r#"
error: c.toml with --set em=3: TOML parse error at line 1, column 6
  |
1 | em = 3
  |      ^
invalid type: integer `3`, expected a table of settings, EmConfig

"#]],
    );
    setting_fails(
        "data.signal=2.5",
        str![[r#"
error: c.toml with --set data.signal=2.5: TOML parse error at line 16, column 1
   |
16 | [data]
   | ^^^^^^
invalid type: floating point `2.5`, expected a whole number, 0 or more

"#]],
    );
    setting_fails(
        "m_step.ema=high",
        str![[r#"
error: c.toml with --set m_step.ema=high: TOML parse error at line 42, column 7
   |
42 | ema = "high"
   |       ^^^^^^
invalid type: string "high", expected a number

"#]],
    );
    setting_fails(
        "channel=noise",
        str![[r#"
error: c.toml with --set channel=noise: TOML parse error at line 1, column 11
  |
1 | channel = "noise"
  |           ^^^^^^^
invalid type: string "noise", expected a list, [...]

"#]],
    );
    setting_fails(
        "name=runs/mine",
        str![[r#"
error: c.toml with --set name=runs/mine: name: expected a word that can be part of a file name, found "runs/mine"

"#]],
    );
    setting_fails(
        "e_step.sampler.kind=euler",
        str![[r#"
error: c.toml with --set e_step.sampler.kind=euler: TOML parse error at line 25, column 8
   |
25 | kind = "euler"
   |        ^^^^^^^
unknown variant `euler`, expected one of `ddpm`, `ddim`, `heun`, `dpmpp2m`, `dpmpp2m-sde`, `pc`

"#]],
    );
}

#[test]
fn settings_out_of_range() {
    setting_fails(
        "em.laps=0",
        str![[r#"
error: c.toml with --set em.laps=0: em.laps: expected 1 or more, found 0

"#]],
    );
    setting_fails(
        "schedule.sigma_max=0.0001",
        str![[r#"
error: c.toml with --set schedule.sigma_max=0.0001: schedule.sigma_max: expected a number > sigma_min = 0.001, found 0.0001

"#]],
    );
    setting_fails(
        "m_step.ema=1.0",
        str![[r#"
error: c.toml with --set m_step.ema=1.0: m_step.ema: expected a number in [0, 1), found 1

"#]],
    );
    setting_fails(
        "seed=-1",
        str![[r#"
error: c.toml with --set seed=-1: TOML parse error at line 2, column 8
  |
2 | seed = -1
  |        ^^
invalid value: integer `-1`, expected a whole number, 0 or more

"#]],
    );
    setting_fails(
        "channel=[{ kind = \"noise\", std = -0.1 }]",
        str![[r#"
error: c.toml with --set channel=[{ kind = "noise", std = -0.1 }]: channel[0].std: expected a number >= 0, found -0.1

"#]],
    );
    setting_fails(
        "channel=[{ kind = \"noise\", std = 0.1 }, { kind = \"mask\", rate = 1.5 }]",
        str![[r#"
error: c.toml with --set channel=[{ kind = "noise", std = 0.1 }, { kind = "mask", rate = 1.5 }]: channel[1].rate: expected a number in [0, 1), found 1.5

"#]],
    );
    setting_fails(
        "channel=[]",
        str![[r#"
error: c.toml with --set channel=[]: channel: expected one or more stages

"#]],
    );
    setting_fails(
        "e_step.shard=4611686018427387904",
        str![[r#"
error: c.toml with --set e_step.shard=4611686018427387904: e_step.shard: expected at most 16777216, found 4611686018427387904

"#]],
    );
}

#[test]
fn a_seed_that_no_configuration_can_hold() {
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--seed", "18446744073709551615"],
        str![[r#"
error: invalid value '18446744073709551615' for '--seed <SEED>': 18446744073709551615 is not in 0..=9223372036854775807

For more information, try '--help'.

"#]],
    );
}

// Places.

#[test]
fn a_run_below_a_file() {
    fails(
        &empty(),
        &["train", "gaussian", "--out", "c.toml/new"],
        str![[r#"
error: cannot write in directory c.toml/new (a file stands where a directory is needed; move it, or choose another place): Not a directory (os error 20)

"#]],
    );
}

#[test]
fn a_run_on_top_of_another() {
    fails(
        &trained(),
        &["train", "gaussian", "--out", "run"],
        str![[r#"
error: run is not empty: continue that run with `diffem resume run`, or choose another --out

"#]],
    );
}

#[test]
fn a_run_in_a_directory_in_use() {
    let dir = empty();
    std::fs::create_dir(dir.path().join("mine")).expect("a directory");
    std::fs::write(dir.path().join("mine/thesis.tex"), "all of it").expect("a file");
    fails(
        &dir,
        &["train", "gaussian", "--out", "mine"],
        str![[r#"
error: mine is not empty: it holds no run; empty it, or choose another --out

"#]],
    );
}

#[test]
fn a_start_that_is_not_there() {
    let start = ["--set", "em.start.kind=checkpoint", "--set", "em.start.path=nowhere"];
    fails(
        &empty(),
        &[&["train", "gaussian", "--out", "new"], &start[..]].concat(),
        str![[r#"
error: em.start.path: nowhere is not a run directory: it has no config.toml; make one with `diffem train`

"#]],
    );
}

#[test]
fn a_directory_that_is_no_run() {
    for args in [["resume", "."], ["sample", "."], ["evaluate", "."], ["plot", "."]] {
        fails(
            &empty(),
            &args,
            str![[r#"
error: . is not a run directory: it has no config.toml; make one with `diffem train`

"#]],
        );
    }
}

// Runs.

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
    fails(
        &dir,
        &["sample", "run"],
        str![[r#"
error: run/lap-001/ema.safetensors: cannot use these weights; restore the run's files, or choose another lap: checkpoint: tensor `hidden.0.linear.weight` has shape [15, 16], the network of this config needs [15, 32]

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
    // The way out that the message names.
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
error: run/lap-002/state.safetensors: it holds reconstructions [512, 2] and run/observations.safetensors holds 20 observations of signals of length 2; put the run's own files back

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

/// A process that trains in `dir/run` for long, ended when dropped.
struct Training(std::process::Child);

impl Training {
    fn begin(dir: &Path) -> Self {
        let args = ["train", "gaussian", "--out", "run", "--set", "m_step.steps=1000000", "--progress", "quiet"];
        let child = diffem(dir, &args).stderr(Stdio::null()).spawn().expect("the command starts");
        let begun = dir.join("run/lap-000/DONE");
        while !begun.exists() {
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
        assert_data_eq!(
            Data::text(String::from_utf8_lossy(&output.stderr).into_owned()).raw(),
            str![[r#"
error: run is being trained by another process; wait for it or stop it

"#]]
            .raw()
        );
        assert_eq!(std::fs::read(&config).expect("a file"), before);
    }
}

// Devices and sizes.

#[test]
fn devices_that_do_not_exist() {
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--device", "quantum"],
        str![[r#"
error: --device quantum: expected flex, ndarray, wgpu, cuda, cuda:n or auto

"#]],
    );
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--device", "flex:1"],
        str![[r#"
error: --device flex:1: only cuda takes a number

"#]],
    );
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--device", "auto:1"],
        str![[r#"
error: --device auto:1: only cuda takes a number

"#]],
    );
}

#[cfg(not(feature = "cuda"))]
#[test]
fn devices_that_this_build_lacks() {
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--device", "cuda"],
        str![[r#"
error: --device cuda: this build has no cuda; build it with `cargo build --release --features cuda`

"#]],
    );
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--device", "cuda:1"],
        str![[r#"
error: --device cuda:1: this build has no cuda; build it with `cargo build --release --features cuda`

"#]],
    );
}

#[test]
fn numbers_of_threads() {
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--threads", "0"],
        str![[r#"
error: --threads 0: expected 1 to 1024

"#]],
    );
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--threads", "1000000"],
        str![[r#"
error: --threads 1000000: expected 1 to 1024

"#]],
    );
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--threads", "two"],
        str![[r#"
error: invalid value 'two' for '--threads <N>': invalid digit found in string

For more information, try '--help'.

"#]],
    );
}

// Commands on a run.

#[test]
fn numbers_of_draws() {
    fails(
        &trained(),
        &["sample", "run", "--draws", "0"],
        str![[r#"
error: --draws 0: expected 1 or more

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--draws", "999999999999999999"],
        str![[r#"
error: --draws 999999999999999999: 512 observations with as many draws of 2 values each are more than 4294967296 values; expected fewer draws

"#]],
    );
    fails(
        &trained(),
        &["evaluate", "run", "--draws", "0"],
        str![[r#"
error: --draws 0: expected 1 or more

"#]],
    );
    fails(
        &trained(),
        &["plot", "run", "--draws", "1"],
        str![[r#"
error: --draws 1: expected 2 to 65536

"#]],
    );
    fails(
        &trained(),
        &["plot", "run", "--draws", "9999999999999999"],
        str![[r#"
error: --draws 9999999999999999: expected 2 to 65536

"#]],
    );
}

#[test]
fn observations_that_do_not_fit_the_run() {
    let dir = trained();
    arrays::write(&dir.path().join("o.npz"), &[("y", signals(20, 3, 1)), a()]);
    fails(
        &dir,
        &["sample", "run", "--observations", "o.npz"],
        str![[r#"
error: o.npz: tensor `y` has shape [20, 3]; expected [n, 1] (one observation a row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn results_that_cannot_be_written() {
    fails(
        &trained(),
        &["sample", "run", "--out", "no/x.npz"],
        str![[r#"
error: cannot write no/x.npz (create the directory no first): No such file or directory (os error 2)

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--out", "x.csv"],
        str![[r#"
error: x.csv: unknown tensor format; expected a name that ends in .safetensors or .npz

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--out", "run"],
        str![[r#"
error: run: unknown tensor format; expected a name that ends in .safetensors or .npz

"#]],
    );
}

#[test]
fn laps_that_are_not_there() {
    fails(
        &trained(),
        &["sample", "run", "--lap", "7"],
        str![[r#"
error: lap 7 is not finished: run has laps 1 to 2

"#]],
    );
    fails(
        &trained(),
        &["evaluate", "run", "--laps", "0,7"],
        str![[r#"
error: --laps: lap 7 is not finished; run has laps 0 to 2

"#]],
    );
}

#[test]
fn scores_without_a_truth() {
    let dir = trained();
    std::fs::remove_file(dir.path().join("run/truth.safetensors")).expect("a file");
    fails(
        &dir,
        &["evaluate", "run"],
        str![[r#"
error: run has no truth to compare with: pass --truth FILE with clean signals x [n, d]

"#]],
    );
    arrays::write(&dir.path().join("x.npz"), &[("x", signals(20, 3, 1))]);
    fails(
        &dir,
        &["evaluate", "run", "--truth", "x.npz"],
        str![[r#"
error: x.npz: tensor `x` has shape [20, 3]; expected [n, 2] (one signal a row). Change the sizes in the configuration, or choose another file

"#]],
    );
    arrays::write(&dir.path().join("x.npz"), &[("x", signals(5, 2, 1))]);
    fails(
        &dir,
        &["evaluate", "run", "--truth", "x.npz"],
        str![[r#"
error: x.npz: expected 6 or more signals, found 5

"#]],
    );
    fails(
        &dir,
        &["evaluate", "run", "--points", "1"],
        str![[r#"
error: --points 1: expected 2 or more

"#]],
    );
}

#[test]
fn figures_of_observations_that_are_not_there() {
    fails(
        &trained(),
        &["plot", "run", "--observations", "0,512"],
        str![[r#"
error: --observations 512: the run has observations 0 to 511 to show

"#]],
    );
}

// Corruption.

#[test]
fn signals_that_would_be_overwritten() {
    let dir = empty();
    arrays::write(&dir.path().join("x.npz"), &[("x", signals(20, 2, 1))]);
    fails(
        &dir,
        &["corrupt", "x.npz", "--config", "gaussian", "--out", "./x.npz"],
        str![[r#"
error: --out ./x.npz: that file holds the clean signals; name another

"#]],
    );
}

#[test]
fn channels_given_twice_or_not_at_all() {
    let dir = empty();
    arrays::write(&dir.path().join("x.npz"), &[("x", signals(20, 2, 1))]);
    fails(
        &dir,
        &["corrupt", "x.npz"],
        str![[r#"
error: the following required arguments were not provided:
  <--config <PRESET|FILE>|--channel <STAGES>>

Usage: diffem corrupt <--config <PRESET|FILE>|--channel <STAGES>> <CLEAN>

For more information, try '--help'.

"#]],
    );
    fails(
        &dir,
        &["corrupt", "x.npz", "--config", "gaussian", "--channel", "[]"],
        str![[r#"
error: the argument '--config <PRESET|FILE>' cannot be used with '--channel <STAGES>'

Usage: diffem corrupt <--config <PRESET|FILE>|--channel <STAGES>> <CLEAN>

For more information, try '--help'.

"#]],
    );
}

#[test]
fn channels_that_cannot_be_made() {
    let dir = empty();
    arrays::write(&dir.path().join("x.npz"), &[("x", signals(20, 2, 1))]);
    fails(
        &dir,
        &["corrupt", "x.npz", "--channel", "[{ kind = \"blur\" }]"],
        str![[r#"
error: --channel: TOML parse error at line 1, column 21
  |
1 | channel = [{ kind = "blur" }]
  |                     ^^^^^^
unknown variant `blur`, expected one of `projection`, `mask`, `noise`, `linear`

"#]],
    );
    let matrix = "[{ kind = \"linear\", matrix = [[1.0, 2.0, 3.0]] }]";
    fails(
        &dir,
        &["corrupt", "x.npz", "--channel", matrix],
        str![[r#"
error: channel[0].matrix: row 0 has 3 numbers, expected 2 (the signal's length)

"#]],
    );
}
