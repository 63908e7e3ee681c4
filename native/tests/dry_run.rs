//! What a run will take, said before it is begun and compared with what it took.

mod common;

use common::{TINY, files, pictures, run, succeed, train};
use serde_json::Value;
use std::path::Path;

fn estimate(at: &Path, args: &[&str]) -> Value {
    let said = succeed(at, &[args, &["--dry-run", "--progress", "json"]].concat());
    serde_json::from_str(&said).expect("one JSON object")
}

fn number(value: &Value, at: &str) -> f64 {
    value.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at} of {value}"))
}

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
    // The files of a lap, whose headers and configuration are longer than the numbers of so small a network.
    train(dir.path(), TINY, "run", &[]);
    let lap: usize = files(&dir.path().join("run/lap-001")).values().map(Vec::len).sum();
    assert!((disk..disk + 20_000.0).contains(&(lap as f64)), "{disk} said, {lap} found");
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
    // The published run takes about 2e19 operations, less its E-steps' 256 calls instead of 257.
    let lap = number(&found, "/m_step/flop") + number(&found, "/e_step/flop");
    assert!((1e19..5e19).contains(&(21.0 * lap)), "{lap:e} operations a lap");
    assert!(number(&found, "/seconds") > 3600.0);
}

/// Seconds of the only lap of a run, as its metrics tell.
fn lap_seconds(run: &Path) -> f64 {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics.jsonl");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let at =
        |lap: u64| lines.iter().find(|l| l["event"] == "lap" && l["lap"] == lap).expect("the lap")["seconds"].clone();
    at(1).as_f64().expect("seconds") - at(0).as_f64().expect("seconds")
}

#[test]
#[ignore = "half a minute, on a machine that does nothing else"]
fn time_and_memory_are_within_a_factor_of_two() {
    let dir = tempfile::tempdir().expect("a directory");
    let preset = |name: &str, more: &[&'static str]| {
        let settings = more.iter().flat_map(|setting| ["--set", setting]);
        let args: Vec<&str> = ["train", name].into_iter().chain(settings).collect();
        let said = estimate(dir.path(), &args);
        succeed(dir.path(), &[&args[..], &["--out", name, "--progress", "quiet"]].concat());
        let summary = std::fs::read(dir.path().join(name).join("summary.json")).expect("summary.json");
        let peak = number(&serde_json::from_slice(&summary).expect("JSON"), "/peak_memory_bytes");
        let (seconds, found) = (number(&said, "/seconds_per_lap"), lap_seconds(&dir.path().join(name)));
        let memory = number(&said, "/memory_bytes/total");
        println!("{name}: {seconds:.2} s said, {found:.2} found; {:.0} MB said, {:.0} found", memory / 1e6, peak / 1e6);
        assert!((0.5..2.0).contains(&(found / seconds)), "{name}: {seconds} s said, {found} found");
        // Besides the arrays, the process and what its parts hold for a moment.
        assert!(peak > 0.5 * memory && peak < 2.0 * memory + 1e8, "{name}: {memory} bytes said, {peak} found");
    };
    preset("manifold", &["em.laps=1", "m_step.steps=400", "report.points=0", "report.draws=2"]);
    preset("digits", &["em.laps=1", "m_step.steps=200", "report.draws=2"]);
    // A U-Net whose activations outweigh the rest.
    pictures::idx(&dir.path().join("data"), "train-images-idx3-ubyte", 600, 28);
    let unet = [
        "data.path=data",
        "data.n=512",
        "data.test=0",
        "network.channels=[64,128]",
        "m_step.micro_batch=32",
        "m_step.steps=20",
        "em.laps=1",
        "em.start.rank=4",
        "report.draws=2",
    ];
    preset("fashion-mask75", &unet);
}
