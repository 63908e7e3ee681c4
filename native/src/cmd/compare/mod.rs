//! `diffem compare`: several methods on the same observations, over seeds, in one table and two figures.

mod outcome;
mod report;

use crate::args::Compare;
use crate::config::load;
use crate::report::progress::Progress;
use crate::run::session::Session;
use crate::run::train::{EXIT_STOPPED, Ended};
use anyhow::{Context, Result, bail, ensure};
use outcome::{Outcome, Score};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A method: its name and the settings that make it.
#[derive(Debug)]
struct Contender {
    name: String,
    settings: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Compare) -> Result<ExitCode> {
    super::use_threads(&args.compute)?;
    let contenders = args.contenders.iter().map(|text| Contender::parse(text)).collect::<Result<Vec<_>>>()?;
    check(args, &contenders)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/out/compare-{}", plain(&args.config))));
    // All of them before the first is trained: a mistake in the last must not cost the hours of the others.
    for (contender, seed) in all(&contenders, &args.seeds) {
        load(&args.config, &contender.resolved(args, &out, seed)).with_context(|| contender.name.clone())?;
    }
    for (contender, seed) in all(&contenders, &args.seeds) {
        if let Ended::Stopped = train(args, contender, seed, &out)? {
            return Ok(ExitCode::from(EXIT_STOPPED as u8));
        }
    }
    // One run at a time is open: together they may not fit into memory.
    let open = |contender: &Contender, seed| Session::open(&contender.dir(&out, seed), &[], &args.compute.device);
    let score = Score::of(all(&contenders, &args.seeds).map(|(contender, seed)| open(contender, seed)))?;
    let outcome = |contender| Outcome::of(contender, &args.seeds, |seed| open(contender, seed), score, args.draws);
    let outcomes = contenders.iter().map(outcome).collect::<Result<Vec<_>>>()?;
    super::print(&report::write(&outcomes, score, &out)?)?;
    Ok(ExitCode::SUCCESS)
}

fn all<'a>(contenders: &'a [Contender], seeds: &'a [u64]) -> impl Iterator<Item = (&'a Contender, u64)> {
    seeds.iter().flat_map(move |seed| contenders.iter().map(move |contender| (contender, *seed)))
}

/// The file's or preset's name as a part of a path.
fn plain(config: &str) -> String {
    Path::new(config).file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned())
}

fn check(args: &Compare, contenders: &[Contender]) -> Result<()> {
    ensure!(!args.seeds.is_empty(), "--seeds: expected one or more");
    if contenders.len() > report::COLORS.len() {
        bail!("--contender: expected at most {}, found {}", report::COLORS.len(), contenders.len());
    }
    for (i, contender) in contenders.iter().enumerate() {
        if contenders[..i].iter().any(|other| other.name == contender.name) {
            bail!("--contender {:?}: the name is taken; give each contender its own", contender.name);
        }
    }
    Ok(())
}

impl Contender {
    /// `NAME KEY=VALUE ...`
    fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace().map(str::to_string);
        let name = words.next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            bail!("--contender {text:?}: expected a name of letters, digits, - and _, then settings KEY=VALUE");
        }
        let settings: Vec<String> = words.collect();
        match settings.iter().find(|setting| !setting.contains('=')) {
            Some(setting) => {
                bail!("--contender {text:?}: expected settings KEY=VALUE after the name, found {setting:?}")
            }
            None => Ok(Self { name, settings }),
        }
    }

    /// Settings of one run; `{out}` and `{seed}` in values are filled in.
    fn resolved(&self, args: &Compare, out: &Path, seed: u64) -> Vec<String> {
        let own = self
            .settings
            .iter()
            .map(|setting| setting.replace("{out}", &out.display().to_string()).replace("{seed}", &seed.to_string()));
        args.settings.set.iter().cloned().chain(own).chain([format!("seed={seed}")]).collect()
    }

    fn dir(&self, out: &Path, seed: u64) -> PathBuf {
        out.join(format!("{}-seed{seed}", self.name))
    }
}

/// Trains, or goes on with, one run.
fn train(args: &Compare, contender: &Contender, seed: u64, out: &Path) -> Result<Ended> {
    let (dir, settings) = (contender.dir(out, seed), contender.resolved(args, out, seed));
    Progress::new(args.progress).message(&format!("{}, seed {seed}", contender.name));
    let session = if dir.exists() {
        let session = Session::open(&dir, &settings, &args.compute.device)?;
        session.run.check_same(&session.config)?;
        session
    } else {
        Session::create(&dir, load(&args.config, &settings)?, &args.compute.device)?
    };
    crate::run::train::run(&session, args.progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_a_name_and_settings() {
        let found = Contender::parse("em-mmps method.kind=em-mmps em.laps=3").unwrap();
        assert_eq!((found.name.as_str(), found.settings.len()), ("em-mmps", 2));
        for bad in ["", "a/b", "..", "name em.laps"] {
            assert!(Contender::parse(bad).unwrap_err().to_string().contains("--contender"), "{bad}");
        }
    }
}
