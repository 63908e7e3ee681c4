//! `diffem check` finds what is odd about observations, and finds nothing where nothing is.

mod common;

use common::arrays::{self, signals};
use common::{files, run, succeed};
use std::path::Path;
use tempfile::TempDir;

const ROWS: usize = 120;
const LENGTH: usize = 8;

const CONFIG: &str = r#"name = "mine"
data = { kind = "file", path = "o.npz", signal = 8 }
channel = [{ kind = "noise", std = 0.1 }, { kind = "mask", rate = 0.3 }]
network = { kind = "mlp", width = 16, depth = 1 }
m_step = { steps = 20, batch = 32 }
e_step = { sampler = { kind = "ddpm", steps = 4 } }
"#;

const QUESTIONS: [&str; 9] = [
    "What is there?",
    "Is the scale right?",
    "What is missing?",
    "Is the noise that of the channel?",
    "Does every value vary?",
    "Are rows repeated?",
    "Is it enough for the network?",
    "What does the start know?",
    "How long will it take?",
];

/// A directory with the configuration and observations without fault, changed by `change(row, column, y, a)`.
fn observed(change: impl Fn(usize, usize, &mut f32, &mut f32)) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("mine.toml"), CONFIG).expect("a file");
    let (shape, mut y) = signals(ROWS, LENGTH, 1);
    let mut a: Vec<f32> = (0..y.len()).map(|i| f32::from(u8::from((i * 7 + i / LENGTH * 3) % 10 > 2))).collect();
    for (i, (y, a)) in y.iter_mut().zip(&mut a).enumerate() {
        *y *= *a;
        change(i / LENGTH, i % LENGTH, y, a);
    }
    arrays::write(&dir.path().join("o.npz"), &[("y", (shape.clone(), y)), ("a", (shape, a))]);
    dir
}

/// The verdict on the observations in `dir`, from its first line on.
fn verdict(dir: &Path, more: &[&str]) -> String {
    let said = succeed(dir, &[&["check", "mine.toml"], more].concat());
    said.split_once("\nVerdict: ").unwrap_or_else(|| panic!("no verdict: {said}")).1.to_string()
}

/// What [`verdict`] says where one warning with these words is all there is.
fn assert_one_warning(dir: &Path, more: &[&str], expected: &str) {
    let said = verdict(dir, more);
    assert!(said.starts_with("1 warning\n  1. ") && said.contains(expected), "{expected}: {said}");
}

