//! Finds laps of a run: the one that a command asks for, or the best one, and the files of that lap.

use crate::run::dir::RunDir;
use crate::run::metrics::{self, Line};
use anyhow::{Result, bail};
use diffem::em::LapRecord;
use std::path::{Path, PathBuf};

/// The directory of a lap of a run: the one asked for, or else the best lap by metrics.jsonl, or else the
/// last one. `path` may also be a lap directory itself.
pub fn lap_dir(path: &Path, lap: Option<usize>) -> Result<PathBuf> {
    if path.join("ema.safetensors").is_file() {
        return Ok(path.to_path_buf());
    }
    let run = RunDir::open(path)?;
    let laps: Vec<usize> = run.laps()?.into_iter().filter(|lap| *lap > 0).collect();
    let Some(&last) = laps.last() else {
        bail!("{} has no finished lap yet: continue it with `diffem resume`", path.display());
    };
    match lap {
        Some(lap) if laps.contains(&lap) => Ok(run.lap(lap)),
        Some(0) => bail!("lap 0 is the start, which has no trained posterior: {} has laps 1 to {last}", path.display()),
        Some(lap) => bail!("lap {lap} is not finished: {} has laps 1 to {last}", path.display()),
        None => Ok(run.lap(chosen_lap(&run, &laps, last)?)),
    }
}

/// The file of signals that `path` refers to: the reconstructions of a run (of its best lap) or of a lap
/// directory, or `path` itself if it is a file.
pub fn reconstructions_of(path: &Path) -> Result<PathBuf> {
    if path.is_file() { Ok(path.to_path_buf()) } else { Ok(lap_dir(path, None)?.join("reconstructions.safetensors")) }
}

/// The lap of `run` that was asked for, lap 0 included, or else the one chosen by the held-out observations.
pub fn reconstructed_lap(run: &RunDir, lap: Option<usize>) -> Result<usize> {
    let (finished, path) = (run.laps()?, run.path().display());
    match (lap, finished.last()) {
        (_, None) | (None, Some(0)) => bail!("{path} has no finished lap yet: continue it with `diffem resume {path}`"),
        (None, Some(&last)) => chosen_lap(run, &finished, last),
        (Some(lap), _) if finished.contains(&lap) => Ok(lap),
        (Some(lap), Some(last)) => bail!("--lap {lap}: that lap is not finished; {path} has laps 0 to {last}"),
    }
}

/// The lap chosen by the held-out observations if it is in `finished`, and the lap `last` otherwise.
pub fn chosen_lap(run: &RunDir, finished: &[usize], last: usize) -> Result<usize> {
    Ok(best_lap(run)?.filter(|lap| finished.contains(lap)).unwrap_or(last))
}

/// The lap chosen by the held-out observations; `None` if there is none yet.
pub fn best_lap(run: &RunDir) -> Result<Option<usize>> {
    let path = run.file("metrics.jsonl");
    let lines = if path.exists() { metrics::read(&path)? } else { Vec::new() };
    let record = |line: &Line| match *line {
        Line::Lap { lap, loss, monitor, relaxation, .. } => Some(LapRecord { lap, loss, monitor, relaxation }),
        Line::MStep { .. } => None,
    };
    Ok(LapRecord::best(&lines.iter().filter_map(record).collect::<Vec<_>>()))
}
