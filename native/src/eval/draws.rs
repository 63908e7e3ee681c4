//! Writes draws from posteriors and from a prior to a file.

use crate::args::Sample;
use crate::data::observations::load_observations;
use crate::data::tensor::{MAX_VALUES, Metadata, Tensor, product};
use crate::data::tensor_file::write_tensors;
use crate::device;
use crate::eval::channel_override::see_through;
use crate::run::dataset::{expected, inspection};
use crate::run::dir::RunDir;
use crate::run::prior::Prior;
use crate::run::session::Session;
use anyhow::{Context, Result, bail};
use diffem::{Observations, Warning};
use std::path::Path;

/// Writes posterior draws `x [n, draws, d]` for the observations named in `args`; returns n and the lap.
pub fn posterior(args: &Sample) -> Result<(usize, usize)> {
    let mut session = Session::open(&args.run, &args.settings.set, &args.compute.device)?;
    if let Some(channel) = &args.channel {
        see_through(&mut session, channel)?;
    }
    let observations = match &args.observations {
        None => session.dataset.observations.clone(),
        Some(path) => {
            let (observations, warnings) = read(&session, path)?;
            warnings.iter().for_each(|warning| eprintln!("warning: {}: {warning}", path.display()));
            observations
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
    write_tensors(&args.out, &[("x", &x)], &Metadata::new())?;
    Ok((n, lap))
}

/// Reads observations of the run's channel, and what is odd about them.
fn read(session: &Session, path: &Path) -> Result<(Observations, Vec<Warning>)> {
    let loaded = load_observations(path, &expected(&session.channel, session.image_shape()))?;
    let inspection = inspection(&session.config, false);
    let inspected = Observations { y: loaded.y, a: loaded.a }.inspected(&session.channel, &inspection);
    inspected.with_context(|| path.display().to_string())
}

/// Writes draws `x [draws, d]` from the run's prior; returns the lap on which the prior was trained.
pub fn prior(args: &Sample) -> Result<usize> {
    let run = RunDir::open(&args.run)?;
    let (_, device) = device::open(&args.compute.device)?;
    let prior = Prior::load(&run, &args.settings.set, &device)?;
    let d = prior.origin.config.signal_len();
    if product(&[args.draws, d]).is_none_or(|count| count > MAX_VALUES) {
        bail!("--draws {}: that many draws of {d} values each are more than {MAX_VALUES} values", args.draws);
    }
    let x = Tensor::from(&prior.draws(args.draws, args.seed)?);
    write_tensors(&args.out, &[("x", &x)], &Metadata::new())?;
    Ok(prior.origin.lap)
}
