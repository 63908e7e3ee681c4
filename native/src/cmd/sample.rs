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
use diffem::noise::{Key, Purpose};
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
            let loaded = load_observations(path, &expected(&session.channel))?;
            Observations::new(&session.channel, loaded.y, loaded.a).with_context(|| path.display().to_string())?
        }
    };
    let (lap, network) = session.posterior(args.lap)?;
    let (n, d) = (observations.n(), session.config.signal_len());
    let Some(count) = product(&[n, args.draws, d]).filter(|&count| count <= MAX_VALUES) else {
        bail!(
            "--draws {}: {n} observations with as many draws of {d} values each are more than {MAX_VALUES} values; \
             expected fewer draws",
            args.draws
        );
    };
    let mut values = vec![0.0f32; count];
    for draw in 0..args.draws {
        let key = Key::new(args.seed, Purpose::Draw, draw);
        let x = session.e_step(&network, &observations, key).all(session.config.e_step.shard)?;
        for (i, row) in x.rows().enumerate() {
            values[(i * args.draws + draw) * d..][..d].copy_from_slice(row);
        }
    }
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
