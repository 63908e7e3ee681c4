//! The steps of users with their own data: corrupt (or provide) observations, train, sample, evaluate, plot.

mod common;

use common::arrays::{self, Array, signals};
use common::{assert_same_run, files, succeed};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const N: usize = 300;
const D: usize = 5;

/// The preset "gaussian-5d" (two projections of a signal of length 5, noise) with a very small network.
fn tiny() -> Vec<&'static str> {
    let settings = [
        "em.laps=2",
        "network.width=16",
        "network.depth=1",
        "m_step.steps=50",
        "m_step.batch=64",
        "e_step.sampler.steps=5",
        "report.save_every=0.0",
    ];
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    ["train", "gaussian-5d", "--progress", "quiet"].into_iter().chain(set).collect()
}

fn train(dir: &Path, more: &[&str]) {
    succeed(dir, &[&tiny()[..], more].concat());
}

fn assert_finite((shape, values): &Array, expected: &[usize]) {
    assert_eq!(shape, expected);
    assert_eq!(values.len(), expected.iter().product::<usize>());
    assert!(values.iter().all(|v| v.is_finite()));
    let spread = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    assert!(spread > 0.1 && spread < 100.0, "values up to {spread}");
}

/// Writes clean signals to `clean.EXT`, and uses the command to write observations of others to `seen.EXT`.
fn observed(extension: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let [clean, hidden, seen] = ["clean", "hidden", "seen"].map(|name| format!("{name}.{extension}"));
    arrays::write(&dir.path().join(clean), &[("x", signals(N, D, 1))]);
    arrays::write(&dir.path().join(&hidden), &[("x", signals(N, D, 2))]);
    let said = succeed(dir.path(), &["corrupt", &hidden, "--config", "gaussian-5d", "--seed", "7", "--out", &seen]);
    assert_eq!(said, format!("{seen}: 300 observations of length 2\n"));
    dir
}

/// y = A x + noise holds, with unit rows of A and noise of standard deviation 0.3.
fn assert_observes(y: &Array, a: &Array, x: &Array) {
    assert_finite(y, &[N, 2]);
    assert_finite(a, &[N, 2, D]);
    let rows = a.1.chunks(D).zip(y.1.iter()).zip(x.1.chunks(D).flat_map(|x| [x, x]));
    let noise: Vec<f32> = rows
        .map(|((row, y), x)| {
            assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
            y - row.iter().zip(x).map(|(a, x)| a * x).sum::<f32>()
        })
        .collect();
    let std = (noise.iter().map(|e| e * e).sum::<f32>() / noise.len() as f32).sqrt();
    // With 600 values, the estimate is within 12 % at four standard errors.
    assert!((std / 0.3 - 1.0).abs() < 0.12, "{std}");
}

fn assert_figure(run: &Path, name: &str) {
    let svg = std::fs::read_to_string(run.join("figures").join(format!("{name}.svg"))).expect("a figure");
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
    let png = image::open(run.join("figures").join(format!("{name}.png"))).expect("a picture");
    assert!(png.width() > 200 && png.height() > 100, "{name}: {} x {}", png.width(), png.height());
}

fn assert_evaluation(run: &Path) {
    let report = std::fs::read_to_string(run.join("evaluation.json")).expect("evaluation.json");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let distances = report["distances"].as_array().expect("distances");
    let names: Vec<_> = distances.iter().filter_map(|d| d["sample"].as_str()).collect();
    assert_eq!(names[..2], ["truth (floor)", "lap 0 (start)"]);
    assert!(names.len() >= 3 && names[2..].iter().all(|name| name.starts_with("lap ")), "{names:?}");
    for distance in distances {
        // Each sample holds a third of the clean signals.
        assert_eq!(distance["points"], 100);
        for score in ["sinkhorn_divergence", "sliced_wasserstein"] {
            assert!(distance[score].as_f64().is_some_and(|v| v > 0.0 && v < 100.0), "{distance}");
        }
        assert!(distance["energy_distance"].as_f64().is_some_and(f64::is_finite), "{distance}");
    }
}