#[test]
fn observations_without_fault_are_ok_and_nothing_is_written() {
    let dir = observed(|_, _, _, _| {});
    let before = files(dir.path());
    let said = succeed(dir.path(), &["check", "mine.toml"]);
    assert!(said.starts_with("mine: y [120, 8], a [120, 8]\n") && said.ends_with("\nVerdict: ok\n"), "{said}");
    let places: Vec<_> = QUESTIONS.iter().map(|question| said.find(&format!("\n{question}\n  "))).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{said}");
    assert!(said.contains("120 observations of signals of 8 values") && said.contains("12 of them are held out"));
    assert!(said.contains("the channel says a standard deviation of 0.100"), "{said}");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn presets_whose_data_are_built_in_are_ok() {
    let dir = tempfile::tempdir().expect("a directory");
    for preset in ["digits", "gaussian", "gaussian-5d", "manifold"] {
        let said = succeed(dir.path(), &["check", preset]);
        assert!(said.ends_with("\nVerdict: ok\n"), "{said}");
    }
}

#[test]
fn a_value_that_never_changes_is_told() {
    let dir = observed(|_, column, y, a| *y = if column == 3 { 0.5 * *a } else { *y });
    assert_one_warning(dir.path(), &[], "value 3 is 0.5 in every row that shows it");
}

#[test]
fn repeated_rows_are_told() {
    let (_, y) = signals(ROWS, LENGTH, 1);
    let dir = observed(|row, column, v, a| {
        if (40..60).contains(&row) || row < 20 {
            (*v, *a) = (y[row % 20 * LENGTH + column], 1.0);
        }
    });
    assert_one_warning(
        dir.path(),
        &[],
        "row 40 repeats row 0, number by number, as 20 of 120 rows repeat an earlier one",
    );
    // Whole numbers meet by chance.
    let dir = observed(|_, column, y, _| *y = if column == 0 { y.round() } else { 0.0 });
    let short = r#"data={kind="file",path="o.npz",signal=8}"#;
    assert!(!verdict(dir.path(), &["--set", short]).contains("repeats row"));
}

#[test]
fn noise_that_is_not_there_is_told() {
    let dir = observed(|_, _, _, _| {});
    let noisy = |std: &str| format!(r#"channel=[{{kind="noise",std={std}}},{{kind="mask",rate=0.3}}]"#);
    assert_one_warning(dir.path(), &["--set", &noisy("3.0")], "less than the noise of 3.00e0 that the channel adds");
    assert_eq!(verdict(dir.path(), &["--set", &noisy("0.3")]), "ok\n");
}

/// Smooth pictures with normal noise of standard deviation `std`, from Knuth's generator.
fn pictures(std: f32) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let config = CONFIG.replace("signal = 8", "shape = { channels = 1, height = 8, width = 8 }");
    std::fs::write(dir.path().join("mine.toml"), config).expect("a file");
    let (_, noise) = signals(60 * 64, 6, 5);
    let (_, level) = signals(60, 3, 2);
    let value = |i: usize| {
        let (picture, row, column) = (i / 64, (i % 64 / 8) as f32 / 7.0, (i % 8) as f32 / 7.0);
        let [base, down, across] = [0, 1, 2].map(|k| level[picture * 3 + k] * 0.2);
        // Six sums of three uniform numbers are nearly normal; they share one of the three.
        let n = &noise[i * 6..][..6];
        let normal = ((n[0] - n[1]) + (n[2] - n[3]) + (n[4] - n[5])) / 2.0;
        base + down * row + across * column + std * normal
    };
    let y: Vec<f32> = (0..60 * 64).map(value).collect();
    let a = vec![1.0; y.len()];
    arrays::write(&dir.path().join("o.npz"), &[("y", (vec![60, 64], y)), ("a", (vec![60, 64], a))]);
    dir
}

#[test]
fn the_noise_of_pictures_is_estimated() {
    let stated = |std: &str| format!(r#"channel=[{{kind="noise",std={std}}},{{kind="mask",rate=0.3}}]"#);
    let dir = pictures(0.3);
    assert_eq!(verdict(dir.path(), &["--set", &stated("0.3")]), "ok\n");
    assert_one_warning(dir.path(), &["--set", &stated("0.05")], "neighboring pixels differ as if by noise of");
    assert_one_warning(dir.path(), &["--set", &stated("0.9")], "differ by too little for the noise of 9.00e-1");
}

#[test]
fn a_network_for_too_few_numbers_is_told() {
    let dir = observed(|_, _, _, _| {});
    assert_one_warning(dir.path(), &["--set", "network.width=2048"], "more than 100 for each of the");
}

#[test]
fn a_start_that_knows_nothing_is_told() {
    let dir = observed(|_, _, _, _| {});
    let nothing = r#"init={kind="gaussian",iterations=0,std=0.01}"#;
    assert_one_warning(
        dir.path(),
        &["--set", nothing],
        "init: the Gaussian start explains held-out observations worse",
    );
}

#[test]
fn scale_rows_without_values_and_values_under_the_mask_are_told() {
    let scaled = observed(|_, _, y, _| *y *= 100.0);
    assert_one_warning(scaled.path(), &[], "Shift and scale the signals");
    let blank = observed(|row, _, y, a| (*y, *a) = if row == 7 { (0.0, 0.0) } else { (*y, *a) });
    assert_one_warning(blank.path(), &[], "row 7 shows nothing");
    let under = observed(|_, _, y, a| *y = if *a == 0.0 { -999.0 } else { *y });
    assert_one_warning(under.path(), &[], "they are read as 0");
}

#[test]
fn what_is_surely_wrong_is_an_error() {
    let refused = |dir: TempDir, expected: &str| {
        let output = run(dir.path(), &["check", "mine.toml"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && output.stdout.is_empty() && said.contains(expected), "{said}");
    };
    refused(observed(|_, _, _, a| *a = 1.0 - *a), "the mask is inverted");
    refused(observed(|_, _, _, a| *a *= 255.0), "divide it by 255");
    refused(observed(|_, _, y, a| (*y, *a) = (0.0, 0.0)), "all values are missing");
}

#[test]
fn training_says_the_same_once() {
    let dir = observed(|row, _, y, a| {
        if row >= 100 {
            (*y, *a) = (0.5 + (row % 2) as f32, 1.0);
        }
    });
    let expected = "row 102 repeats row 100, number by number";
    assert!(verdict(dir.path(), &[]).contains(expected));
    let args = ["train", "mine.toml", "--out", "run", "--set", "em.laps=1", "--set", "network.width=2048"];
    let output = run(dir.path(), &args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches(expected).count(), 1, "{said}");
    assert_eq!(said.matches("more than 100 for each of the").count(), 1, "{said}");
}
