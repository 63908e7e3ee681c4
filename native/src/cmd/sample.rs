//! `diffem sample`: draws from the posterior given observations, or from the prior.

use crate::args::Sample;
use crate::eval::draws;
use anyhow::{Result, bail};

/// Runs the command.
pub fn run(args: &Sample) -> Result<()> {
    super::use_threads(&args.compute)?;
    if args.draws == 0 {
        bail!("--draws 0: expected 1 or more");
    }
    draws::check_out(&args.out)?;
    let (out, count) = (args.out.display(), args.draws);
    super::print(&match args.prior {
        true => format!("{out}: {count} draws of the prior of lap {}\n", draws::prior(args)?),
        false => {
            let (n, lap) = draws::posterior(args)?;
            format!("{out}: {count} draws of {n} posteriors of lap {lap}\n")
        }
    })
}
