//! Starts that fail after the run directory was created.

use super::common::arrays;
use super::{empty, fails};
use snapbox::str;

/// Twenty noiseless observations of the same coordinate are all zero.
#[test]
fn a_run_that_cannot_start_leaves_nothing() {
    let dir = empty();
    let a = (vec![20, 1, 2], [1.0, 0.0].repeat(20));
    arrays::write(&dir.path().join("o.safetensors"), &[("y", (vec![20, 1], vec![0.0; 20])), ("a", a)]);
    let noiseless = "channel=[{ kind = \"projection\", rows = 1 }]";
    std::fs::create_dir(dir.path().join("mine")).expect("a directory");
    for out in ["new", "mine"] {
        fails(
            &dir,
            &["train", "c.toml", "--out", out, "--progress", "quiet", "--set", noiseless],
            str![[r#"
error: o.safetensors: observations y: all values that are seen are 0: there is no spread to learn, check the file

"#]],
        );
    }
}
