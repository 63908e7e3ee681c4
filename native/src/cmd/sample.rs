//! `diffem sample`: draws from the posterior given observations, or from the prior.

use crate::args::{Sample, at_least};
use crate::eval::draws;
use crate::ranks::world;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &Sample) -> Result<()> {
    let world = world();
    world.agree(super::use_threads(&args.compute))?;
    world.same_command()?;
    world.by_first(|| at_least("--draws", args.draws, 1).and_then(|()| draws::check_out(&args.out)))?;
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
