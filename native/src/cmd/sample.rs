//! `diffem sample`: posterior draws of observations, and draws of the prior.

use crate::args::Sample;
use crate::data::observations::load_observations;
use crate::data::tensor::{Tensor, check_target, write_tensors};
use crate::data::values::{MAX_VALUES, product};
use crate::eval::channel_override::see_through;
use crate::run::dataset::expected;
use crate::run::dir::RunDir;
use crate::run::prior::Prior;
use crate::run::session::Session;
use anyhow::{Context, Result, bail};
use diffem::Observations;
use std::collections::BTreeMap;

/// Runs the command.
pub fn run(args: &Sample) -> Result<()> {
    super::use_threads(&args.compute)?;
    if args.draws == 0 {
        bail!("--draws 0: expected 1 or more");
    }
    check_target(&args.out)?;
    if args.prior {
        return of_prior(args);
    }
    let mut session = Session::open(&args.run, &args.settings.set, &args.compute.device)?;
    if let Some(channel) = &args.channel {
        see_through(&mut session, channel)?;
    }
    let observations = match &args.observations {
        None => session.dataset.observations.clone(),
        Some(path) => {
            let loaded = load_observations(path, &expected(session.channel.as_ref()))?;
            Observations::new(session.channel.as_ref(), loaded.y, loaded.a)
                .with_context(|| path.display().to_string())?
        }
    };
    let (lap, posterior) = session.posterior(args.lap)?;
    let (n, d) = (observations.n(), session.config.signal_len());
    if product(&[n, args.draws, d]).is_none_or(|count| count > MAX_VALUES) {
        bail!(
            "--draws {}: {n} observations with as many draws of {d} values each are more than {MAX_VALUES} values; \
             expected fewer draws",
            args.draws
        );
    }
    let values = posterior.sample_seeded(&observations, args.draws, args.seed)?.into_vec();
    let x = Tensor { shape: vec![n, args.draws, d], values };
    write_tensors(&args.out, &[("x", &x)], &BTreeMap::new())?;
    super::print(&format!("{}: {} draws of {n} posteriors of lap {lap}\n", args.out.display(), args.draws))
}

/// Draws of the run's prior.
fn of_prior(args: &Sample) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let (_, device) = crate::device::open(&args.compute.device)?;
    let prior = Prior::load(&run, &args.settings.set, &device)?;
    let d = prior.origin.config.signal_len();
    if product(&[args.draws, d]).is_none_or(|count| count > MAX_VALUES) {
        bail!("--draws {}: that many draws of {d} values each are more than {MAX_VALUES} values", args.draws);
    }
    let x = Tensor::from(&prior.draws(args.draws, args.seed)?);
    write_tensors(&args.out, &[("x", &x)], &BTreeMap::new())?;
    let lap = prior.origin.lap;
    super::print(&format!("{}: {} draws of the prior of lap {lap}\n", args.out.display(), args.draws))
}