fn journey(extension: &str) {
    let dir = observed(extension);
    let at = |name: &str| dir.path().join(format!("{name}.{extension}"));
    let [clean, seen, draws] = ["clean", "seen", "draws"].map(|name| format!("{name}.{extension}"));
    let [y, a] = ["y", "a"].map(|name| arrays::read(&at("seen"), name));
    assert_observes(&y, &a, &arrays::read(&at("hidden"), "x"));

    train(dir.path(), &["--observations", &seen, "--out", "run"]);
    let run = dir.path().join("run");
    let kept = run.join("observations.safetensors");
    assert!(arrays::read(&kept, "y") == y && arrays::read(&kept, "a").1 == a.1);
    assert_finite(&arrays::read(&run.join("lap-002/reconstructions.safetensors"), "x"), &[N, D]);
    let summary = std::fs::read_to_string(run.join("summary.json")).expect("summary.json");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!((&summary["observations"], summary["laps"].as_array().map(Vec::len)), (&N.into(), Some(3)));

    succeed(dir.path(), &["sample", "run", "--observations", &seen, "--draws", "4", "--out", &draws]);
    let x = arrays::read(&at("draws"), "x");
    assert_finite(&x, &[N, 4, D]);
    assert_ne!(x.1[..D], x.1[D..2 * D], "two draws of one posterior are different");

    let table = succeed(dir.path(), &["evaluate", "run", "--truth", &clean]);
    assert!(table.contains("sliced Wasserstein") && table.contains("lap 0 (start)"), "{table}");
    assert_evaluation(&run);

    std::fs::remove_dir_all(run.join("figures")).expect("figures of the training");
    let args = ["plot", "run", "--observations", "0,299", "--draws", "20"];
    assert_eq!(succeed(dir.path(), &args), "figures in run/figures\n");
    for figure in ["loss", "held-out-energy", "held-out-sinkhorn", "corner", "posterior"] {
        assert_figure(&run, figure);
    }
}

#[test]
fn the_way_of_a_user_with_npz_files() {
    journey("npz");
}

#[test]
fn the_way_of_a_user_with_safetensors_files() {
    journey("safetensors");
}

#[test]
fn both_formats_give_the_same_run() {
    let [npz, safetensors] = ["npz", "safetensors"].map(observed);
    let arrays = |dir: &TempDir, file: &str| ["y", "a"].map(|name| arrays::read(&dir.path().join(file), name));
    assert!(arrays(&npz, "seen.npz") == arrays(&safetensors, "seen.safetensors"));
}

#[test]
fn a_seed_decides_what_is_observed_and_drawn() {
    let dir = observed("npz");
    let corrupt = |seed: &str| {
        succeed(dir.path(), &["corrupt", "hidden.npz", "--config", "gaussian-5d", "--seed", seed, "--out", "o.npz"]);
        std::fs::read(dir.path().join("o.npz")).expect("a file")
    };
    assert!(corrupt("7") == std::fs::read(dir.path().join("seen.npz")).expect("a file"));
    assert!(corrupt("7") != corrupt("8"));
    train(dir.path(), &["--observations", "seen.npz", "--out", "run"]);
    let sample = |seed: &str| {
        succeed(dir.path(), &["sample", "run", "--seed", seed, "--out", "x.npz"]);
        std::fs::read(dir.path().join("x.npz")).expect("a file")
    };
    assert!(sample("1") == sample("1"));
    assert!(sample("1") != sample("2"));
}

/// Trains two runs on `seen.safetensors`, with and without the true signals in the file.
#[test]
fn signals_beside_the_observations_change_nothing() {
    let [with, without] = ["safetensors", "safetensors"].map(observed);
    let path = with.path().join("seen.safetensors");
    let array = |name: &str| arrays::read(&path, name);
    let hidden = arrays::read(&with.path().join("hidden.safetensors"), "x");
    arrays::write(&path, &[("y", array("y")), ("a", array("a")), ("x", hidden)]);
    for dir in [&with, &without] {
        train(dir.path(), &["--observations", "seen.safetensors", "--out", "run"]);
    }
    assert!(with.path().join("run/truth.safetensors").exists());
    assert!(!without.path().join("run/truth.safetensors").exists());
    assert_same_run(&with.path().join("run"), &without.path().join("run"));
}

/// The truth of a built-in dataset is used for scores only.
#[test]
fn a_truth_taken_away_changes_no_weight() {
    let [with, without] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
    for dir in [&with, &without] {
        train(dir.path(), &["--set", "data.n=300", "--set", "em.laps=1", "--set", "report.points=64", "--out", "run"]);
    }
    std::fs::remove_file(without.path().join("run/truth.safetensors")).expect("the truth");
    for dir in [&with, &without] {
        succeed(dir.path(), &["resume", "run", "--set", "em.laps=2", "--progress", "quiet"]);
    }
    let lap = |dir: &TempDir| files(&dir.path().join("run/lap-002"));
    assert!(lap(&with).contains_key("state.safetensors"));
    assert!(lap(&with) == lap(&without));
}

