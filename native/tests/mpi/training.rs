//! Training on several ranks.

use super::common::{TINY, assert_same_run, diffem, succeed};
use super::{IMAGES, can_start, mpirun, program, refused, said, trained, with_alone};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the other ranks may live on when one dies.
const SOON: Duration = Duration::from_secs(5);

/// [`TINY`] in eight micro-batches, slowed down so that it can be interrupted at a chosen moment.
fn slow() -> String {
    TINY.replace("width = 16", "width = 64")
        .replace("steps = 60", "steps = 400")
        .replace("batch = 64\nmicro_batch = 32", "batch = 256\nmicro_batch = 32")
        .replace("steps = 20", "steps = 400")
}

#[test]
fn every_number_of_ranks_writes_the_bytes_of_one_process() {
    if !can_start("bytes of one process") {
        return;
    }
    let digits = |dir: &TempDir| {
        let settings = [
            "em.laps=2",
            "m_step.steps=20",
            "m_step.micro_batch=16",
            "e_step.shard=64",
            "e_step.sampler.steps=5",
            "report.draws=4",
        ];
        let settings: Vec<&str> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
        let shown = succeed(dir.path(), &[&["config", "show", "digits"], settings.as_slice()].concat());
        std::fs::write(dir.path().join("digits.toml"), &shown).expect("a file");
        shown
    };
    let scratch = tempfile::tempdir().expect("a directory");
    for config in [digits(&scratch), IMAGES.into()] {
        let dir = with_alone(&config);
        for ranks in [1, 2, 3, 4] {
            let out = format!("on-{ranks}");
            trained(dir.path(), ranks, &out);
            assert_same_run(&dir.path().join(&out), &dir.path().join("alone"));
        }
    }
}

/// Rank 0 alone speaks, and says where the time of a lap went.
#[test]
fn one_rank_speaks_and_counts() {
    if !can_start("one rank speaks") {
        return;
    }
    let dir = with_alone(TINY);
    let output = mpirun(dir.path(), 3, &["train", "run.toml", "--out", "run"]).output().expect("mpirun");
    let said = said(&output);
    assert!(output.status.success() && said.matches("lap 1:").count() == 1, "{said}");
    assert!(said.contains("a mini-batch has 2 micro-batches, so 1 of 3 ranks wait in the M-step"), "{said}");
    let metrics = std::fs::read_to_string(dir.path().join("run/metrics.jsonl")).expect("metrics");
    let line = metrics.lines().find(|line| line.contains("\"event\":\"lap\",\"lap\":1")).expect("a lap");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["ranks"]["count"], 3);
    for field in ["m_step", "e_step", "communication", "bytes_sent"] {
        assert!(line["ranks"][field].as_f64().expect("a number") > 0.0, "{field}: {line}");
    }
}

