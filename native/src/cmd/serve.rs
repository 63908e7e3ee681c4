//! `diffem serve`: serves the built page and a run's posterior over HTTP, on this machine only.

use crate::args::Serve;
use crate::report::server::{Server, site_at};
use crate::run::export::Bundle;
use crate::run::session::Session;
use anyhow::Result;
use diffem::checkpoint::Precision;
use std::path::Path;

/// Number of observations that are served with the posterior.
const EXAMPLES: usize = 16;

/// Runs the command, which serves until the process is stopped.
pub fn run(args: &Serve) -> Result<()> {
    let site = site_at(&args.site)?;
    let bundle = args.run.as_deref().map(|run| open(run, args.lap)).transpose()?;
    let server = Server::listen(site, args.port)?;
    let of_run = match (&bundle, &args.run) {
        (Some(bundle), Some(run)) => format!(" with the posterior of lap {} of {}", bundle.lap, run.display()),
        _ => String::new(),
    };
    super::print(&format!("{}: {}{of_run}; stop it with Ctrl-C\n", server.url()?, args.site.display()))?;
    server.run(bundle.map(|bundle| bundle.bytes))
}

fn open(run: &Path, lap: Option<usize>) -> Result<Bundle> {
    Bundle::of(&Session::open(run, &[], "auto")?, lap, EXAMPLES, Precision::F16)
}