/// Test images are shown and scored; there are fewer of them than observations.
#[test]
fn digits_are_shown_in_a_grid() {
    let dir = tempfile::tempdir().expect("a directory");
    let small = [
        "em.laps=1",
        "network.channels=[4,8]",
        "m_step.steps=20",
        "m_step.batch=64",
        "e_step.sampler.steps=2",
        "data.n=1794",
    ];
    let small: Vec<&str> = small.iter().flat_map(|setting| ["--set", setting]).collect();
    succeed(dir.path(), &[&["train", "digits", "--out", "run", "--progress", "quiet"], &small[..]].concat());
    assert_figure(&dir.path().join("run"), "grid");
    let args = ["plot", "run", "--observations", "2", "--draws", "4"];
    succeed(dir.path(), &args);
    let beyond = common::run(dir.path(), &["plot", "run", "--observations", "3", "--draws", "4"]);
    assert_eq!(beyond.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&beyond.stderr),
        "error: --observations 3: the run has observations 0 to 2 to show\n"
    );
    let table = succeed(dir.path(), &["evaluate", "run", "--draws", "2"]);
    assert!(table.contains("PSNR (dB)    missing") && table.contains("Gaussian start (exact)"), "{table}");
    assert_fidelity(&dir.path().join("run"));
    // Both laps are on the curves, beside the score of the observation alone; the figures are drawn again
    // from the file.
    let said = succeed(dir.path(), &["evaluate", "run", "--draws", "2", "--laps", "all"]);
    assert!(said.ends_with("curves in run/figures\n"), "{said}");
    let laps = rows(&dir.path().join("run")).iter().map(|row| row["lap"].as_u64()).collect::<Vec<_>>();
    assert_eq!(laps, [None, None, Some(0), Some(0), Some(1), Some(1)]);
    std::fs::remove_dir_all(dir.path().join("run/figures")).expect("figures");
    succeed(dir.path(), &args);
    for figure in ["laps", "psnr", "psnr-missing", "fit", "grid"] {
        assert_figure(&dir.path().join("run"), figure);
    }
    assert!(!dir.path().join("run/figures/ssim.png").exists(), "windows do not fit into eight pixels");
}

/// Returns the scores of the test observations.
fn rows(run: &Path) -> Vec<Value> {
    let report = std::fs::read_to_string(run.join("evaluation.json")).expect("evaluation.json");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    report["test"].as_array().expect("test").clone()
}

/// The scores are those of floor and baseline, and of the mean and one draw for the start and the lap.
fn assert_fidelity(run: &Path) {
    let rows = rows(run);
    let estimates: Vec<_> = rows.iter().filter_map(|row| row["estimate"].as_str()).collect();
    assert_eq!(estimates, ["truth", "observation", "mean", "draw", "mean", "draw"]);
    let number = |row: usize, name: &str| rows[row][name].as_f64().unwrap_or_else(|| panic!("{name}: {}", rows[row]));
    // The truth has no error, and its residuals are the noise.
    assert!(rows[0]["psnr"].is_null());
    assert!((number(0, "chi2") - 1.0).abs() < 5.0 * number(0, "chi2_deviation"));
    // Missing values are harder than the rest; eight pixels are too few for an SSIM window.
    assert!((1..6).all(|row| number(row, "psnr_missing") < number(row, "psnr") && rows[row]["ssim"].is_null()));
}

/// Masked signals of length 8, two of which are constant or always missing as `change` says, and a very small run on them.
fn masked(dir: &Path, name: &str, change: impl Fn(usize, &mut f32, &mut f32)) {
    let (_, mut y) = signals(60, 8, 1);
    let mut a: Vec<f32> = (0..480).map(|i| f32::from(u8::from((i * i / 7) % 3 != 0))).collect();
    let values = y.iter_mut().zip(&mut a).enumerate();
    values.for_each(|(i, (y, a))| {
        *y *= *a;
        change(i, y, a);
    });
    arrays::write(&dir.join(name), &[("y", (vec![60, 8], y)), ("a", (vec![60, 8], a))]);
}

