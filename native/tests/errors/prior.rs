//! Priors that do not exist or cannot be trained.

use super::common::succeed;
use super::{empty, fails, trained};
use snapbox::str;

#[test]
fn a_run_without_a_prior() {
    fails(
        &trained(),
        &["sample", "run", "--prior"],
        str![[r#"
error: run has no prior yet: train it with `diffem prior run`

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--prior", "--lap", "1"],
        str![[r#"
error: the argument '--prior' cannot be used with '--lap <LAP>'

Usage: diffem sample --prior <RUN>

For more information, try '--help'.

"#]],
    );
}

#[test]
fn laps_that_no_prior_can_learn() {
    fails(
        &trained(),
        &["prior", "run", "--lap", "7"],
        str![[r#"
error: --lap 7: that lap is not finished; run has laps 0 to 2

"#]],
    );
    let dir = trained();
    for lap in ["lap-001", "lap-002"] {
        std::fs::remove_dir_all(dir.path().join("run").join(lap)).expect("a lap");
    }
    fails(
        &dir,
        &["prior", "run"],
        str![[r#"
error: run has no finished lap yet: continue it with `diffem resume run`

"#]],
    );
    fails(
        &empty(),
        &["prior", "run"],
        str![[r#"
error: run is not a run directory: it has no config.toml; make one with `diffem train`

"#]],
    );
}

#[test]
fn priors_that_cannot_be_read() {
    let dir = trained();
    succeed(dir.path(), &["prior", "run", "--steps", "2", "--progress", "quiet"]);
    std::fs::write(dir.path().join("run/prior/ema.safetensors"), "garbage").expect("a file");
    fails(
        &dir,
        &["sample", "run", "--prior"],
        str![[r#"
error: run/prior/ema.safetensors: cannot use this prior; train it anew with `diffem prior`: checkpoint: not a whole safetensors file (header too small)

"#]],
    );
}
