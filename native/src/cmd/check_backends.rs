//! `diffem check-backends`: compares every backend of the build with one golden file, in one table.

use crate::args::CheckBackends;
use crate::eval::conformance::{check_all, write_golden};
use crate::files;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &CheckBackends) -> Result<()> {
    if let Some(path) = &args.write_golden {
        let fingerprint = write_golden(path)?;
        return super::print(&format!("{}: golden file {fingerprint}\n", path.display()));
    }
    if let Some(path) = &args.out {
        files::ensure_writable(path)?;
    }
    let checked = check_all(args)?;
    let text = checked.table();
    super::print(&text)?;
    if let Some(path) = &args.out {
        files::write_atomic(path, text.as_bytes())?;
    }
    checked.verify()
}
