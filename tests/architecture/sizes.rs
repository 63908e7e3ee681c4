//! Sizes of files: no file of the core or of the command line is long, and a verb only reads its arguments,
//! makes one call and prints.

use std::path::{Path, PathBuf};

const MAX_LINES: usize = 350;
const MAX_LINES_OF_A_VERB: usize = 60;

/// Rust files below `dir`, which may be missing where this package is distributed without it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let below = paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn longer_than(folder: &str, most: usize) -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let lines = |path: &PathBuf| std::fs::read_to_string(path).expect("a readable file").lines().count();
    let counted = files(&dir).into_iter().map(|path| (lines(&path), path));
    counted.filter(|(lines, _)| *lines > most).map(|(lines, path)| format!("{}: {lines}", path.display())).collect()
}

#[test]
fn no_file_is_long() {
    let long = [longer_than("src", MAX_LINES), longer_than("native/src", MAX_LINES)].concat();
    assert!(long.is_empty(), "more than {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn verbs_are_short() {
    let long = longer_than("native/src/cmd", MAX_LINES_OF_A_VERB);
    assert!(long.is_empty(), "more than {MAX_LINES_OF_A_VERB} lines:\n{}", long.join("\n"));
}
