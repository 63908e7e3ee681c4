//! Passes clean signals through a channel and writes the observations to a file.

use crate::args::Corrupt;
use crate::config::stages::{check_known, stages as stages_of};
use crate::config::{Config, DataConfig, load};
use crate::data::formats::{is_tensor_file, row_shape};
use crate::data::image_set::{Opened, Sources};
use crate::data::layout::Rows;
use crate::data::observations::load_signals;
use crate::data::tensor::{Metadata, Tensor};
use crate::data::tensor_file::{check_target, write_tensors};
use crate::run::dataset::inspection;
use anyhow::{Result, anyhow, bail};
use diffem::channel::{Channel, ChannelConfig};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};

/// Writes the observations that `args` ask for. Returns the number of observations and their length.
pub fn corrupt(args: &Corrupt) -> Result<(usize, usize)> {
    let config = args.config.as_ref().map(|source| load(source, &[])).transpose()?;
    let stages = stages(args, config.as_ref())?;
    check_known(&stages, "channel")?;
    check_target(&args.out)?;
    if let (Ok(out), Ok(clean)) = (args.out.canonicalize(), args.clean.canonicalize())
        && out == clean
    {
        bail!("--out {}: that file holds the clean signals; name another", args.out.display());
    }
    let x = clean(args, config.as_ref())?;
    let image = config.as_ref().and_then(Config::image_shape).filter(|shape| shape.len() == x.d());
    let channel = match image {
        Some(shape) => stages.build_image(shape)?,
        None => stages.build(x.d())?,
    };
    let seen = Observations::simulate(&channel, &x, Key::new(args.seed, Purpose::Observe, 0), 0);
    let row = row_shape(&args.out, image, seen.y.d());
    let y = Tensor { shape: [vec![seen.n()], row].concat(), values: seen.y.as_slice().to_vec() };
    let a = seen.a.as_ref().map(|a| {
        let shape = [vec![a.n()], channel.operator_shape()].concat();
        Tensor { shape, values: a.as_slice().to_vec() }
    });
    let mut tensors = vec![("y", &y)];
    tensors.extend(a.iter().map(|a| ("a", a)));
    write_tensors(&args.out, &tensors, &Metadata::new())?;
    Ok((seen.n(), channel.observation_len()))
}

/// The signals of a tensor file. Other files and folders are read as `[data]` of `--config` describes them,
/// with all images in order.
fn clean(args: &Corrupt, config: Option<&Config>) -> Result<Samples> {
    let image = config.and_then(Config::image_shape);
    let scale = config.map(|config| inspection(config, false));
    let config = config.filter(|_| !is_tensor_file(&args.clean));
    let data = config.map(|config| config.data.clone().at(&args.clean)).transpose()?;
    let images = data.as_ref().and_then(DataConfig::images).filter(|images| images.test().is_some());
    if let Some(Opened::Clean(Sources { train, .. })) = images.map(|images| images.open(false)).transpose()? {
        return train.read(&(0..train.len()).collect::<Vec<_>>());
    }
    if args.clean.is_dir() {
        bail!(
            "{}: is a directory; say what images it holds with --config FILE, where data.kind is \"idx\", \"cifar10\" or \
             \"images\"",
            args.clean.display()
        );
    }
    let rows = image.map_or(Rows::of(None), |image| Rows { len: None, ..Rows::image(image) });
    let x = load_signals(&args.clean, "x", &rows)?;
    if let Some(warning) = scale.and_then(|scale| scale.of_signals(&x)) {
        eprintln!("warning: {}: {warning}", args.clean.display());
    }
    Ok(x)
}

fn stages(args: &Corrupt, config: Option<&Config>) -> Result<ChannelConfig> {
    match (config, &args.channel) {
        (Some(config), _) => Ok(config.channel.clone()),
        (None, Some(text)) => stages_of(text),
        (None, None) => Err(anyhow!("expected --config or --channel")),
    }
}
