//! Errors in the export to the browser.

use super::{empty, fails, trained};
use snapbox::str;

#[test]
fn an_export_that_does_not_say_for_what() {
    fails(
        &trained(),
        &["export", "run"],
        str![[r#"
error: the following required arguments were not provided:
  --web

Usage: diffem export --web <RUN>

For more information, try '--help'.

"#]],
    );
}

#[test]
fn an_export_to_a_file_of_another_kind_or_nowhere() {
    fails(
        &trained(),
        &["export", "run", "--web", "--out", "posterior.bin"],
        str![[r#"
error: --out posterior.bin: expected a name that ends in .safetensors

"#]],
    );
    fails(
        &trained(),
        &["export", "run", "--web", "--out", "none/posterior.safetensors"],
        str![[r#"
error: cannot write none/posterior.safetensors (create the directory none first): No such file or directory (os error 2)

"#]],
    );
}

#[test]
fn an_export_of_nothing() {
    fails(
        &empty(),
        &["export", "run", "--web"],
        str![[r#"
error: run is not a run directory: it has no config.toml; make one with `diffem train`

"#]],
    );
    fails(
        &trained(),
        &["export", "run", "--web", "--lap", "3"],
        str![[r#"
error: lap 3 is not finished: run has laps 1 to 2

"#]],
    );
}

#[test]
fn a_page_that_was_not_built() {
    fails(
        &trained(),
        &["serve", "run"],
        str![[r#"
error: --site web/site/dist: no built page there (no index.html); in the repository build it with `web/build.sh && npm --prefix web/site ci && npm --prefix web/site run build`

"#]],
    );
    fails(
        &trained(),
        &["serve", "run", "--site", "run"],
        str![[r#"
error: --site run: no built page there (no index.html); in the repository build it with `web/build.sh && npm --prefix web/site ci && npm --prefix web/site run build`

"#]],
    );
}
