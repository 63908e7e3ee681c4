//! `diffem export`: writes a run's posterior as one file for the browser.

use crate::args::Export;
use crate::files;
use crate::run::export::Bundle;
use crate::run::session::Session;
use anyhow::{Result, bail};
use diffem::checkpoint::Precision;

/// Runs the command.
pub fn run(args: &Export) -> Result<()> {
    if let Some(out) = &args.out
        && out.extension().is_none_or(|extension| extension != "safetensors")
    {
        bail!("--out {}: expected a name that ends in .safetensors", out.display());
    }
    let session = Session::open(&args.run, &[], "auto")?;
    let out = args.out.clone().unwrap_or_else(|| session.run.file("checkpoint.safetensors"));
    files::ensure_writable(&out)?;
    let precision = if args.full { Precision::F32 } else { Precision::F16 };
    let bundle = Bundle::of(&session, args.lap, args.examples, precision)?;
    files::write_atomic(&out, &bundle.bytes)?;
    super::print(&format!(
        "{}: the posterior of lap {}, {} weights in {} bits and {} observations, {} kB\n",
        out.display(),
        bundle.lap,
        bundle.weights,
        if args.full { 32 } else { 16 },
        bundle.examples,
        bundle.bytes.len().div_ceil(1000),
    ))?;
    if !args.full {
        let (mean, greatest) = bundle.rounding(&session)?;
        super::print(&format!(
            "rounded to 16 bits, draws differ from the run's by {mean:.1e} (root mean square) and at most by {greatest:.1e}; \
             --f32 keeps all bits\n"
        ))?;
    }
    Ok(())
}
