//! Writes draws from posteriors and from a prior to a file of tensors or a folder of pictures.

use crate::args::Sample;
use crate::data::formats::{is_tensor_file, row_shape};
use crate::data::observations::load_observations;
use crate::data::tensor::{MAX_VALUES, Metadata, Tensor, product};
use crate::data::tensor_file::{check_target, write_tensors};
use crate::eval::channel_override::see_through;
use crate::files;
use crate::ranks::world;
use crate::run::dataset::{expected, inspection};
use crate::run::dir::RunDir;
use crate::run::images::{Gallery, refuse_content};
use crate::run::pictures::observed;
use crate::run::prior::Prior;
use crate::run::session::Session;
use anyhow::{Context, Result, bail};
use diffem::image::ImageShape;
use diffem::{Observations, Samples};
use std::path::Path;

/// Checks that `--out` can be written.
pub fn check_out(out: &Path) -> Result<()> {
    match is_folder(out) {
        false => check_target(out),
        true if out.is_dir() => refuse_content(out),
        true => files::ensure_writable(out),
    }
}

/// Whether `--out` is a folder of pictures: a name without extension, or a directory.
fn is_folder(out: &Path) -> bool {
    !is_tensor_file(out) && (out.is_dir() || out.extension().is_none())
}

/// What posterior draws are made for, and how they are written.
struct Asked {
    session: Session,
    /// Shape of the pictures; `None` for a file of tensors.
    shape: Option<ImageShape>,
    observations: Observations,
    /// Names of the observations' files where each has one.
    names: Option<Vec<String>>,
}

/// Writes posterior draws `x [n, draws, d]` for the observations named in `args`; returns n and the lap. All ranks draw,
/// and rank 0 writes.
pub fn posterior(args: &Sample) -> Result<(usize, usize)> {
    let world = world();
    let Asked { session, shape, observations, names } = world.agree(asked(args))?;
    let (lap, posterior) = session.dealt_posterior(args.lap)?;
    let (n, image) = (observations.n(), session.image_shape());
    let x = world.agree(posterior.sample_seeded(&observations, args.draws, args.seed).map_err(Into::into))?;
    world.by_first(|| match shape {
        Some(shape) => {
            let gallery = Gallery::new(names.as_deref(), n, shape, args.bits);
            files::replace_dir(&args.out, |dir| gallery.write_draws(dir, &x, args.draws))
        }
        None => write(args, &[n, args.draws], image, x),
    })?;
    Ok((n, lap))
}

/// Reads what `args` name.
fn asked(args: &Sample) -> Result<Asked> {
    let mut session = Session::open(&args.run, &args.settings.set, &args.compute.device)?;
    let shape = shape(args, session.image_shape())?;
    if let Some(channel) = &args.channel {
        see_through(&mut session, channel)?;
    }
    let (observations, names) = observations(args, &session)?;
    let (n, d) = (observations.n(), session.config.signal_len());
    if product(&[n, args.draws, d]).is_none_or(|count| count > MAX_VALUES) {
        bail!(
            "--draws {}: {n} observations with as many draws of {d} values each are more than {MAX_VALUES} values; \
             expected fewer draws",
            args.draws
        );
    }
    Ok(Asked { session, shape, observations, names })
}

/// Writes draws `x [draws, d]` from the run's prior; returns the lap on which the prior was trained. All ranks draw, and
/// rank 0 writes.
pub fn prior(args: &Sample) -> Result<usize> {
    let world = world();
    let (prior, shape) = world.agree(asked_prior(args))?;
    let prior = prior.dealt()?;
    let x = world.agree(prior.draws(args.draws, args.seed))?;
    let image = prior.origin.config.image_shape();
    world.by_first(|| match shape {
        Some(shape) => {
            let gallery = Gallery::new(None, args.draws, shape, args.bits);
            files::replace_dir(&args.out, |dir| gallery.write_draws(dir, &x, 1))
        }
        None => write(args, &[args.draws], image, x),
    })?;
    Ok(prior.origin.lap)
}

/// The prior of the run, and the shape of the pictures that are to be written.
fn asked_prior(args: &Sample) -> Result<(Prior, Option<ImageShape>)> {
    let run = RunDir::open(&args.run)?;
    let (_, device) = world().open_device(&args.compute.device)?;
    let prior = Prior::load(&run, &args.settings.set, &device)?;
    let config = &prior.origin.config;
    let (d, image) = (config.signal_len(), config.image_shape());
    let shape = shape(args, image)?;
    if product(&[args.draws, d]).is_none_or(|count| count > MAX_VALUES) {
        bail!("--draws {}: that many draws of {d} values each are more than {MAX_VALUES} values", args.draws);
    }
    Ok((prior, shape))
}

/// Shape of the pictures that are to be written; `None` for a file of tensors.
fn shape(args: &Sample, shape: Option<ImageShape>) -> Result<Option<ImageShape>> {
    match shape.filter(|shape| matches!(shape.channels, 1 | 3)) {
        _ if !is_folder(&args.out) => Ok(None),
        Some(shape) => Ok(Some(shape)),
        None => bail!(
            "--out {}: the signals of {} are not images; expected a name that ends in .safetensors, .npz, .fits, .tif or .h5",
            args.out.display(),
            args.run.display()
        ),
    }
}

/// The observations that `args` name, and the names of their files where each has one.
fn observations(args: &Sample, session: &Session) -> Result<(Observations, Option<Vec<String>>)> {
    let channel = session.channel.as_ref();
    match &args.observations {
        None => Ok((session.dataset.observations.clone(), session.dataset.names.clone())),
        Some(path) => {
            let (found, names) = match path.is_dir() {
                true => observed(path, &session.config, channel).map(|(found, names)| (found, Some(names)))?,
                false => {
                    let loaded = load_observations(path, &expected(channel, session.image_shape()))?;
                    (Observations { y: loaded.y, a: loaded.a }, None)
                }
            };
            let inspected = found.inspected(channel, &inspection(&session.config, false));
            let (observations, warnings) = inspected.with_context(|| path.display().to_string())?;
            let told = warnings.iter().filter(|_| world().leads());
            told.for_each(|warning| eprintln!("warning: {}: {warning}", path.display()));
            Ok((observations, names))
        }
    }
}

/// Writes the draws `x`, whose rows `counts` counts, to a file of tensors.
fn write(args: &Sample, counts: &[usize], image: Option<ImageShape>, x: Samples) -> Result<()> {
    let row = row_shape(&args.out, image, x.d());
    let x = Tensor { shape: [counts, &row].concat(), values: x.into_vec() };
    write_tensors(&args.out, &[("x", &x)], &Metadata::new())
}
