//! Directories in which no run can be created.

use super::{empty, fails, trained};
use snapbox::str;

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
    let start = ["--set", "init.kind=checkpoint", "--set", "init.path=nowhere"];
    fails(
        &empty(),
        &[&["train", "gaussian", "--out", "new"], &start[..]].concat(),
        str![[r#"
error: init.path: nowhere is not a run directory: it has no config.toml; make one with `diffem train`

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
