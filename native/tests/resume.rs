//! A run is a function of its configuration: stopped or killed at any point and resumed, on any number of
//! threads, it writes the same bytes as an uninterrupted run.

mod common;

use common::arrays::read_safetensors;
use common::{TINY, assert_same_run, diffem, laps, metrics, run, succeed, train};
use diffem::noise::{Key, Purpose};
use serde_json::Value;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// [`TINY`] slowed down (one second per phase) so that it can be interrupted at a chosen moment, and trained with Muon, which
/// has Adam in it.
fn slow() -> String {
    TINY.replace("width = 16", "width = 64")
        .replace("[m_step]", "[m_step]\noptimizer = \"muon\"")
        .replace("steps = 60", "steps = 500")
        .replace("batch = 64", "batch = 256")
        .replace("steps = 20", "steps = 500")
}

/// Returns a directory with a finished run of `config` in `run`.
fn finished(config: &str, more: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    train(dir.path(), config, "run", more);
    dir
}

/// Returns the uninterrupted run of [`slow`].
fn undisturbed() -> &'static Path {
    static RUN: LazyLock<TempDir> = LazyLock::new(|| finished(&slow(), &[]));
    RUN.path()
}

/// Position of a saved state within a lap.
#[derive(Debug)]
struct Point {
    lap: u64,
    phase: String,
    step: u64,
    reconstructed: u64,
}

/// Returns the last saved point within a lap of `run`, read without the code under test.
fn saved(run: &Path) -> Option<Point> {
    let bytes = std::fs::read(run.join("state.safetensors")).ok()?;
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    let meta = header["__metadata__"]["diffem"].as_str().expect("metadata");
    let meta: Value = serde_json::from_str(meta).expect("JSON");
    Some(Point {
        lap: meta["lap"].as_u64()?,
        phase: meta["phase"].as_str()?.to_string(),
        step: meta["step"].as_u64()?,
        reconstructed: meta["done"].as_u64()?,
    })
}

fn inside_m_step(run: &Path) -> bool {
    saved(run).is_some_and(|p| p.lap == 2 && p.phase == "m-step" && p.step >= 25 && p.step < 500)
}

fn inside_e_step(run: &Path) -> bool {
    saved(run).is_some_and(|p| p.lap == 1 && p.phase == "e-step" && p.reconstructed > 0 && p.reconstructed < 512)
}

fn between_laps(run: &Path) -> bool {
    run.join("lap-001/DONE").exists() && !run.join("lap-002").exists() && saved(run).is_none()
}

fn before_the_first_save(run: &Path) -> bool {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    lines.contains("\"step\":25,") && run.join("lap-000/DONE").exists() && saved(run).is_none()
}