/// Trains on `observations` for one short lap, and returns what was said on standard error.
fn short(dir: &Path, observations: impl AsRef<std::ffi::OsStr>, out: &str) -> String {
    let config = "name = \"mine\"\ndata = { kind = \"file\", path = \"o.npz\", signal = 8 }\n\
                  channel = [{ kind = \"mask\", rate = 0.4 }]\nnetwork = { kind = \"mlp\", width = 16, depth = 1 }\n\
                  em = { laps = 1 }\nm_step = { steps = 20, batch = 32 }\nreport = { draws = 4 }\n\
                  e_step = { sampler = { kind = \"ddpm\", steps = 4 } }\nmonitor = { holdout = 0.2 }\n";
    std::fs::write(dir.join("mine.toml"), config).expect("a file");
    let mut command = common::diffem(dir, &["train", "mine.toml", "--out", out, "--observations"]);
    let output = command.arg(observations).output().expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// Neither the network nor a score sees what lies under the mask: the runs are the same, byte for byte.
#[test]
fn values_under_the_mask_change_nothing() {
    let [right, wrong] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
    masked(right.path(), "o.npz", |_, _, _| {});
    assert!(!short(right.path(), "o.npz", "run").contains("they are read as 0"));
    for value in [f32::NAN, -999.0, 1.5] {
        masked(wrong.path(), "o.npz", |_, y, a| *y = if *a == 0.0 { value } else { *y });
        let said = short(wrong.path(), "o.npz", "run");
        assert_eq!(said.matches("they are read as 0").count(), usize::from(value.is_finite()), "{said}");
        assert_same_run(&wrong.path().join("run"), &right.path().join("run"));
        std::fs::remove_dir_all(wrong.path().join("run")).expect("a run");
    }
}

/// The weights of a run's only lap, without the configuration in the header of their file.
fn weights(run: &Path) -> Vec<u8> {
    let file = std::fs::read(run.join("lap-001/model.safetensors")).expect("a checkpoint");
    let header = u64::from_le_bytes(file[..8].try_into().expect("a length"));
    file[8 + header as usize..].to_vec()
}

/// The masks of the file, not those of the rate beside it, corrupt in training: another rate is the same run.
#[test]
fn training_takes_the_masks_that_the_data_come_with() {
    let dir = tempfile::tempdir().expect("a directory");
    masked(dir.path(), "o.npz", |_, _, _| {});
    short(dir.path(), "o.npz", "own");
    let run = |name: &str, settings: &[&str]| {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let args: Vec<&str> =
            ["train", "mine.toml", "--observations", "o.npz", "--out", name].into_iter().chain(set).collect();
        succeed(dir.path(), &args);
        weights(&dir.path().join(name))
    };
    let own = weights(&dir.path().join("own"));
    assert!(run("observed", &["m_step.operators=observed"]) == own);
    let other = "channel=[{kind=\"mask\",rate=0.9}]";
    assert!(run("other", &[other]) == own);
    let drawn = run("drawn", &["m_step.operators=drawn"]);
    assert!(drawn != own && run("drawn-other", &["m_step.operators=drawn", other]) != drawn);
}

/// Gaps in a table are often NaN, without a mask beside them.
#[test]
fn without_a_mask_nan_says_what_is_missing() {
    let [with, without] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
    masked(with.path(), "o.npz", |_, _, _| {});
    let (shape, y) = arrays::read(&with.path().join("o.npz"), "y");
    let (_, a) = arrays::read(&with.path().join("o.npz"), "a");
    let gaps = y.iter().zip(&a).map(|(y, a)| if *a == 0.0 { f32::NAN } else { *y }).collect();
    arrays::write(&without.path().join("o.npz"), &[("y", (shape, gaps))]);
    for dir in [with.path(), without.path()] {
        short(dir, "o.npz", "run");
    }
    assert_same_run(&without.path().join("run"), &with.path().join("run"));
}

#[test]
fn a_constant_coordinate_stays_constant() {
    let dir = tempfile::tempdir().expect("a directory");
    masked(dir.path(), "o.npz", |i, y, a| {
        *a = 1.0;
        *y = if i % 8 == 3 { 0.5 } else { *y };
    });
    short(dir.path(), "o.npz", "run");
    let (_, x) = arrays::read(&dir.path().join("run/lap-001/reconstructions.safetensors"), "x");
    assert!(x.iter().skip(3).step_by(8).all(|v| (v - 0.5).abs() < 0.01));
}

/// Rows may be pictures, with one mask for all colors in any layout whose order is certain.
#[test]
fn pictures_are_read_in_any_certain_layout() {
    let dir = tempfile::tempdir().expect("a directory");
    let y: Vec<f32> = signals(1, 720, 4).1;
    let a: Vec<f32> = (0..240).map(|i| f32::from(u8::from(i % 5 != 0))).collect();
    let colors = |image: usize, p: usize| a[image * 12 + p];
    let planes = (0..720).map(|i| colors(i / 36, i % 12)).collect::<Vec<_>>();
    let last = (0..720).map(|i| colors(i / 36, i % 36 / 3)).collect::<Vec<_>>();
    let y: Vec<f32> = y.iter().zip(&planes).map(|(y, a)| y.clamp(-2.0, 2.0) * a).collect();
    let config = "data={ kind = \"file\", path = \"o.npz\", shape = { channels = 3, height = 3, width = 4 } }";
    let channel = "channel=[{ kind = \"pixel-mask\", rate = 0.2 }]";
    type Layout<'a> = (&'a [usize], &'a [usize], &'a [f32]);
    let layouts: [Layout<'_>; 5] = [
        (&[20, 36], &[20, 12], &a),
        (&[20, 3, 3, 4], &[20, 3, 4], &a),
        (&[20, 36], &[20, 1, 3, 4], &a),
        (&[20, 36], &[20, 3, 3, 4], &planes),
        (&[20, 36], &[20, 3, 4, 3], &last),
    ];
    for (i, (y_shape, a_shape, mask)) in layouts.into_iter().enumerate() {
        let tensors = [("y", (y_shape.to_vec(), y.clone())), ("a", (a_shape.to_vec(), mask.to_vec()))];
        arrays::write(&dir.path().join("o.npz"), &tensors);
        let out = format!("run{i}");
        let settings = ["--set", config, "--set", channel, "--set", "init.kind=corrupted", "--out", &out];
        succeed(dir.path(), &[&tiny()[..], &settings].concat());
        let kept = dir.path().join(out).join("observations.safetensors");
        assert!(arrays::read(&kept, "y").1 == y && arrays::read(&kept, "a").1 == a, "{a_shape:?}");
    }
}

