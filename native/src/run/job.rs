//! The script of a batch job that trains a run under Slurm.

use crate::args::{Launcher, Slurm, at_least};
use crate::run::dir::RunDir;
use anyhow::{Result, bail, ensure};
use std::path::Path;

/// The script that `args` describe, which calls the program at `program`.
///
/// # Errors
/// Numbers outside their range; a directory that holds no run, without a configuration to begin one.
pub fn script(args: &Slurm, program: &Path) -> Result<String> {
    at_least("--ranks", args.ranks, 1)?;
    at_least("--cpus-per-task", args.cpus_per_task, 1)?;
    if args.gpus_per_task > 1 {
        bail!("--gpus-per-task {}: a rank computes on one GPU; give 1, and more --ranks", args.gpus_per_task);
    }
    let digits = |c: char| c.is_ascii_digit() || c == ':' || c == '-';
    ensure!(
        !args.time.is_empty() && args.time.chars().all(digits),
        "--time {}: expected minutes, hours:minutes:seconds or days-hours:minutes:seconds, such as 4:00:00",
        args.time
    );
    let command = begin(args)?;
    let launch = match args.launcher {
        // Without the first option a rank that dies leaves the others waiting.
        Launcher::Srun => "srun --kill-on-bad-exit=1 --mpi=pmix --cpus-per-task=\"$SLURM_CPUS_PER_TASK\"",
        Launcher::Mpirun => "mpirun --map-by slot:PE=\"$SLURM_CPUS_PER_TASK\"",
    };
    let launch = if args.ranks == 1 { "srun --cpus-per-task=\"$SLURM_CPUS_PER_TASK\"" } else { launch };
    let device = if args.gpus_per_task > 0 { " --device cuda" } else { "" };
    let filled = [
        ("@DIRECTIVES@", directives(args)),
        ("@RUN@", quoted(&args.run)),
        ("@BEGIN@", command),
        ("@LAUNCH@", launch.to_string()),
        ("@PROGRAM@", quoted(program)),
        ("@OPTIONS@", format!("{device} --threads \"$SLURM_CPUS_PER_TASK\"")),
    ];
    Ok(filled.iter().fold(include_str!("job.sh").to_string(), |text, (name, value)| text.replacen(name, value, 1)))
}

/// The requests to Slurm.
fn directives(args: &Slurm) -> String {
    let name = args.run.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let mut lines = vec![
        format!("job-name=diffem-{}", name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-")),
        format!("ntasks={}", args.ranks),
        format!("cpus-per-task={}", args.cpus_per_task),
        format!("time={}", args.time),
        format!("signal=B:USR1@{}", args.margin),
        "requeue".into(),
        "open-mode=append".into(),
        "output=%x-%j.log".into(),
    ];
    if args.gpus_per_task > 0 {
        lines.insert(3, "gpus-per-task=1".into());
    }
    lines.extend(args.partition.iter().map(|partition| format!("partition={partition}")));
    lines.iter().map(|line| format!("#SBATCH --{line}")).collect::<Vec<_>>().join("\n")
}

/// The words of the command that begins the run.
fn begin(args: &Slurm) -> Result<String> {
    let Some(config) = &args.config else {
        RunDir::open(&args.run)?;
        return Ok("resume \"$run\"".into());
    };
    let settings = args.settings.set.iter().map(|setting| format!(" --set {}", quoted(Path::new(setting))));
    let observations = args.observations.iter().map(|file| format!(" --observations {}", quoted(file)));
    let more: String = settings.chain(observations).collect();
    Ok(format!("train {} --out \"$run\"{more}", quoted(config)))
}

/// A word of the shell.
fn quoted(word: &Path) -> String {
    let word = word.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
