//! New pictures as observations of a run: a folder in place of a file of tensors.

use crate::config::{Config, DataConfig};
use crate::data::fit::Fit;
use crate::data::folder::Folder;
use crate::data::image_set::{ImageSet, ObservedSet};
use crate::data::masked::{MaskedImagesConfig, MaskedPictures, check_channel};
use anyhow::{Context, Result};
use diffem::Observations;
use diffem::channel::Channel;
use diffem::image::ImageShape;
use std::path::Path;

/// Reads the pictures below `dir` as observations of the run with `config`, in the order of their names, which
/// are returned too.
///
/// Transparent pixels are missing if the run's channel hides pixels. Otherwise pictures are observations as
/// they are, so they must have the size of an observation.
pub fn observed(dir: &Path, config: &Config, channel: &dyn Channel) -> Result<(Observations, Vec<String>)> {
    let shape = config.image_shape().filter(|shape| matches!(shape.channels, 1 | 3));
    let shape = shape.with_context(|| {
        format!("--observations {}: is a folder, and the run's signals are no images; name a file", dir.display())
    })?;
    match channel.operator_len() {
        0 => plain(dir, shape, channel),
        _ => masked(dir, shape, config, channel),
    }
}

fn masked(
    dir: &Path,
    shape: ImageShape,
    config: &Config,
    channel: &dyn Channel,
) -> Result<(Observations, Vec<String>)> {
    check_channel(channel, shape)?;
    let resize = match &config.data {
        DataConfig::MaskedImages(masked) => masked.resize,
        data => matches!(data, DataConfig::Images(_)),
    };
    let ImageShape { channels, height, width } = shape;
    let path = dir.display().to_string();
    let pictures = MaskedImagesConfig { path, channels, height, width, resize, skip_broken: false, n: 0 };
    let set = MaskedPictures::open(dir, &pictures, false)?;
    let observations = set.read(&(0..set.len()).collect::<Vec<_>>())?;
    Ok((observations, set.names()))
}

fn plain(dir: &Path, shape: ImageShape, channel: &dyn Channel) -> Result<(Observations, Vec<String>)> {
    let m = channel.observation_len();
    // A lower resolution divides both sides by the same number.
    let parts = (1..=shape.height.min(shape.width)).map(|f| ImageShape {
        height: shape.height / f,
        width: shape.width / f,
        ..shape
    });
    let shape = parts.into_iter().find(|part| part.len() == m).with_context(|| {
        format!(
            "--observations {}: is a folder, and the run's observations of {m} values are no pictures; name a file",
            dir.display()
        )
    })?;
    let fit = Fit { shape, crop: None, background: u8::MAX, resize: false };
    let set = Folder::open(dir, fit, false)?;
    let y = set.read(&(0..set.len()).collect::<Vec<_>>())?;
    let names = set.names().unwrap_or_default();
    Ok((Observations { y, a: None }, names))
}
