//! Backends are compared with a golden file.

mod common;

use common::{run, succeed};
use serde_json::{Value, json};
use std::path::Path;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/backends.safetensors");

/// Runs the command in `dir`, which must fail, and returns its output and the message.
fn fail(dir: &Path, args: &[&str]) -> (String, String) {
    let output = run(dir, &[&["check-backends"], args].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8")).into()
}

/// Builds a report by a backend "webgpu" with all differences 0 from a table.
fn report(table: &str, golden: &str) -> Value {
    let lines = table.lines().skip(2).take_while(|line| !line.contains(" quantities agree"));
    let row = |line: &str| {
        let (quantity, tolerance) = (line[..40].trim(), line[40..50].trim().parse::<f64>().expect("a number"));
        json!({ "quantity": quantity, "difference": 0.0, "tolerance": tolerance })
    };
    json!({ "golden": golden, "backend": "webgpu", "rows": lines.map(row).collect::<Vec<_>>() })
}

/// Writes the golden file at `path` anew and returns its fingerprint.
fn written(dir: &Path, path: &str) -> String {
    let said = succeed(dir, &["check-backends", "--write-golden", path]);
    said.split_whitespace().last().expect("a fingerprint").to_string()
}

#[test]
fn every_backend_is_in_the_table_or_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = succeed(dir.path(), &["check-backends", "--out", "table.txt"]);
    assert_eq!(std::fs::read_to_string(dir.path().join("table.txt")).expect("a file"), said);
    assert!(
        said.contains("projection: M-step, 3 losses ") && said.contains("flex: 47 of 47 quantities agree\n"),
        "{said}"
    );
    for backend in ["flex", "ndarray", "wgpu", "cuda", "wasm-cpu", "webgpu"] {
        let states = [format!("{backend}: 47 of 47 quantities agree\n"), format!("{backend}: not run, ")];
        assert_eq!(states.iter().filter(|state| said.contains(*state)).count(), 1, "{backend}: {said}");
    }
}

#[test]
fn a_report_from_a_browser_is_a_column() {
    let dir = tempfile::tempdir().expect("a directory");
    let fingerprint = written(dir.path(), "golden.safetensors");
    let check = ["check-backends", "--golden", "golden.safetensors"];
    let mut report = report(&succeed(dir.path(), &check), &fingerprint);
    let write = |report: &Value| std::fs::write(dir.path().join("webgpu.json"), report.to_string()).expect("a file");
    write(&report);
    let said = succeed(dir.path(), &[&check[..], &["--with", "webgpu.json"]].concat());
    assert!(said.contains("webgpu: 47 of 47 quantities agree\n"), "{said}");
    let twice = ["--golden", "golden.safetensors", "--with", "webgpu.json", "--with", "webgpu.json"];
    assert!(fail(dir.path(), &twice).1.contains("webgpu.json: a second report of webgpu"));

    report["rows"][4]["difference"] = json!(0.5);
    write(&report);
    let (table, error) = fail(dir.path(), &twice[..4]);
    assert!(table.contains("5.0e-1!") && table.contains("webgpu: 46 of 47 quantities agree\n"), "{table}");
    assert!(
        error.contains("webgpu differs beyond tolerance: projection: M-step, gradient of 3 pieces 5.0e-1"),
        "{error}"
    );

    report["rows"].as_array_mut().expect("rows").pop();
    write(&report);
    let (_, error) = fail(dir.path(), &twice[..4]);
    assert!(error.contains("webgpu.json: ") && error.contains("expected `muon: average`"), "{error}");
    report["golden"] = json!("0123456789abcdef");
    write(&report);
    assert!(fail(dir.path(), &twice[..4]).1.contains("golden file: expected "));
}

#[test]
fn a_golden_file_with_another_weight_fails_and_one_without_a_tensor_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let mut bytes = std::fs::read(GOLDEN).expect("the golden file");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
    let start = header["mask: weights"]["data_offsets"][0].as_u64().expect("a place") as usize + 8 + length;
    bytes[start..start + 4].copy_from_slice(&0.5f32.to_le_bytes());
    std::fs::write(at("changed.safetensors"), &bytes).expect("a file");
    let (table, error) = fail(dir.path(), &["--golden", "changed.safetensors"]);
    assert!(table.contains('!') && error.contains("flex differs beyond tolerance: mask: "), "{table}{error}");

    let text = String::from_utf8_lossy(&bytes[8..8 + length]).replace("mask: sigma", "mask: other");
    bytes[8..8 + length].copy_from_slice(text.as_bytes());
    std::fs::write(at("lacks.safetensors"), &bytes).expect("a file");
    let (_, error) = fail(dir.path(), &["--golden", "lacks.safetensors"]);
    assert!(error.contains("lacks.safetensors: ") && error.contains("tensor `mask: sigma` is missing"), "{error}");
    assert!(fail(dir.path(), &["--golden", "absent"]).1.contains("cannot read absent"));
}
