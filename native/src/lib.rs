//! `diffem`: train diffusion models from corrupted observations only. The command is [`main`] and nothing else is public; it is
//! a library so that the readers can be fuzzed without a copy of them.

mod args;
mod check;
mod cmd;
mod config;
mod data;
mod device;
mod estimate;
mod eval;
mod figures;
mod files;
mod home;
mod ranks;
#[cfg(any(test, fuzzing))]
pub mod readers;
mod report;
mod resources;
mod run;
mod signals;

use args::{Cli, Command, ConfigCommand};
use clap::FromArgMatches;
use std::process::ExitCode;

/// Runs the command that the words of the command line give.
pub fn main() -> ExitCode {
    diffem::keep_freed_memory();
    let words = std::env::args_os().map(home::expanded_word);
    let cli = Cli::from_arg_matches(&cmd::command().get_matches_from(words)).unwrap_or_else(|error| error.exit());
    // Dropped last: a process leaves the other ranks when it has done all its work.
    let universe = match alone(&cli.command).and_then(|()| ranks::join()) {
        Ok(universe) => universe,
        Err(error) => return failed(&error),
    };
    if universe.is_none() {
        return run(cli).unwrap_or_else(|error| failed(&error));
    }
    // A rank that unwinds or fails by itself would leave the others waiting.
    match std::panic::catch_unwind(|| run(cli)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if error.is::<ranks::Agreed>() && !ranks::world().leads() => ExitCode::from(2),
        Ok(Err(error)) if error.is::<ranks::Agreed>() => failed(&error),
        Ok(Err(error)) => {
            failed(&error);
            ranks::abort(2)
        }
        Err(_) => ranks::abort(101),
    }
}

/// Prints an error; returns the exit code of a failed command.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(2)
}

/// Refuses several processes where a command works in one. Those of a build without MPI are refused later.
fn alone(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Train(_) | Command::Resume(_) | Command::Prior(_) => Ok(()),
        Command::Sample(_) | Command::Evaluate(_) | Command::Calibrate(_) => Ok(()),
        _ => ranks::one_process(),
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Train(args) => return cmd::train::run(&args),
        Command::Resume(args) => return cmd::train::resume(&args),
        Command::Compare(args) => return cmd::compare::run(&args),
        Command::Prior(args) => return cmd::prior::run(&args),
        Command::Check(args) => cmd::check::run(&args)?,
        Command::Slurm(args) => cmd::slurm::run(&args)?,
        Command::Sample(args) => cmd::sample::run(&args)?,
        Command::Evaluate(args) => cmd::evaluate::run(&args)?,
        Command::Calibrate(args) => cmd::calibrate::run(&args)?,
        Command::Plot(args) => cmd::plot::run(&args)?,
        Command::Corrupt(args) => cmd::corrupt::run(&args)?,
        Command::ExportImages(args) => cmd::export_images::run(&args)?,
        Command::Export(args) => cmd::export::run(&args)?,
        Command::Serve(args) => cmd::serve::run(&args)?,
        Command::FetchWeights(args) => cmd::fetch_weights::run(&args)?,
        Command::Presets => cmd::about::presets()?,
        Command::Config(ConfigCommand::Show { config, settings, format }) => {
            cmd::config::show(&config, &settings, format)?
        }
        Command::Config(ConfigCommand::Schema) => cmd::config::schema()?,
        Command::Devices => cmd::about::devices()?,
        Command::CheckBackends(args) => cmd::check_backends::run(&args)?,
        Command::Cite => cmd::about::cite()?,
        Command::Completions { shell } => cmd::about::completions(shell)?,
        Command::Man => cmd::about::man()?,
    }
    Ok(ExitCode::SUCCESS)
}
