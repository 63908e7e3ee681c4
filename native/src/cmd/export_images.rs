//! `diffem export-images`: writes folders of PNG files for tools that score images.

use crate::args::ExportImages;
use crate::run::images::export;
use crate::run::session::Session;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &ExportImages) -> Result<()> {
    let written = export(args, &Session::open(&args.run, &[], "auto")?)?;
    let also = written.truth.map_or(String::new(), |truth| format!(", {truth} of the truth"));
    let (out, lap, n) = (written.out.display(), written.lap, written.reconstructions);
    super::print(&format!("{out}: {n} reconstructions of lap {lap}{also}\n"))
}
