//! The prior of a run is trained on the reconstructions of a lap, saved in the run, and sampled.

mod common;

use common::arrays::read;
use common::{TINY, diffem, files, pictures, run, succeed, train};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn finished() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    train(dir.path(), TINY, "run", &[]);
    dir
}

fn kept(dir: &TempDir) -> Vec<(String, Vec<u8>)> {
    files(&dir.path().join("run")).into_iter().filter(|(name, _)| name.starts_with("prior")).collect()
}

fn moment(x: &[f32], i: usize, j: usize) -> f64 {
    x.chunks(2).map(|row| row[i] as f64 * row[j] as f64).sum::<f64>() / (x.len() / 2) as f64
}

#[test]
fn a_prior_is_trained_and_drawn_from() {
    let dir = finished();
    let said = succeed(dir.path(), &["prior", "run", "--steps", "1000", "--lap", "2"]);
    assert!(said.starts_with("run/prior: trained on lap 2;"), "{said}");
    let names: Vec<String> = kept(&dir).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["prior/", "prior/ema.safetensors", "prior/frame.safetensors", "prior/model.safetensors"]);
    assert!(files(&dir.path().join("run/figures")).contains_key("prior.png"));
    // The run's twenty DDPM steps are too few: their draws are too narrow.
    let exact = [
        "sample",
        "run",
        "--prior",
        "--draws",
        "4000",
        "--set",
        "e_step.sampler.kind=heun",
        "--set",
        "e_step.sampler.steps=30",
    ];
    let said = succeed(dir.path(), &[&exact[..], &["--out", "x.npz"]].concat());
    assert_eq!(said, "x.npz: 4000 draws of the prior of lap 2\n");
    let (shape, draws) = read(&dir.path().join("x.npz"), "x");
    assert_eq!(shape, [4000, 2]);
    let (_, learned) = read(&dir.path().join("run/lap-002/reconstructions.safetensors"), "x");
    for (i, j) in [(0, 0), (1, 1), (0, 1)] {
        let (found, expected) = (moment(&draws, i, j), moment(&learned, i, j));
        // Second moments are near 1, .25 and .15 with standard errors of .02; a short training of a small
        // network adds a tenth.
        assert!((found - expected).abs() < 0.15, "E x{i} x{j}: {found}, reconstructions {expected}");
    }
    succeed(dir.path(), &[&exact[..], &["--seed", "1", "--out", "other.npz"]].concat());
    assert_ne!(read(&dir.path().join("other.npz"), "x").1, draws);
}

/// The bytes are the same on any number of threads; another lap, seed or number of steps gives another prior.
#[test]
fn a_prior_is_a_function_of_run_lap_and_settings() {
    let make = |more: &[&str]| {
        let dir = finished();
        succeed(dir.path(), &[&["prior", "run", "--progress", "quiet"], more].concat());
        kept(&dir)
    };
    let first = make(&["--threads", "1"]);
    assert!(first == make(&["--threads", "3"]));
    let said = succeed(finished().path(), &["prior", "run", "--steps", "1"]);
    let chosen = if said.contains("trained on lap 1;") { 1 } else { 2 };
    let [lap, other] = [chosen, 3 - chosen].map(|lap: u32| lap.to_string());
    // The default is the number of steps of all laps up to this one.
    let steps = (60 * chosen).to_string();
    assert!(first == make(&["--lap", &lap, "--steps", &steps]));
    for more in [&["--lap", &other, "--steps", &steps][..], &["--seed", "9"], &["--steps", "50"]] {
        assert!(first != make(more), "{more:?}");
    }
}

