//! Files on disk: read errors say what to do, and files are written whole or not at all.
//!
//! Everything is written under a temporary name next to its final path, synced, and then renamed, so that a
//! crash, a full disk or an interrupt leaves either the old content or the new one. A crash can leave a
//! `.tmp-…` entry behind, which is never read and may be deleted ([`clear_leftovers`]).

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use tempfile::Builder;

const PREFIX: &str = ".tmp-";
/// Name, inside a temporary directory, of a directory that is being replaced.
const ASIDE: &str = "old";

/// Opens `path` for reading; the error names it and says what to do.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| explain("read", path, e))
}

/// The bytes of the file at `path`; the error names it and says what to do.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| explain("read", path, e))
}

/// Writes `bytes` to `path` and replaces an existing file, so that no reader ever sees a part of them.
///
/// The directory must exist. The file gets the usual permissions (0666 less the umask) and has reached the
/// disk when this returns.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |out| out.write_all(bytes))
}

/// Like [`write_atomic`], for the bytes that `fill` writes.
pub fn write_atomic_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    write_renamed(path, fill).map_err(|e| explain("write", path, e))
}

fn write_renamed(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut temporary = builder(0o666).tempfile_in(parent(path))?;
    let mut out = BufWriter::new(&mut temporary);
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    sync_directory(parent(path))
}

/// Checks that a file can be written at `path`, and leaves nothing there.
pub fn ensure_writable(path: &Path) -> Result<()> {
    let taken = path.is_dir().then(|| ErrorKind::IsADirectory.into());
    taken
        .map_or(Ok(()), Err)
        .and_then(|()| builder(0o666).tempfile_in(parent(path)))
        .map(drop)
        .map_err(|e| explain("write", path, e))
}

/// Creates the directory `path` and its missing parents, and checks that files can be written in it: a run
/// should fail here and not after its first hour.
pub fn ensure_writable_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| builder(0o666).tempfile_in(path))
        .map(drop)
        .map_err(|e| explain("write in directory", path, e))
}

/// Creates the directory `path` whole or not at all: `fill` writes into a temporary sibling (with
/// [`write_atomic`], so that its files reach the disk), which is then renamed to `path`.
///
/// An existing directory is replaced. It is moved aside first, because a rename cannot replace a directory
/// that is not empty: a crash between the two renames leaves the old one, complete, under a `.tmp-…` name. If
/// `fill` or the second rename fails, the old one stays or is put back.
pub fn replace_dir(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let failed = |e| explain("write directory", path, e);
    let fresh = builder(0o777).tempdir_in(parent(path)).map_err(failed)?;
    fill(fresh.path())?;
    sync_directory(fresh.path()).map_err(failed)?;
    swap(fresh.path(), path).map_err(failed)?;
    // The content now has its final name, so there is nothing left to delete under the temporary one.
    let _moved = fresh.keep();
    Ok(())
}

fn swap(fresh: &Path, path: &Path) -> std::io::Result<()> {
    if path.is_file() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let aside = builder(0o700).tempdir_in(parent(path))?;
    let old = aside.path().join(ASIDE);
    match fs::rename(path, &old) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    if let Err(e) = fs::rename(fresh, path) {
        if old.exists() {
            fs::rename(&old, path).inspect_err(|_| keep_for_rescue(aside))?;
        }
        return Err(e);
    }
    sync_directory(parent(path))
}

/// Leaves the old directory on disk if it could not be put back.
fn keep_for_rescue(aside: tempfile::TempDir) {
    let _kept = aside.keep();
}

/// Deletes incomplete files that killed processes left in the directory `dir`, if it exists. A directory that
/// was being replaced stays, because it may be the only copy.
pub fn clear_leftovers(dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    let clear = || -> std::io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if is_leftover(&path) && !path.join(ASIDE).exists() {
                remove(&path)?;
            }
        }
        Ok(())
    };
    clear().map_err(|e| explain("clear up", dir, e))
}

/// Whether `path` has the name of an incomplete file that a killed process left.
pub fn is_leftover(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

/// Deletes everything in the directory `dir`.
pub fn empty_dir(dir: &Path) -> std::io::Result<()> {
    empty_dir_but(dir, "")
}

/// Deletes everything in the directory `dir` but the entry `kept`.
pub fn empty_dir_but(dir: &Path, kept: &str) -> std::io::Result<()> {
    let entries = fs::read_dir(dir)?.filter(|entry| !entry.as_ref().is_ok_and(|entry| entry.file_name() == kept));
    entries.into_iter().try_for_each(|entry| remove(&entry?.path()))
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// The directory that holds `path`, or the current directory for a bare file name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Builds temporary files with ordinary permissions, because tempfile hides its files from other users.
fn builder(mode: u32) -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Makes a rename durable: on Unix, the directory that holds the new name must reach the disk as well.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Deletes the file at `path` if it exists.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Creates an unnamed file of `len` bytes in the directory `dir` that disappears when the process ends.
pub fn scratch(dir: &Path, len: u64) -> Result<File> {
    let make = || {
        let file = builder(0o600).tempfile_in(dir)?.into_file();
        fs4::FileExt::allocate(&file, len)?;
        Ok(file)
    };
    make().map_err(|e| explain("write in directory", dir, e))
}

/// Creates a file of `len` bytes at `path` that begins with `head`, and opens it for reading and writing. An
/// existing file is replaced.
pub fn create_sized(path: &Path, head: &[u8], len: u64) -> Result<File> {
    let make = || {
        let mut temporary = builder(0o666).tempfile_in(parent(path))?;
        fs4::FileExt::allocate(temporary.as_file(), len)?;
        temporary.write_all(head)?;
        temporary.as_file().sync_all()?;
        Ok(temporary.persist(path)?)
    };
    make().map_err(|e| explain("write", path, e))
}

/// Opens the file at `path` for reading and writing.
pub fn open_writable(path: &Path) -> Result<File> {
    File::options().read(true).write(true).open(path).map_err(|e| explain("write", path, e))
}

/// Flushes to disk what was written to `path` through a mapping.
pub fn sync(path: &Path) -> Result<()> {
    open_writable(path)?.sync_data().map_err(|e| explain("write", path, e))
}

fn explain(verb: &str, path: &Path, error: std::io::Error) -> anyhow::Error {
    let advice = advice(verb, path, error.kind());
    let cause = error.to_string();
    // tempfile adds its random name, which is of no use to the reader.
    let cause = cause.split(" at path ").next().unwrap_or_default().to_string();
    anyhow!(cause).context(format!("cannot {verb} {}{advice}", path.display()))
}

fn advice(verb: &str, path: &Path, kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound if verb == "read" => " (check the path)".into(),
        ErrorKind::NotFound => format!(" (create the directory {} first)", parent(path).display()),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            " (check its permissions, or choose another place)".into()
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => " (free some space, or choose another disk)".into(),
        ErrorKind::IsADirectory => " (it is a directory; name a file)".into(),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            " (a file stands where a directory is needed; move it, or choose another place)".into()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
