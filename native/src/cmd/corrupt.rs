//! `diffem corrupt`: clean signals + channel -> observations.

use crate::args::Corrupt;
use crate::config::Config;
use crate::data::observations::load_signals;
use crate::data::sources;
use crate::data::tensor::{Tensor, check_target, write_tensors};
use anyhow::{Result, anyhow, bail};
use diffem::channel::{Channel, ChannelConfig};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use std::collections::BTreeMap;

/// Runs the command.
pub fn run(args: &Corrupt) -> Result<()> {
    let config = args.config.as_ref().map(|source| crate::config::load(source, &[])).transpose()?;
    let stages = stages(args, config.as_ref())?;
    check_target(&args.out)?;
    if let (Ok(out), Ok(clean)) = (args.out.canonicalize(), args.clean.canonicalize())
        && out == clean
    {
        bail!("--out {}: that file holds the clean signals; name another", args.out.display());
    }
    let x = clean(args, config.as_ref())?;
    let channel = match config.as_ref().and_then(Config::image_shape).filter(|shape| shape.len() == x.d()) {
        Some(shape) => stages.build_image(shape)?,
        None => stages.build(x.d())?,
    };
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

/// The signals of a tensor file; other files and folders are read as the `[data]` of `--config` says, all images in
/// their order.
fn clean(args: &Corrupt, config: Option<&Config>) -> Result<Samples> {
    let extension = args.clean.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_tensor = ["safetensors", "npz", "npy"].contains(&extension.as_str());
    let data = config.filter(|_| !is_tensor).map(|config| config.data.clone().at(&args.clean.display().to_string()));
    let sources = data.as_ref().map(|data| sources::open(data, false)).transpose()?.flatten();
    if let Some(sources) = sources {
        return sources.train.read(&(0..sources.train.len()).collect::<Vec<_>>());
    }
    if args.clean.is_dir() {
        bail!(
            "{}: is a directory; say what images it holds with --config FILE, where data.kind is \"idx\", \"cifar10\" or \
             \"images\"",
            args.clean.display()
        );
    }
    load_signals(&args.clean, "x", None)
}

fn stages(args: &Corrupt, config: Option<&Config>) -> Result<ChannelConfig> {
    match (config, &args.channel) {
        (Some(config), _) => Ok(config.channel.clone()),
        (None, Some(text)) => crate::eval::channel_override::stages(text),
        (None, None) => Err(anyhow!("expected --config or --channel")),
    }
}
