//! Invalid arguments of the commands.

use super::common::arrays::{self, signals};
use super::{a, empty, fails, trained};
use snapbox::str;

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

/// The loaders of Vulkan and OpenGL are redirected so that they find no drivers.
#[cfg(all(feature = "wgpu", target_os = "linux"))]
#[test]
fn devices_that_this_machine_lacks() {
    let output = super::diffem(empty().path(), &["train", "gaussian", "--out", "new", "--device", "wgpu"])
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
        .output()
        .expect("the command starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("error: --device wgpu: no device found; install a driver for Vulkan"), "{message}");
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
error: o.npz: tensor `y` has shape [20, 3]; expected [n, 1] (one observation per row). Change the sizes in the configuration, or choose another file

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
error: x.csv: unknown tensor format; expected a name that ends in .safetensors, .npz, .fits, .tif or .h5

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--out", "run"],
        str![[r#"
error: --out run: is not empty; expected a new folder

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
error: x.npz: tensor `x` has shape [20, 3]; expected [n, 2] (one signal per row). Change the sizes in the configuration, or choose another file

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
        &["corrupt", "x.npz", "--channel", "[{ kind = \"fog\" }]"],
        str![[r#"
error: --channel: TOML parse error at line 1, column 21
  |
1 | channel = [{ kind = "fog" }]
  |                     ^^^^^
unknown variant `fog`, expected one of `projection`, `mask`, `noise`, `linear`, `pixel-mask`, `block-mask`, `blur`, `downsample`, `poisson`, `saturation`, `quantization`, `jpeg`, `fourier-mask`, `kernel`, `multicoil`, `radon`, `poisson-gaussian`, `noise-level`, `self-mask`, `rotate-project`

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

#[test]
fn a_seed_that_is_given_twice() {
    fails(
        &empty(),
        &["compare", "c.toml", "--seeds", "0,1,0"],
        str![[r#"
error: --seeds: 0 is given twice, and a run would count twice; give each seed once

"#]],
    );
}
