//! Tests of the checks themselves, on made-up trees that contain circles and upward imports.

use crate::crates::Crate;
use crate::rules::{Floors, circles, upward};
use crate::source::Source;

const FLOORS: Floors = &[&["low"], &["middle"], &["high"], &["main"]];

/// A crate of these files, the root first.
fn house(files: &[(&str, &str)]) -> Crate {
    Crate::read(files[0].0, &|path| {
        files.iter().find(|(name, _)| std::path::Path::new(name) == path).map(|(_, text)| text.to_string())
    })
}

/// Three rooms on three floors with the given texts.
fn rooms(low: &str, middle: &str, high: &str) -> Crate {
    let root = "mod high; mod low; mod middle; use high::Top; fn main() { middle::run() }";
    house(&[("main.rs", root), ("low.rs", low), ("middle.rs", middle), ("high.rs", high)])
}

fn imports(found: &Crate) -> Vec<String> {
    found.imports().iter().map(|i| format!("{}>{}", i.from.join("::"), i.to.join("::"))).collect()
}

#[test]
fn imports_that_run_down_are_no_offense() {
    let found = rooms("pub struct L;", "use crate::low::L; pub fn run() {}", "pub struct Top(crate::middle::M);");
    assert_eq!(imports(&found), [">high", ">middle", "high>middle", "middle>low"]);
    assert!(upward(&found, FLOORS, "main").is_empty());
    assert!(circles(&found).is_empty());
}

#[test]
fn an_upward_import_is_found_with_its_file_line_and_floors() {
    let found = rooms("\n\nuse crate::high::Top;", "pub fn run() {}", "pub struct Top;");
    assert_eq!(upward(&found, FLOORS, "main"), ["low.rs:3: low (floor 0) imports high.rs of high (floor 2)"]);
}

#[test]
fn an_upward_path_inside_an_expression_is_found() {
    let found = rooms("fn f() -> u8 { if true { crate::high::one() } else { 0 } }", "", "pub fn one() -> u8 { 1 }");
    assert_eq!(upward(&found, FLOORS, "main").len(), 1);
}

#[test]
fn a_room_that_no_floor_names_is_found() {
    let found = house(&[("main.rs", "mod attic;"), ("attic.rs", "")]);
    assert_eq!(upward(&found, FLOORS, "main"), ["attic.rs: has no floor"]);
}

#[test]
fn a_circle_is_named_as_a_whole() {
    let found = rooms("use crate::middle::M;", "use crate::high::H; pub struct M;", "use crate::low::L; pub struct H;");
    assert_eq!(circles(&found), ["high.rs -> low.rs -> middle.rs -> high.rs"]);
}

#[test]
fn a_circle_of_two_children_is_found_and_declarations_make_none() {
    let root = "mod a; mod b; pub use a::A; pub use b::{B, C as D}; pub mod deep;";
    let files = |b| [("main.rs", root), ("a.rs", "use super::D; pub struct A;"), ("b.rs", b), ("deep/mod.rs", "")];
    assert!(circles(&house(&files("pub struct B; pub struct C;"))).is_empty());
    let found = house(&files("use crate::A; pub struct B; pub struct C;"));
    assert_eq!(circles(&found), ["a.rs -> b.rs -> a.rs"]);
}

#[test]
fn a_child_that_needs_its_parents_own_item_and_is_needed_makes_a_circle() {
    let files = |uses: &'static str| [("main.rs", uses), ("a.rs", "use super::Shared; pub fn f(_: Shared) {}")];
    assert!(circles(&house(&files("mod a; pub struct Shared;"))).is_empty());
    assert_eq!(
        circles(&house(&files("mod a; pub struct Shared; fn g() { a::f(Shared) }"))),
        ["main.rs -> a.rs -> main.rs"]
    );
}

#[test]
fn a_path_through_an_imported_module_counts_for_the_file_it_ends_in() {
    let found = house(&[
        ("main.rs", "mod inner; mod user;"),
        ("user.rs", "use crate::inner::{self as i, deep}; fn f() { i::one::f(); deep::g(); }"),
        ("inner/mod.rs", "pub mod one; pub mod deep;"),
        ("inner/one.rs", "pub fn f() {}"),
        ("inner/deep.rs", "pub fn g() {}"),
    ]);
    assert_eq!(imports(&found), ["user>inner::deep", "user>inner::one"]);
}

#[test]
fn names_of_a_glob_count_for_the_file_that_defines_them() {
    let found = house(&[
        ("main.rs", "mod a; mod b; pub use a::*; pub use b::*;"),
        ("a.rs", "pub fn f() {}"),
        ("b.rs", "use crate::f; pub fn g() {}"),
    ]);
    assert_eq!(imports(&found), ["b>a"]);
}

#[test]
fn comments_strings_and_tests_import_nothing() {
    let text = r##"
        //! use crate::high::Doc;
        /* use crate::high::A; /* nested */ use crate::high::B; */
        const A: &str = "crate::high::C"; const B: &str = r#"crate::high::"D"#; const C: char = '"';
        #[cfg(test)] use crate::high::{E, F};
        #[cfg(test)] mod tests { use crate::high::G; fn f<'a>() { crate::high::h() } }
        #[cfg(test)] pub fn only() { crate::high::i() }
        #[cfg(all(test, feature = "x"))] mod more;
        fn kept<'a>(_: &'a str) -> char { crate::middle::j(); 'x' }
    "##;
    let paths: Vec<String> = Source::parse(text).paths.iter().map(|found| found.path.join("::")).collect();
    assert_eq!(paths, ["crate::middle::j"]);
}

#[test]
fn trees_of_uses_are_taken_apart() {
    let text = "pub(crate) use a::{self, b::{C, d as e}, f::*}; use std::fmt::Write as _;";
    let found = Source::parse(text);
    let leaves: Vec<String> = found
        .paths
        .iter()
        .map(|found| format!("{}={} {}", found.alias.as_deref().unwrap_or("-"), found.path.join("::"), found.public))
        .collect();
    let wanted = ["a=a true", "C=a::b::C true", "e=a::b::d true", "*=a::f::* true", "_=std::fmt::Write false"];
    assert_eq!(leaves, wanted);
}

#[test]
fn inline_modules_reach_their_files_items_by_super() {
    let found = house(&[
        ("main.rs", "mod a; mod b;"),
        ("a.rs", "pub struct Own; mod inside { use super::Own; use super::super::b::B; }"),
        ("b.rs", "pub struct B;"),
    ]);
    assert_eq!(imports(&found), ["a>b"]);
}
