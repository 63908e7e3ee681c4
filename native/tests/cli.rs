//! Help, presets, schema and other output in which the command describes itself.

mod common;

use common::{diffem, run, succeed};
use serde_json::Value;
use snapbox::{Data, assert_data_eq};
use std::path::Path;
use std::process::{Command, Stdio};

/// Compares the output with tests/snapshots/`name`; `SNAPSHOTS=overwrite` accepts the output.
fn assert_snapshot(found: String, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    assert_data_eq!(Data::text(found).raw(), Data::read_from(&path, None).raw());
}

fn print(args: &[&str]) -> String {
    succeed(Path::new("."), args)
}

/// Returns the names of the preset files, sorted.
fn presets() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/presets");
    let files = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut names: Vec<String> =
        files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn help_of_every_command() {
    assert_snapshot(print(&["--help"]), "help.txt");
    for command in
        ["train", "resume", "sample", "evaluate", "plot", "corrupt", "presets", "devices", "cite", "completions"]
    {
        assert_snapshot(print(&[command, "--help"]), &format!("help-{command}.txt"));
    }
    for command in [
        "calibrate",
        "check-backends",
        "compare",
        "export-images",
        "export",
        "fetch-weights",
        "prior",
        "serve",
        "slurm",
    ] {
        assert_snapshot(print(&[command, "--help"]), &format!("help-{command}.txt"));
    }
    assert_snapshot(print(&["config", "--help"]), "help-config.txt");
    assert_snapshot(print(&["config", "show", "--help"]), "help-config-show.txt");
    assert_snapshot(print(&["config", "schema", "--help"]), "help-config-schema.txt");
}

#[test]
fn no_command_shows_the_help_and_fails() {
    let output = run(Path::new("."), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().next(), print(&["-h"]).lines().next());
}

#[test]
fn presets_are_listed_with_a_line_each() {
    let listed = print(&["presets"]);
    let mut names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    assert_eq!(names, presets());
    assert_snapshot(listed, "presets.txt");
}

#[test]
fn presets_are_shown_with_every_default() {
    for preset in presets() {
        assert_snapshot(print(&["config", "show", &preset]), &format!("config-{preset}.toml"));
    }
    assert_eq!(print(&["config", "show"]), print(&["config", "show", "manifold"]));
}

/// Follows `$ref` to the definition that it names.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).expect("a definition"),
        None => node,
    }
}

/// Checks that every field of `value` is in the schema and that every field required by the schema is
/// present.
fn assert_fields(schema: &Value, node: &Value, value: &Value, at: &str) {
    let node = resolve(schema, node);
    if let (Some(alternatives), Some(kind)) = (node.get("oneOf").and_then(Value::as_array), value.get("kind")) {
        let chosen = alternatives.iter().find(|a| a.pointer("/properties/kind/const") == Some(kind));
        return assert_fields(schema, chosen.unwrap_or_else(|| panic!("{at}: kind {kind}")), value, at);
    }
    if let (Some(items), Some(values)) = (node.get("items"), value.as_array()) {
        return values.iter().for_each(|value| assert_fields(schema, items, value, at));
    }
    let Some(fields) = value.as_object() else { return };
    let properties = node.get("properties").unwrap_or_else(|| panic!("{at}: no properties"));
    for (name, value) in fields {
        let property = properties.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
        assert_fields(schema, property, value, &format!("{at}.{name}"));
    }
    let required = node.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        assert!(fields.contains_key(name), "{at}.{name} is required");
    }
    assert_eq!(node.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
}

#[test]
fn the_schema_describes_every_preset() {
    let schema: Value = serde_json::from_str(&print(&["config", "schema"])).expect("JSON");
    for preset in presets() {
        let shown: Value =
            serde_json::from_str(&print(&["config", "show", &preset, "--format", "json"])).expect("JSON");
        assert_eq!(shown["name"], preset);
        assert_fields(&schema, &schema, &shown, &preset);
        let toml: toml::Table = print(&["config", "show", &preset]).parse().expect("TOML");
        assert_eq!(serde_json::to_value(toml).expect("JSON"), shown, "{preset}");
    }
}