/// The truth in the file of observations is for scores, and is compared with reconstructions of other signals.
#[test]
fn signals_beside_the_observations_are_evaluated() {
    let dir = observed("npz");
    let [y, a] = ["y", "a"].map(|name| arrays::read(&dir.path().join("seen.npz"), name));
    let x = arrays::read(&dir.path().join("hidden.npz"), "x");
    arrays::write(&dir.path().join("seen.npz"), &[("y", y), ("a", a), ("x", x)]);
    train(dir.path(), &["--observations", "seen.npz", "--out", "run"]);
    let table = succeed(dir.path(), &["evaluate", "run", "--draws", "2", "--progress", "quiet"]);
    assert!(table.contains("truth (floor)") && table.contains("PSNR (dB)"), "{table}");
    assert!(table.contains("note: 100 points per side are few"), "{table}");
    assert_evaluation(&dir.path().join("run"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_text_is_opened() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().expect("a directory");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.npz");
    masked(dir.path(), "o.npz", |_, _, _| {});
    std::fs::rename(dir.path().join("o.npz"), dir.path().join(name)).expect("a renamed file");
    short(dir.path(), name, "run");
    let mut sample = common::diffem(dir.path(), &["sample", "run", "--observations"]);
    assert!(sample.arg(name).status().expect("the command starts").success());
}

#[cfg(unix)]
#[test]
fn a_tilde_is_the_home_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    masked(dir.path(), "o.npz", |_, _, _| {});
    short(dir.path(), "o.npz", "run");
    let at_home = |args: &[&str]| {
        let output = common::diffem(dir.path(), args).env("HOME", dir.path()).output().expect("the command starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    at_home(&["sample", "~/run", "--observations=~/o.npz", "--out=~/x.npz"]);
    assert!(dir.path().join("x.npz").exists());
    let path = "data.path=~/o.npz";
    at_home(&["train", "~/mine.toml", "--set", path, "--out", "~/again", "--progress", "quiet"]);
    let text = std::fs::read_to_string(dir.path().join("mine.toml")).expect("a file").replace("o.npz", "~/o.npz");
    std::fs::write(dir.path().join("home.toml"), text).expect("a file");
    at_home(&["train", "home.toml", "--out", "third", "--progress", "quiet"]);
    assert_same_run(&dir.path().join("third"), &dir.path().join("again"));
}
