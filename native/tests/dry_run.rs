//! The dry run estimates the cost of a run before it starts. `duration.rs` compares the estimated time and
//! memory with those of the run.

mod common;

use common::{TINY, estimate, files, number, run, succeed, train};

#[test]
fn nothing_is_written_and_everything_said() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("c.toml"), TINY).expect("a file");
    let before = files(dir.path());
    let found = estimate(dir.path(), &["train", "c.toml"]);
    // x, A⁺ y and the upper triangle of A⁺ A, the embedding; one hidden layer with its norm; x.
    let parameters = (2 + 5 + 8) * 16 + 3 * 16 + 16 * 2 + 2;
    assert_eq!(number(&found, "/parameters"), f64::from(parameters));
    assert_eq!(number(&found, "/flop_per_call"), 2.0 * f64::from((2 + 5 + 8) * 16 + 16 * 2));
    assert_eq!(number(&found, "/m_step/network_calls"), 60.0 * 64.0);
    assert_eq!(number(&found, "/e_step/network_calls"), 512.0 * 21.0);
    let lap = number(&found, "/m_step/seconds") + number(&found, "/e_step/seconds");
    assert!(lap > 0.0 && number(&found, "/seconds_per_lap") == lap && number(&found, "/seconds") == 2.0 * lap);
    let disk = number(&found, "/disk_bytes_per_lap");
    let text = succeed(dir.path(), &["train", "c.toml", "--dry-run"]);
    for line in ["tiny on flex", "network", "M-step", "E-step", "memory", "disk", "time"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(files(dir.path()), before);
    // In the files of a lap, headers and configuration take more space than the numbers of so small a
    // network.
    train(dir.path(), TINY, "run", &[]);
    let lap: usize = files(&dir.path().join("run/lap-001")).values().map(Vec::len).sum();
    assert!((disk..disk + 20_000.0).contains(&(lap as f64)), "{disk} said, {lap} found");
}

#[test]
fn the_width_of_the_draws_and_a_second_network_are_announced() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("c.toml"), TINY).expect("a file");
    let text = |more: &[&str]| succeed(dir.path(), &[&["train", "c.toml", "--dry-run"], more].concat());
    let narrow = text(&[]);
    assert!(narrow.contains("draws") && narrow.contains("where widths matter, take \"dpmpp2m-sde\""), "{narrow}");
    let few = text(&["--set", r#"e_step.sampler={kind="dpmpp2m-sde",steps=8}"#]);
    assert!(few.contains("where widths matter, set e_step.sampler.steps to "), "{few}");
    let sde = ["--set", r#"e_step.sampler={kind="dpmpp2m-sde",steps=30}"#];
    let faithful = text(&sde);
    assert!(faithful.contains("dpmpp2m-sde, 30 steps keep 100 % of the posterior's variance\n"), "{faithful}");
    let share = number(&estimate(dir.path(), &[&["train", "c.toml"], &sde[..]].concat()), "/variance_share/0");
    assert!((share - 1.0).abs() < 0.02, "{share}");
    let relaxed = estimate(dir.path(), &["train", "c.toml", "--set", "method.relaxation=2.0"]);
    assert_eq!(number(&relaxed, "/e_step/network_calls"), 2.0 * 512.0 * 21.0);
}

#[test]
fn data_that_are_not_there_are_said_to_be_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let small = ["network.channels=[4,8,8]", "network.blocks=[1,1,1]", "m_step.batch=4", "e_step.sampler.steps=2"];
    let settings = small.iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> = ["train", "cifar10-mask75"].into_iter().chain(settings).collect();
    let found = estimate(dir.path(), &args);
    assert!(found["observations"].is_null() && found["e_step"].is_null() && found["seconds"].is_null(), "{found}");
    let why = found["unknown"].as_str().expect("a reason");
    assert!(why.contains("cifar-10-batches-bin"), "{why}");
    let given = estimate(dir.path(), &[&args[..], &["--set", "data.n=50000"]].concat());
    assert_eq!(number(&given, "/e_step/network_calls"), 50_000.0 * 3.0);
    let bad = run(dir.path(), &["train", "cifar10-mask75", "--dry-run", "--device", "quantum"]);
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
#[ignore = "a minute: steps of a network of 58 M parameters"]
fn the_published_network_is_estimated_without_its_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let found = estimate(dir.path(), &["train", "cifar10-mask75", "--set", "data.n=50000"]);
    assert_eq!(number(&found, "/parameters"), 57_557_379.0);
    // The published run takes about 2e19 operations, minus a small part: its E-steps make 256 calls, not 257.
    let lap = number(&found, "/m_step/flop") + number(&found, "/e_step/flop");
    assert!((1e19..5e19).contains(&(21.0 * lap)), "{lap:e} operations per lap");
    assert!(number(&found, "/seconds") > 3600.0);
}