#[test]
fn a_prior_killed_in_training_goes_on_to_the_same_bytes() {
    let (whole, killed) = (finished(), finished());
    let args = ["prior", "run", "--steps", "3000", "--progress", "quiet"];
    succeed(whole.path(), &args);
    let mut child = diffem(killed.path(), &args).spawn().expect("the command starts");
    let saved = killed.path().join("run/prior-state.safetensors");
    while !saved.exists() {
        assert!(child.try_wait().expect("a process").is_none(), "it ended without a saved point");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("a process");
    child.wait().expect("a process");
    assert!(!killed.path().join("run/prior").exists());
    let other = run(killed.path(), &["prior", "run", "--steps", "10"]);
    assert_eq!(other.status.code(), Some(2));
    let message = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(
        message,
        "error: run/prior-state.safetensors: it holds an unfinished training of another prior (m_step.steps was 3000 and is \
         now 10); finish that one, or delete this file\n"
    );
    succeed(killed.path(), &args);
    assert!(!saved.exists());
    assert!(kept(&killed) == kept(&whole));
}

/// For every method, the prior of a run is an unconditional denoiser of its reconstructions.
#[test]
fn rivals_have_a_prior() {
    let masked = TINY.replace("kind = \"projection\"\nrows = 1", "kind = \"mask\"\nrate = 0.4");
    for method in ["em-mmps", "ambient"] {
        let dir = tempfile::tempdir().expect("a directory");
        let method = format!("method.kind={method}");
        train(dir.path(), &masked, "run", &["--set", "em.laps=1", "--set", &method]);
        succeed(dir.path(), &["prior", "run", "--steps", "20", "--progress", "quiet"]);
        succeed(dir.path(), &["sample", "run", "--prior", "--draws", "50", "--out", "x.npz"]);
        let (_, draws) = read(&dir.path().join("x.npz"), "x");
        assert!(draws.iter().all(|v| v.is_finite()) && moment(&draws, 0, 0) > 0.1, "{method}");
    }
}

/// The prior of images is a U-Net without feature planes, and its draws form a grid.
#[test]
fn images_have_a_prior() {
    let dir = tempfile::tempdir().expect("a directory");
    pictures::idx(&dir.path().join("data"), "train-images-idx3-ubyte", 80, 8);
    let config = images(TINY);
    let more = ["--set", "em.laps=1", "--set", "monitor.holdout=0.0", "--set", "report.points=0"];
    train(dir.path(), &config, "run", &more);
    succeed(dir.path(), &["prior", "run", "--steps", "3", "--progress", "quiet"]);
    let said = succeed(dir.path(), &["sample", "run", "--prior", "--draws", "3"]);
    assert_eq!(said, "draws.safetensors: 3 draws of the prior of lap 1\n");
    assert_eq!(read(&dir.path().join("draws.safetensors"), "x").0, [3, 64]);
    let drawn = image::open(dir.path().join("run/figures/prior.png")).expect("a picture");
    assert!(drawn.width() > drawn.height(), "two blocks of columns");
    // The score of the draws needs only their file.
    assert!(Path::new(&dir.path().join("run/prior/ema.safetensors")).exists());
}

fn images(tiny: &str) -> String {
    let (head, rest) = tiny.split_once("[data]").expect("data");
    let (_, rest) = rest.split_once("[em]").expect("em");
    let (em, rest) = rest.split_once("[network]").expect("network");
    let (_, rest) = rest.split_once("[m_step]").expect("m_step");
    let data = "[data]\nkind = \"idx\"\npath = \"data\"\nheight = 8\nwidth = 8\nn = 60\ntest = 0\n";
    let channel = "[[channel]]\nkind = \"mask\"\nrate = 0.4\n";
    let network =
        "[network]\nkind = \"unet\"\nchannels = [4, 8]\nblocks = [1, 1]\nheads = [0, 0]\nembedding = 8\npatch = 2\n";
    let rest =
        rest.replace("steps = 60", "steps = 4").replace("batch = 64", "batch = 8").replace("steps = 20", "steps = 3");
    [head, data, channel, "[em]", em, network, "[m_step]", &rest].concat()
}

/// A run starts from draws of the prior that are guided to the observations; for a run without a prior, the
/// message says how to train one.
#[test]
fn a_run_starts_from_another_run_s_prior() {
    let dir = finished();
    let start = ["--set", "init.kind=prior", "--set", "init.path=run"];
    let refused = run(dir.path(), &[&["train", "run.toml", "--out", "warm"], &start[..]].concat());
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("init.path") && error.contains("train one with `diffem prior run`"), "{error}");
    assert!(!dir.path().join("warm").exists());
    succeed(dir.path(), &["prior", "run", "--steps", "600", "--lap", "2"]);
    train(dir.path(), TINY, "warm", &start);
    let x = |name: &str| read(&dir.path().join(name), "x").1;
    let (learned, begun) =
        (x("run/lap-002/reconstructions.safetensors"), x("warm/lap-000/reconstructions.safetensors"));
    for (i, j) in [(0, 0), (1, 1), (0, 1)] {
        let (found, expected) = (moment(&begun, i, j), moment(&learned, i, j));
        assert!((found - expected).abs() < 0.2, "E x{i} x{j}: {found}, reconstructions {expected}");
    }
    // The network of EM-MMPS is such a prior; apart from their noise, the draws are those of its last E-step.
    train(dir.path(), TINY, "mmps", &["--set", "method.kind=em-mmps"]);
    train(dir.path(), TINY, "warmer", &[&start[..3], &["init.path=mmps"]].concat());
    assert!(dir.path().join("warmer/lap-002/DONE").is_file());
}
