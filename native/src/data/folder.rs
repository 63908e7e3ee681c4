//! A folder of pictures, read recursively in sorted order of the names.

use super::fit::Fit;
use super::image_set::{ImageData, ImageSet, Opened, Sources, default_channels, default_test};
use super::listing::{name_below, pictures, usable};
use super::picture::read;
use anyhow::{Result, anyhow, ensure};
use diffem::Samples;
use diffem::image::ImageShape;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A folder of clean pictures (PNG, JPEG, WebP, BMP or TIFF of 8 or 16 bits), cropped at the center, resized
/// and scaled to [-2, 2].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesConfig {
    /// The folder; subfolders are searched too.
    pub path: String,
    /// Number of channels: 1 (gray) or 3 (red, green, blue).
    #[serde(default = "default_channels")]
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Side, in pixels of the original picture, of the square that is first cropped from the center; if it is
    /// missing, the crop is as large as possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Gray level under transparent pixels, 0 to 255.
    #[serde(default = "white")]
    pub background: u8,
    /// Leave out pictures that cannot be used, instead of stopping.
    #[serde(default)]
    pub skip_broken: bool,
    /// Number of observed images, chosen by the seed; 0 means all that are not held out for `evaluate`.
    #[serde(default)]
    pub n: usize,
    /// Number of images held out for `evaluate`; they are never observed.
    #[serde(default = "default_test")]
    pub test: usize,
}

fn white() -> u8 {
    255
}

impl ImageData for ImagesConfig {
    fn shape(&self) -> ImageShape {
        ImageShape { channels: self.channels, height: self.height, width: self.width }
    }

    fn n(&self) -> usize {
        self.n
    }

    fn test(&self) -> Option<usize> {
        Some(self.test)
    }

    fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    fn set_path(&mut self, path: &str) {
        self.path = path.to_string();
    }

    fn check(&self) -> Result<()> {
        ensure!(self.crop != Some(0), "data.crop: expected 1 or more pixels, found 0");
        Ok(())
    }

    fn open(&self, _: bool) -> Result<Opened> {
        let fit = Fit { shape: self.shape(), crop: self.crop, background: self.background, resize: true };
        let folder = Folder::open(Path::new(&self.path), fit, self.skip_broken)?;
        Ok(Opened::Clean(Sources { train: Box::new(folder), test: None }))
    }
}

/// The pictures of a folder and how they are brought to one size.
pub struct Folder {
    dir: PathBuf,
    files: Vec<PathBuf>,
    fit: Fit,
}

impl Folder {
    /// Opens the pictures below `dir`. With `skip_broken`, every picture is decoded once, and those that
    /// cannot be decoded are named and left out.
    pub fn open(dir: &Path, fit: Fit, skip_broken: bool) -> Result<Self> {
        let mut files = pictures(dir)?;
        if skip_broken {
            files = usable(dir, files, &|path| read(path, |picture| fit.values(picture)).map(drop))?;
        }
        Ok(Self { dir: dir.to_path_buf(), files, fit })
    }
}

impl ImageSet for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn origin(&self) -> String {
        self.dir.display().to_string()
    }

    fn read(&self, places: &[usize]) -> Result<Samples> {
        let d = self.fit.shape.len();
        let mut values = vec![0.0f32; places.len() * d];
        let rows = values.par_chunks_mut(d).zip(places);
        let results: Vec<Result<()>> = rows
            .map(|(row, place)| {
                let values = read(&self.files[*place], |picture| self.fit.values(picture));
                row.copy_from_slice(&values.map_err(or_leave_out)?);
                Ok(())
            })
            .collect();
        // Reports the error of the first row, not of the fastest thread.
        results.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(Samples::new(values, d))
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.files.iter().map(|path| name_below(&self.dir, path)).collect())
    }
}

/// Adds to an error about a picture what to do about it.
pub fn or_leave_out(error: anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}; replace it, or set data.skip_broken = true to leave such files out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image_set::scaled;
    use image::{Rgb, RgbImage};
    use tempfile::{TempDir, tempdir};

    const FIT: Fit =
        Fit { shape: ImageShape { channels: 3, height: 2, width: 2 }, crop: None, background: 255, resize: true };

    /// a.png, b/c.JPG (half of it missing), d.png: one color each.
    fn folder() -> TempDir {
        let dir = tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        for (name, level) in [("d.png", 200), ("a.png", 51), ("b/c.jpg", 0), (".e.png", 9)] {
            RgbImage::from_pixel(32, 32, Rgb([level, 0, 255])).save(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        let jpeg = std::fs::read(dir.path().join("b/c.jpg")).unwrap();
        std::fs::write(dir.path().join("b/c.JPG"), &jpeg[..40]).unwrap();
        std::fs::remove_file(dir.path().join("b/c.jpg")).unwrap();
        dir
    }

    #[test]
    fn pictures_are_sorted_and_broken_ones_named_or_left_out() {
        let dir = folder();
        let set = Folder::open(dir.path(), FIT, false).unwrap();
        assert_eq!(set.len(), 3);
        let x = set.read(&[2, 0]).unwrap();
        assert_eq!((x.row(0)[0], x.row(1)[0], x.row(1)[4], x.row(1)[8]), (scaled(200), -1.2, -2.0, 2.0));
        let error = format!("{:#}", set.read(&[0, 1]).unwrap_err());
        assert!(error.contains("/b/c.JPG: not a whole picture: "), "{error}");
        assert!(error.ends_with("; replace it, or set data.skip_broken = true to leave such files out"), "{error}");
        let set = Folder::open(dir.path(), FIT, true).unwrap();
        assert_eq!((set.len(), set.read(&[1]).unwrap().row(0)[0]), (2, scaled(200)));
    }
}
