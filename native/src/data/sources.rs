//! From a configuration to the images it names.

use super::folder::Folder;
use super::image_set::Sources;
use super::picture::Fit;
use super::{cifar10, idx};
use crate::config::DataConfig;
use anyhow::Result;
use diffem::image::ImageShape;
use std::path::Path;

/// The images of a data set of clean images; `None` for other data. Test images are looked for `with_test` only.
pub fn open(data: &DataConfig, with_test: bool) -> Result<Option<Sources>> {
    Ok(Some(match data {
        DataConfig::Idx { path, height, width, .. } => {
            let shape = ImageShape { channels: 1, height: *height, width: *width };
            idx::open(Path::new(path), shape, with_test)?
        }
        DataConfig::Cifar10 { path, .. } => cifar10::open(Path::new(path), with_test)?,
        DataConfig::Images { path, channels, height, width, crop, background, skip_broken, .. } => {
            let shape = ImageShape { channels: *channels, height: *height, width: *width };
            let fit = Fit { shape, crop: *crop, background: *background };
            Sources { train: Box::new(Folder::open(Path::new(path), fit, *skip_broken)?), test: None }
        }
        _ => return Ok(None),
    }))
}
