//! Lists the files of a folder and of its subfolders.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// Lists all files below `dir` with one of these extensions, sorted by name, without hidden files.
pub fn list(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    ensure!(dir.is_dir(), "data.path: {} is not a folder; expected one with pictures", dir.display());
    let (found, others) = below(dir, extensions)?;
    if found.is_empty() {
        let wanted = extensions.join(", .");
        bail!("data.path: {} has no .{wanted} file; it has {others} other files", dir.display());
    }
    Ok(found)
}

/// Lists all files below `dir` with one of these extensions, sorted by name, and counts the other files.
pub fn below(dir: &Path, extensions: &[&str]) -> Result<(Vec<PathBuf>, usize)> {
    let (mut found, mut others) = (Vec::new(), 0);
    collect(dir, extensions, &mut found, &mut others)?;
    found.sort();
    Ok((found, others))
}

fn collect(dir: &Path, extensions: &[&str], found: &mut Vec<PathBuf>, others: &mut usize) -> Result<()> {
    let failed = || format!("cannot list {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Links to directories are not followed because they could form a cycle.
        if entry.file_type().with_context(failed)?.is_dir() {
            collect(&path, extensions, found, others)?;
            continue;
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        match extensions.contains(&extension.as_str()) {
            true => found.push(path),
            false => *others += 1,
        }
    }
    Ok(())
}
