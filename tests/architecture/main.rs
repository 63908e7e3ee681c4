//! The layers of the code: which file may import which, in the core, the command line and the browser's
//! module.

mod crates;
mod made_up;
mod rules;
mod sizes;
mod source;

use crates::Crate;
use rules::{Floors, circles, upward};
use std::path::{Path, PathBuf};

/// Rooms of the core, the lowest floor first.
const CORE: Floors = &[
    &["error", "parallel", "scratch", "samples", "ranks", "transfer"],
    &["noise"],
    &["image", "kernels"],
    &["basis"],
    &["channel", "check", "observations"],
    &["gaussian"],
    &["schedule"],
    &["optim", "network"],
    &["denoiser", "sampler"],
    &["conditioning"],
    &["method", "checkpoint"],
    &["metric", "baseline", "synthetic"],
    &["posterior"],
    &["em"],
    &["conformance"],
    &["guide", "lib"],
];

/// Rooms of the command line, the lowest floor first.
const COMMAND_LINE: Floors = &[
    &["files", "home", "device", "signals", "resources", "ranks"],
    &["data", "report"],
    &["config", "args"],
    &["run"],
    &["eval", "figures", "estimate"],
    &["check"],
    &["cmd", "readers"],
    &["lib"],
];

/// The crate whose root is `path`, from the workspace; `None` where this package came without it.
fn open(path: &str) -> Option<Crate> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    root.exists().then(|| Crate::open(&root))
}

fn assert_none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

#[test]
fn no_file_of_the_command_line_imports_upward() {
    let Some(command_line) = open("native/src/lib.rs") else { return };
    assert_none("imports up a floor", &upward(&command_line, COMMAND_LINE, "lib"));
}

#[test]
fn no_files_of_the_command_line_import_each_other_in_a_circle() {
    let Some(command_line) = open("native/src/lib.rs") else { return };
    assert_none("circles", &circles(&command_line));
}

#[test]
fn no_file_of_the_core_imports_upward() {
    let Some(core) = open("src/lib.rs") else { return };
    assert_none("imports up a floor", &upward(&core, CORE, "lib"));
}

#[test]
fn no_files_of_the_core_import_each_other_in_a_circle() {
    let Some(core) = open("src/lib.rs") else { return };
    assert_none("circles", &circles(&core));
}

#[test]
fn no_files_of_the_page_import_each_other_in_a_circle() {
    let Some(page) = open("web/src/lib.rs") else { return };
    assert_none("circles", &circles(&page));
}