#[test]
fn a_shown_configuration_can_be_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let shown = print(&["config", "show", "digits", "--set", "em.laps=3", "--set", "e_step.sampler.steps=5"]);
    assert!(shown.contains("laps = 3\n") && shown.contains("steps = 5\n"), "{shown}");
    std::fs::write(dir.path().join("c.toml"), &shown).expect("a file");
    assert_eq!(succeed(dir.path(), &["config", "show", "c.toml"]), shown);
}

#[cfg(not(feature = "stock"))]
#[test]
fn devices_say_what_this_build_lacks() {
    let found = print(&["devices"]);
    let (listed, workers) = found.rsplit_once("workers").expect("a line about workers");
    assert!(workers.trim().parse::<usize>().expect("a number") > 0);
    assert_snapshot(listed.to_string(), "devices.txt");
}

#[test]
fn the_citation_is_the_repository_s() {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CITATION.cff")).expect("CITATION.cff");
    assert_eq!(print(&["cite"]), file);
}

#[test]
fn completions_and_man_page_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = print(&["completions", shell]);
        assert!(["train", "resume", "evaluate", "observations"].iter().all(|word| script.contains(word)), "{shell}");
    }
    let page = print(&["man"]);
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "not a man page");
    assert!(page.contains("diffem\\-train") && page.contains("posterior"), "{page}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in [&["config", "schema"][..], &["config", "show"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = diffem(Path::new("."), args);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("the command starts");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert!(output.status.success(), "{args:?}: {}", output.status);
    }
}

#[test]
fn another_file_in_place_of_weights_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["fetch-weights", "--dir", "."];
    assert!(succeed(dir.path(), &args).contains("state    missing"));
    std::fs::write(dir.path().join("efficientnet-lite0-57934424.pth"), b"other").expect("a file");
    let output = run(dir.path(), &args);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SHA-256"), "{output:?}");
}

/// The job script of a run that does not exist yet: what Slurm is asked for, and how the ranks are started.
#[test]
fn a_job_script_begins_or_resumes_a_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = ["slurm", "my run", "--config", "digits", "--set", "name=it's", "--ranks", "8", "--gpus-per-task", "1"];
    let script = succeed(dir.path(), &[&words[..], &["--time", "1-00:30", "--partition", "gpu"]].concat());
    let directives = [
        "job-name=diffem-my-run",
        "ntasks=8",
        "gpus-per-task=1",
        "time=1-00:30",
        "signal=B:USR1@120",
        "requeue",
        "open-mode=append",
        "partition=gpu",
    ];
    for directive in directives {
        assert!(script.contains(&format!("\n#SBATCH --{directive}\n")), "{directive}:\n{script}");
    }
    assert!(
        script.contains("run='my run'\n") && script.contains(r#"(train digits --out "$run" --set 'name=it'\''s')"#)
    );
    assert!(script.contains("srun --kill-on-bad-exit=1 --mpi=pmix") && script.contains("--device cuda --threads"));
    let mpirun = succeed(dir.path(), &[&words[..], &["--launcher", "mpirun"]].concat());
    assert!(mpirun.contains("\nmpirun ") && !mpirun.contains("srun "), "{mpirun}");
    // One rank on processors needs no MPI.
    let one = succeed(dir.path(), &["slurm", "run", "--config", "digits"]);
    assert!(!one.contains("pmix") && !one.contains("--device") && !one.contains("gpus"), "{one}");
    for script in [script, mpirun, one] {
        std::fs::write(dir.path().join("job.sh"), &script).expect("a file");
        assert!(Command::new("bash").args(["-n", "job.sh"]).current_dir(dir.path()).status().expect("bash").success());
    }
    for (words, expected) in [
        (&["slurm", "run"][..], "run is not a run directory"),
        (&["slurm", "run", "--config", "digits", "--ranks", "0"], "--ranks 0: expected 1 or more"),
        (&["slurm", "run", "--config", "digits", "--gpus-per-task", "2"], "a rank computes on one GPU"),
        (&["slurm", "run", "--config", "digits", "--time", "4h"], "--time 4h: expected minutes"),
    ] {
        let output = run(dir.path(), words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{words:?}: {said}");
    }
}