/// The processes of a job's ranks, by rank.
fn pids(job: &Child, ranks: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let mut found: Vec<(usize, String)> = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(String::from));
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ);
            let rank = environ.split('\0').find_map(|variable| variable.strip_prefix("OMPI_COMM_WORLD_RANK="));
            if let (true, Some(rank)) = (parent == Some(job.id().to_string()), rank) {
                found.push((rank.parse().expect("a rank"), entry.file_name().to_string_lossy().into_owned()));
            }
        }
        if found.len() == ranks {
            found.sort();
            return found.into_iter().map(|(_, pid)| pid).collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the ranks never started");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts `args` on `ranks` ranks, sends `signal` to rank `of` once `point` holds, and returns how the job ended and how
/// long it took to.
fn signalled(
    at: &Path,
    (ranks, of): (usize, usize),
    signal: &str,
    args: &[&str],
    point: &dyn Fn() -> bool,
) -> (Output, Duration) {
    let mut command = mpirun(at, ranks, args);
    let mut job = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("mpirun");
    let (ranks, begun) = (pids(&job, ranks), Instant::now());
    while !point() {
        assert!(begun.elapsed() < Duration::from_secs(120), "the run never came there");
        assert!(job.try_wait().expect("a process").is_none(), "the run was over before");
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-s", signal, &ranks[of]]).status().expect("kill").success());
    let output = job.wait_with_output().expect("a process");
    (output, sent.elapsed())
}

/// Whether a run has come to a point.
type Point<'p> = &'p dyn Fn(&Path) -> bool;

/// The lap, phase and progress of the saved state within a lap.
fn saved(run: &Path) -> Option<(u64, String, u64, u64)> {
    let bytes = std::fs::read(run.join("state.safetensors")).ok()?;
    let length = u64::from_le_bytes(bytes[..8].try_into().ok()?) as usize;
    let header: serde_json::Value = serde_json::from_slice(bytes.get(8..8 + length)?).ok()?;
    let meta: serde_json::Value = serde_json::from_str(header["__metadata__"]["diffem"].as_str()?).ok()?;
    let number = |name: &str| meta[name].as_u64();
    Some((number("lap")?, meta["phase"].as_str()?.to_string(), number("step")?, number("done")?))
}

/// Whether something in `run` is half written.
fn saving(run: &Path) -> bool {
    let names = std::fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    run.join("lap-001/DONE").exists() && names.any(|name| name.starts_with(".tmp-"))
}

#[test]
fn a_rank_that_dies_ends_all_and_any_number_goes_on() {
    if !can_start("a rank dies") {
        return;
    }
    let dir = with_alone(&slow());
    let in_phase = |run: &Path, phase: &str| saved(run).is_some_and(|(_, now, ..)| now == phase);
    let points: [(&str, Point<'_>); 3] = [
        ("m-step", &|run| in_phase(run, "m-step")),
        ("e-step", &|run| in_phase(run, "e-step")),
        ("saving", &|run| saving(run)),
    ];
    for (i, (name, point)) in points.into_iter().enumerate() {
        // Rank 0 is the one that saves.
        let (ranks, of) = ([2, 4, 2][i], [1, 3, 0][i]);
        let run: PathBuf = dir.path().join(name);
        let args = ["train", "run.toml", "--out", name, "--progress", "quiet"];
        let (output, took) = signalled(dir.path(), (ranks, of), "KILL", &args, &|| point(&run));
        assert!(!output.status.success() && took < SOON, "{name}: {took:?}\n{}", said(&output));
        assert!(said(&output).contains("signal 9"), "{name}: {}", said(&output));
        let more = [3, 1, 4][i];
        let output = mpirun(dir.path(), more, &["resume", name, "--progress", "quiet"]).output().expect("mpirun");
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert_same_run(&run, &dir.path().join("alone"));
    }
}

#[test]
fn a_signal_to_any_rank_saves_and_ends_all() {
    if !can_start("a signal to any rank") {
        return;
    }
    let dir = with_alone(&slow());
    for (signal, of) in [("TERM", 1), ("USR1", 0)] {
        let run = dir.path().join(signal);
        let args = ["train", "run.toml", "--out", signal, "--progress", "plain"];
        let trained =
            || std::fs::read_to_string(run.join("metrics.jsonl")).is_ok_and(|text| text.contains("\"step\":50,"));
        let (output, took) = signalled(dir.path(), (2, of), signal, &args, &trained);
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert!(took < SOON && said(&output).matches("continue with `diffem resume").count() == 1, "{}", said(&output));
        assert!(saved(&run).is_some());
        // One process without MPI goes on.
        succeed(dir.path(), &["resume", signal, "--progress", "quiet"]);
        assert_same_run(&run, &dir.path().join("alone"));
    }
}

#[test]
fn ranks_that_do_not_belong_together_are_refused() {
    if !can_start("ranks that do not belong together") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    for at in ["", "a", "b"] {
        std::fs::create_dir_all(dir.path().join(at)).expect("a directory");
        std::fs::write(dir.path().join(at).join("run.toml"), TINY).expect("a file");
    }
    let at = dir.path();
    let train = |more: &[&'static str]| program(&[&["train", "run.toml", "--out", "run"], more].concat());
    let two = |first: Vec<&'static str>, second: Vec<&'static str>| {
        [&["-n", "1"], first.as_slice(), &[":", "-n", "1"], second.as_slice()].concat()
    };
    let seeds = two(train(&[]), train(&["--seed", "1"]));
    refused(at, &seeds, "the ranks differ in the configuration: `seed = 0` on rank 0 and `seed = 1` on rank 1");
    assert!(!at.join("run").exists());
    let same = train(&[]);
    let apart = [&["-n", "1", "--wdir", "a"], same.as_slice(), &[":", "-n", "1", "--wdir", "b"], same.as_slice()];
    refused(at, &apart.concat(), "does not see run of rank 0; put the run on a file system that all share");
    assert!(!at.join("a/run").exists() && !at.join("b/run").exists());
    refused(at, &[&["-n", "3"], program(&["train", "none.toml"]).as_slice()].concat(), "none.toml");
    let output = mpirun(at, 2, &["compare", "run.toml"]).output().expect("mpirun");
    assert!(
        !output.status.success() && said(&output).matches("a command that works in one;").count() == 1,
        "{}",
        said(&output)
    );
    // What was there before is whole, and a process alone works on.
    assert!(
        diffem(at, &["train", "run.toml", "--out", "run", "--progress", "quiet"]).status().expect("it runs").success()
    );
}
