//! The mark of a run directory that is being made, so that one that a killed process left unfinished is told from a
//! directory of the user's.

use crate::files;
use anyhow::{Context, Result, bail};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Name of the mark. It is cleared like other leftovers.
const MARK: &str = ".tmp-making";

/// The locked mark of a directory that this process is making a run in.
#[derive(Debug)]
pub struct Making {
    path: PathBuf,
    _lock: File,
}

impl Making {
    /// Marks the directory `path`, and removes what a killed process left in it.
    ///
    /// # Errors
    /// A directory that holds anything else, or in which another process is making a run.
    pub fn of(path: &Path) -> Result<Self> {
        let mark = path.join(MARK);
        let unfinished = mark.exists() && !path.join("config.toml").exists();
        if !unfinished && holds_anything(path)? {
            let advice = match path.join("config.toml").is_file() {
                true => format!("continue that run with `diffem resume {}`", path.display()),
                false => "it holds no run; empty it".to_string(),
            };
            bail!("{} is not empty: {advice}, or choose another --out", path.display());
        }
        let lock = File::create(&mark).with_context(|| format!("cannot write in {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another process is making a run in {}; wait for it or choose another --out", path.display())
            }
            Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("cannot lock {}", mark.display())),
        }
        if unfinished {
            let unfinished = || format!("cannot empty {}", path.display());
            files::empty_dir_but(path, MARK).with_context(unfinished)?;
        }
        Ok(Self { path: mark, _lock: lock })
    }

    /// Removes the mark once the directory is a run.
    ///
    /// # Errors
    /// A mark that cannot be removed.
    pub fn finish(&self) -> Result<()> {
        files::remove_if_there(&self.path)
    }
}

/// Whether a directory has entries besides the temporary ones of killed processes.
fn holds_anything(path: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut kept = entries.filter(|entry| !entry.as_ref().is_ok_and(|entry| files::is_leftover(&entry.path())));
    Ok(kept.next().is_some())
}