fn spawn(dir: &Path, config: &str) -> Child {
    std::fs::write(dir.join("run.toml"), config).expect("a file");
    let mut command = diffem(dir, &["train", "run.toml", "--out", "run", "--progress", "plain"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("the command starts")
}

/// Trains `config` until `point` holds for the run directory, then calls `end` on the process. Tries again if
/// `left` does not hold afterwards because the process had moved on. Returns the directory and the output of
/// the process.
fn interrupted(
    config: &str,
    point: fn(&Path) -> bool,
    end: fn(&mut Child),
    left: fn(&Path) -> bool,
) -> (TempDir, ExitStatus, String) {
    for _ in 0..5 {
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = spawn(dir.path(), config);
        let run = dir.path().join("run");
        let begun = Instant::now();
        while !point(&run) && child.try_wait().expect("a process").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(120), "{:?} after two minutes", saved(&run));
            std::thread::sleep(Duration::from_millis(1));
        }
        end(&mut child);
        let output = child.wait_with_output().expect("a process");
        if left(&run) {
            return (dir, output.status, String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    panic!("the run never was where it was to be interrupted");
}

/// Returns a run of `config` that was ended by SIGKILL while `point` held.
fn killed(config: &str, point: fn(&Path) -> bool) -> TempDir {
    let kill = |child: &mut Child| child.kill().expect("a process");
    let (dir, status, _) = interrupted(config, point, kill, point);
    assert!(!status.success());
    dir
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
}

fn resume(dir: &TempDir) {
    succeed(dir.path(), &["resume", "run", "--progress", "quiet"]);
}

fn assert_as_undisturbed(dir: &TempDir) {
    assert_same_run(&dir.path().join("run"), &undisturbed().join("run"));
}

#[test]
fn a_run_killed_inside_an_m_step_ends_the_same() {
    let dir = killed(&slow(), inside_m_step);
    resume(&dir);
    assert_as_undisturbed(&dir);
}

#[test]
fn a_run_killed_inside_an_e_step_ends_the_same() {
    let dir = killed(&slow(), inside_e_step);
    resume(&dir);
    assert_as_undisturbed(&dir);
}

#[test]
fn a_run_killed_between_laps_ends_the_same() {
    let dir = killed(&slow(), between_laps);
    resume(&dir);
    assert_as_undisturbed(&dir);
}

/// If only the start is on disk, the start is computed again, and its line of the metrics is not written
/// twice.
#[test]
fn a_run_killed_before_its_first_save_ends_the_same() {
    let config = slow().replace("save_every = 0.0", "save_every = 1000.0");
    let dir = killed(&config, before_the_first_save);
    resume(&dir);
    assert_eq!(metrics(&dir.path().join("run")), metrics(&undisturbed().join("run")));
    assert_same_tensors(&dir.path().join("run"), &undisturbed().join("run"));
}

/// A process killed while it wrote the observations leaves a directory that holds no run yet.
#[test]
fn what_a_killed_process_left_of_a_run_that_had_not_begun_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = dir.path().join("run");
    std::fs::create_dir(&run).expect("a directory");
    for name in [".tmp-making", ".tmp-a1b2c3", "observations.safetensors"] {
        std::fs::write(run.join(name), "half").expect("a file");
    }
    train(dir.path(), &slow(), "run", &[]);
    assert_same_tensors(&run, &undisturbed().join("run"));
    assert!(!run.join(".tmp-making").exists() && !run.join(".tmp-a1b2c3").exists());
}

#[cfg(unix)]
#[test]
fn a_run_stopped_by_a_signal_says_so_and_ends_the_same() {
    let stop: [fn(&mut Child); 2] = [|child| signal(child, "INT"), |child| signal(child, "TERM")];
    for (point, end) in [inside_m_step, inside_e_step].into_iter().zip(stop) {
        // The process stops at the next event, which may be the end of the phase.
        let (dir, status, stderr) = interrupted(&slow(), point, end, |run| saved(run).is_some());
        assert_eq!(status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("continue with `diffem resume run`"), "{stderr}");
        resume(&dir);
        assert_as_undisturbed(&dir);
    }
}

/// If the reconstructions that a saved point needs are missing, the message says so and how to continue.
#[test]
fn a_run_without_its_half_made_reconstructions_says_what_to_do() {
    let dir = killed(&slow(), inside_e_step);
    std::fs::remove_file(dir.path().join("run/e-step-001.safetensors")).expect("the reconstructions under way");
    let output = common::run(dir.path(), &["resume", "run", "--progress", "quiet"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("e-step-001.safetensors") && error.contains("delete the run's state.safetensors"),
        "{error}"
    );
    std::fs::remove_file(dir.path().join("run/state.safetensors")).expect("the saved point");
    resume(&dir);
    assert_as_undisturbed(&dir);
}

/// A process that resumes a run is killed in turn.
#[test]
fn a_resumed_run_killed_again_ends_the_same() {
    let dir = killed(&slow(), inside_e_step);
    let run = dir.path().join("run");
    let mut child = diffem(dir.path(), &["resume", "run", "--progress", "quiet"]).spawn().expect("the command starts");
    while !run.join("lap-001/DONE").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("a process");
    child.wait().expect("a process");
    resume(&dir);
    assert_as_undisturbed(&dir);
}

/// A process killed right after the last lap leaves a state within that lap.
#[test]
fn a_state_within_a_finished_run_is_gone_after_a_resume() {
    let dir = finished(TINY, &[]);
    let run = dir.path().join("run");
    std::fs::copy(run.join("lap-001/state.safetensors"), run.join("state.safetensors")).expect("a copy");
    std::fs::remove_file(run.join("summary.json")).expect("a file");
    resume(&dir);
    assert!(!run.join("state.safetensors").exists() && run.join("summary.json").exists());
}

/// Partially written files of a killed process are removed.
#[test]
fn leftovers_are_gone_after_a_resume() {
    let dir = finished(TINY, &[]);
    let run = dir.path().join("run");
    std::fs::create_dir(run.join(".tmp-lap")).expect("a directory");
    for half in [".tmp-state", ".tmp-lap/model.safetensors", "figures/.tmp-loss"] {
        std::fs::write(run.join(half), "half").expect("a file");
    }
    resume(&dir);
    let left = common::files(&run).into_keys().filter(|name| name.contains(".tmp-")).collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let dir = finished(TINY, &[]);
    let path = dir.path().join("run");
    let before = (laps(&path), metrics(&path));
    resume(&dir);
    assert_eq!((laps(&path), metrics(&path)), before);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for optimizer in ["adam", "muon"] {
        let run = |threads| finished(TINY, &["--threads", threads, "--set", &format!("m_step.optimizer={optimizer}")]);
        let (one, two) = (run("1"), run("2"));
        assert_same_run(&one.path().join("run"), &two.path().join("run"));
    }
}

/// Asserts that weights and reconstructions are equal; the configurations in the files' metadata may differ.
fn assert_same_tensors(found: &Path, expected: &Path) {
    let (a, b) = (laps(found), laps(expected));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in a.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
        assert!(read_safetensors(bytes) == read_safetensors(&b[name]), "{name} differs");
    }
}

#[test]
fn the_size_of_a_shard_changes_nothing() {
    let (plain, odd) = (finished(TINY, &[]), finished(TINY, &["--set", "e_step.shard=37"]));
    assert_same_tensors(&odd.path().join("run"), &plain.path().join("run"));
    assert_eq!(metrics(&odd.path().join("run")), metrics(&plain.path().join("run")));
}

#[test]
fn another_seed_changes_everything() {
    let (plain, other) = (finished(TINY, &[]), finished(TINY, &["--seed", "1"]));
    let tensors = |dir: &TempDir, name: &str| read_safetensors(&laps(&dir.path().join("run"))[name]);
    for name in ["lap-000/reconstructions.safetensors", "lap-002/model.safetensors"] {
        assert!(tensors(&plain, name) != tensors(&other, name), "{name}");
    }
}

#[test]
fn a_finished_run_can_be_extended() {
    let (extended, whole) = (finished(TINY, &[]), finished(TINY, &["--set", "em.laps=3"]));
    succeed(extended.path(), &["resume", "run", "--set", "em.laps=3", "--progress", "quiet"]);
    let [extended, whole] = [extended.path().join("run"), whole.path().join("run")];
    assert_same_tensors(&extended, &whole);
    assert_eq!(metrics(&extended), metrics(&whole));
    // The last lap was trained with the same configuration, so all its bytes agree.
    let last = |run: &Path| {
        let mut files = laps(run);
        files.retain(|name, _| name.starts_with("lap-003/"));
        files
    };
    assert!(last(&extended).contains_key("lap-003/state.safetensors"));
    assert_eq!(last(&extended), last(&whole));
    assert_eq!(
        std::fs::read(extended.join("config.toml")).expect("a file"),
        std::fs::read(whole.join("config.toml")).expect("a file")
    );
}

/// Seed of the random moments: a new one each time, unless DIFFEM_KILL_SEED sets it.
fn kill_seed() -> u64 {
    match std::env::var("DIFFEM_KILL_SEED") {
        Ok(seed) => seed.parse().expect("DIFFEM_KILL_SEED: a whole number"),
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

/// 20 runs are each killed at a random moment and resumed.
#[test]
#[ignore = "two minutes: the moments above, and 20 others"]
fn a_run_killed_at_any_moment_ends_the_same() {
    let begun = Instant::now();
    undisturbed();
    let whole = begun.elapsed().as_secs_f64();
    let seed = kill_seed();
    println!("moments of DIFFEM_KILL_SEED={seed}");
    let mut moments = Key::new(seed, Purpose::Split, 0).stream(0, 0);
    for _ in 0..20 {
        let fraction = moments.uniform();
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = spawn(dir.path(), &slow());
        std::thread::sleep(Duration::from_secs_f64(fraction * whole));
        let _ = child.kill();
        child.wait().expect("a process");
        if !dir.path().join("run/config.toml").exists() {
            // The process was killed before the directory was a run; the message says so, and its advice
            // works.
            assert_eq!(run(dir.path(), &["resume", "run"]).status.code(), Some(2));
            continue;
        }
        println!("killed after {:.0} %: {:?}", 100.0 * fraction, saved(&dir.path().join("run")));
        resume(&dir);
        assert_as_undisturbed(&dir);
    }
}

/// The device of a resumed run may be another one.
#[test]
fn a_run_says_each_time_that_its_device_computes_in_single_precision() {
    let dir = tempfile::tempdir().expect("a directory");
    let small = [
        "data.n=8",
        "m_step.steps=1",
        "m_step.batch=2",
        "e_step.sampler.steps=1",
        "init.iterations=1",
        "report.draws=2",
    ];
    let network = "network={kind=\"unet\",channels=[4],blocks=[1],heads=[0],embedding=4,patch=1,precision=\"bf16\"}";
    let set: Vec<&str> = small.iter().chain([&network]).flat_map(|setting| ["--set", setting]).collect();
    let new = [&["train", "digits", "--out", "run", "--set", "em.laps=1"], &set[..]].concat();
    for args in [&new[..], &["resume", "run", "--set", "em.laps=2"]] {
        let output = run(dir.path(), args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("the run computes in single precision"), "{said}");
    }
}
