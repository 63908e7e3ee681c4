//! Opens a run on all ranks: rank 0 first, which writes, and then the others, which read what it wrote.

use crate::config::Config;
use crate::ranks::world;
use crate::run::init;
use crate::run::session::Session;
use anyhow::Result;
use std::path::Path;

/// Creates the run directory `out` for `config` and opens it. A GPU gets sizes that suit it, except those among the `given`
/// settings.
///
/// # Errors
/// Those of [`Session::create`]; ranks that differ in version, configuration or directory, or that do not share the directory.
pub fn create(out: &Path, config: Config, given: &[String], device: &str) -> Result<Session> {
    let world = world();
    world.same("the version", env!("CARGO_PKG_VERSION"))?;
    world.same("the run directory", &out.display().to_string())?;
    world.same("the configuration", &config.to_toml()?)?;
    world.agree(init::check(&config.init))?;
    let created = world.by_first(|| Session::create(out, config, given, device))?;
    let made = created.as_ref().map(|session| session.run.clone());
    // The configuration of the others is that of the run, which may have gained what rank 0 found in the observations.
    let open = || created.map_or_else(|| Session::open(out, &[], device), Ok);
    let opened = world.shares(out).and_then(|()| world.agree(open()));
    opened.inspect_err(|_| made.iter().for_each(|run| run.discard_unstarted()))
}

/// Opens the run at `path` with `settings`, which are kept.
///
/// # Errors
/// Those of [`Session::open`] and [`Session::keep_settings`]; ranks as for [`create`].
pub fn open(path: &Path, settings: &[String], device: &str) -> Result<Session> {
    let world = world();
    world.same_command()?;
    let open = || Session::open(path, settings, device);
    let opened = world.by_first(|| {
        let session = open()?;
        if !settings.is_empty() {
            session.keep_settings()?;
        }
        Ok(session)
    })?;
    world.shares(path)?;
    opened_alike(opened.map_or_else(open, Ok))
}

/// Opens the run at `path` for a command that does not train it; `settings` are not kept.
///
/// # Errors
/// Those of [`Session::open`]; ranks that differ in version, command or configuration.
pub fn view(path: &Path, settings: &[String], device: &str) -> Result<Session> {
    world().same_command()?;
    opened_alike(Session::open(path, settings, device))
}

/// The session where all ranks opened one with the same configuration.
fn opened_alike(session: Result<Session>) -> Result<Session> {
    let session = world().agree(session)?;
    world().same("the configuration", &session.config.to_toml()?)?;
    Ok(session)
}
