//! `diffem corrupt`: makes observations from clean signals with a channel.

use crate::args::Corrupt;
use crate::run::corruption::corrupt;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &Corrupt) -> Result<()> {
    let (n, length) = corrupt(args)?;
    super::print(&format!("{}: {n} observations of length {length}\n", args.out.display()))
}
