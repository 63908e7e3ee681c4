//! What goes wrong on the way to the browser.

use super::{empty, fails, trained};
use snapbox::str;

#[test]
fn an_export_that_does_not_say_for_what() {
    fails(&trained(), &["export", "run"], str![]);
}

#[test]
fn an_export_to_a_file_of_another_kind_or_nowhere() {
    fails(&trained(), &["export", "run", "--web", "--out", "posterior.bin"], str![]);
    fails(&trained(), &["export", "run", "--web", "--out", "none/posterior.safetensors"], str![]);
}

#[test]
fn an_export_of_nothing() {
    fails(&empty(), &["export", "run", "--web"], str![]);
    fails(&trained(), &["export", "run", "--web", "--lap", "3"], str![]);
}

#[test]
fn a_page_that_was_not_built() {
    fails(&trained(), &["serve", "run"], str![]);
    fails(&trained(), &["serve", "run", "--site", "run"], str![]);
}
