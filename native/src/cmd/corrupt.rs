//! `diffem corrupt`: clean signals + channel -> observations.

use crate::args::Corrupt;
use crate::config::plain;
use crate::data::observations::load_signals;
use crate::data::tensors::{Tensor, check_target, write_tensors};
use anyhow::{Result, anyhow, bail};
use diffem::Observations;
use diffem::channel::{Channel, ChannelConfig};
use diffem::noise::{Key, Purpose};
use std::collections::BTreeMap;

/// Runs the command.
pub fn run(args: &Corrupt) -> Result<()> {
    let stages = stages(args)?;
    check_target(&args.out)?;
    if let (Ok(out), Ok(clean)) = (args.out.canonicalize(), args.clean.canonicalize())
        && out == clean
    {
        bail!("--out {}: that file holds the clean signals; name another", args.out.display());
    }
    let x = load_signals(&args.clean, "x", None)?;
    let channel = stages.build(x.d())?;
    let seen = Observations::simulate(&channel, &x, Key::new(args.seed, Purpose::Observe, 0), 0);
    let y = Tensor::from(&seen.y);
    let a = seen.a.as_ref().map(|a| {
        let shape = [vec![a.n()], channel.operator_shape()].concat();
        Tensor { shape, values: a.as_slice().to_vec() }
    });
    let mut tensors = vec![("y", &y)];
    tensors.extend(a.iter().map(|a| ("a", a)));
    write_tensors(&args.out, &tensors, &BTreeMap::new())?;
    super::print(&format!(
        "{}: {} observations of length {}\n",
        args.out.display(),
        seen.n(),
        channel.observation_len()
    ))
}

fn stages(args: &Corrupt) -> Result<ChannelConfig> {
    match (&args.config, &args.channel) {
        (Some(source), _) => Ok(crate::config::load(source, &[])?.channel),
        (None, Some(text)) => {
            let mut table: BTreeMap<String, ChannelConfig> = toml::from_str(&format!("channel = {text}"))
                .map_err(|e| anyhow!("--channel: {}", plain(&e.to_string())))?;
            table.remove("channel").ok_or_else(|| anyhow!("--channel is empty"))
        }
        (None, None) => Err(anyhow!("expected --config or --channel")),
    }
}
