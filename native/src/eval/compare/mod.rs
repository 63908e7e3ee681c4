//! Comparison of several methods, trained on the same observations over several seeds.

mod contender;
pub mod outcome;
mod table;

pub use table::write;

use crate::args::Compare;
use crate::config::load;
use crate::report::progress::Progress;
use crate::run::session::Session;
use crate::signals::Ended;
use anyhow::{Context, Result, bail, ensure};
use contender::Contender;
use outcome::{Outcome, Score};
use std::path::{Path, PathBuf};

/// Result of a comparison.
pub struct Comparison {
    /// Directory of the runs.
    pub out: PathBuf,
    /// Score of the laps.
    pub score: Score,
    /// Outcomes, one per contender.
    pub outcomes: Vec<Outcome>,
}

/// Trains or continues the runs named in `args` and compares them, with at most `most` contenders. Returns
/// `None` if a signal interrupts it.
///
/// # Errors
/// Fails if a contender is not a name with settings, if settings do not form a valid configuration, or if the
/// runs have no score in common.
pub fn compare(args: &Compare, most: usize) -> Result<Option<Comparison>> {
    let contenders = args.contenders.iter().map(|text| Contender::parse(text)).collect::<Result<Vec<_>>>()?;
    check(args, &contenders, most)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/out/compare-{}", plain(&args.config))));
    // Load all configurations first, so that a mistake in the last one does not waste hours of training.
    for (contender, seed) in all(&contenders, &args.seeds) {
        load(&args.config, &contender.resolved(args, &out, seed)).with_context(|| contender.name.clone())?;
    }
    for (contender, seed) in all(&contenders, &args.seeds) {
        if let Ended::Stopped = train(args, contender, seed, &out)? {
            return Ok(None);
        }
    }
    // Only one run is open at a time because together they may not fit in memory.
    let open = |contender: &Contender, seed| Session::open(&contender.dir(&out, seed), &[], &args.compute.device);
    let score = Score::of(all(&contenders, &args.seeds).map(|(contender, seed)| open(contender, seed)))?;
    let outcome = |contender| Outcome::of(contender, &args.seeds, |seed| open(contender, seed), score, args.draws);
    let outcomes = contenders.iter().map(outcome).collect::<Result<Vec<_>>>()?;
    Ok(Some(Comparison { out, score, outcomes }))
}

fn all<'a>(contenders: &'a [Contender], seeds: &'a [u64]) -> impl Iterator<Item = (&'a Contender, u64)> {
    seeds.iter().flat_map(move |seed| contenders.iter().map(move |contender| (contender, *seed)))
}

/// Returns the name of the file or preset as a path component.
fn plain(config: &Path) -> String {
    config.file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned())
}

fn check(args: &Compare, contenders: &[Contender], most: usize) -> Result<()> {
    ensure!(!args.seeds.is_empty(), "--seeds: expected one or more");
    for (i, seed) in args.seeds.iter().enumerate() {
        ensure!(
            !args.seeds[..i].contains(seed),
            "--seeds: {seed} is given twice, and a run would count twice; give each seed once"
        );
    }
    if contenders.len() > most {
        bail!("--contender: expected at most {most}, found {}", contenders.len());
    }
    for (i, contender) in contenders.iter().enumerate() {
        if contenders[..i].iter().any(|other| other.name == contender.name) {
            bail!("--contender {:?}: the name is taken; give each contender its own", contender.name);
        }
    }
    Ok(())
}

/// Trains or continues one run.
fn train(args: &Compare, contender: &Contender, seed: u64, out: &Path) -> Result<Ended> {
    let (dir, settings) = (contender.dir(out, seed), contender.resolved(args, out, seed));
    Progress::new(args.progress).message(&format!("{}, seed {seed}", contender.name));
    let session = if dir.exists() {
        let session = Session::open(&dir, &settings, &args.compute.device)?;
        session.run.check_same(&session.config)?;
        session
    } else {
        Session::create(&dir, load(&args.config, &settings)?, &settings, &args.compute.device)?
    };
    crate::run::train::run(&session, args.progress)
}
