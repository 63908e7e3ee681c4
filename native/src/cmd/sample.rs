//! `diffem sample`: draws from the posterior given observations, or from the prior.

use crate::args::Sample;
use crate::eval::draws;
use crate::ranks::world;
use anyhow::{Result, bail};

/// Runs the command.
pub fn run(args: &Sample) -> Result<()> {
    let world = world();
    world.agree(super::use_threads(&args.compute))?;
    world.same_command()?;
    world.by_first(|| match args.draws {
        0 => bail!("--draws 0: expected 1 or more"),
        _ => draws::check_out(&args.out),
    })?;
    let (out, count) = (args.out.display(), args.draws);
    let done = match args.prior {
        true => format!("{out}: {count} draws of the prior of lap {}\n", draws::prior(args)?),
        false => {
            let (n, lap) = draws::posterior(args)?;
            format!("{out}: {count} draws of {n} posteriors of lap {lap}\n")
        }
    };
    world.by_first(|| super::print(&done)).map(drop)
}
