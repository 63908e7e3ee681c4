//! A folder of pictures (PNG, JPEG), read recursively in sorted order of the names.

use super::image_set::{ImageData, ImageSet, Opened, Sources, default_channels, default_test, scaled};
use super::listing::list;
use super::picture::{Fit, decode};
use anyhow::{Context, Result, anyhow, ensure};
use diffem::Samples;
use diffem::image::ImageShape;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Maximum number of skipped files that are listed by name.
const NAMED: usize = 5;

/// A folder of clean PNG and JPEG pictures, cropped at the center, resized and scaled to [-2, 2].
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

    fn set_path(&mut self, path: &str) {
        self.path = path.to_string();
    }

    fn check(&self) -> Result<()> {
        ensure!(self.crop != Some(0), "data.crop: expected 1 or more pixels, found 0");
        Ok(())
    }

    fn open(&self, _: bool) -> Result<Opened> {
        let fit = Fit { shape: self.shape(), crop: self.crop, background: self.background };
        let folder = Folder::open(Path::new(&self.path), fit, self.skip_broken)?;
        Ok(Opened::Clean(Sources { train: Box::new(folder), test: None }))
    }
}

/// The pictures of a folder and how they are brought to one size.
struct Folder {
    dir: PathBuf,
    files: Vec<PathBuf>,
    fit: Fit,
}

impl Folder {
    /// Opens the pictures below `dir`. With `skip_broken`, every picture is decoded once, and those that
    /// cannot be decoded are named and left out.
    fn open(dir: &Path, fit: Fit, skip_broken: bool) -> Result<Self> {
        let mut files = list(dir, &["png", "jpg", "jpeg"])?;
        if skip_broken {
            files = whole(files, &fit)?;
            ensure!(!files.is_empty(), "data.path: none of the pictures in {} can be used", dir.display());
        }
        Ok(Self { dir: dir.to_path_buf(), files, fit })
    }
}

/// Returns the `files` that can be used and prints the others.
fn whole(files: Vec<PathBuf>, fit: &Fit) -> Result<Vec<PathBuf>> {
    let errors: Vec<Option<anyhow::Error>> = files.par_iter().map(|path| pixels(path, fit).err()).collect();
    let broken: Vec<String> = errors.iter().flatten().map(|e| format!("{e:#}")).collect();
    if !broken.is_empty() {
        eprintln!("left out {} of {} pictures that cannot be used:", broken.len(), files.len());
        broken.iter().take(NAMED).for_each(|error| eprintln!("  {error}"));
        if broken.len() > NAMED {
            eprintln!("  and {} more", broken.len() - NAMED);
        }
    }
    Ok(files.into_iter().zip(errors).filter_map(|(path, error)| error.is_none().then_some(path)).collect())
}

fn pixels(path: &Path, fit: &Fit) -> Result<Vec<u8>> {
    decode(path).and_then(|picture| fit.pixels(picture)).with_context(|| path.display().to_string())
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
        let read: Vec<Result<()>> = rows
            .map(|(row, place)| {
                let pixels = pixels(&self.files[*place], &self.fit).map_err(|e| {
                    anyhow!("{e:#}; replace it, or set data.skip_broken = true to leave such files out")
                })?;
                row.iter_mut().zip(pixels).for_each(|(value, pixel)| *value = scaled(pixel));
                Ok(())
            })
            .collect();
        // Reports the error of the first row, not of the fastest thread.
        read.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(Samples::new(values, d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::image::ImageShape;
    use image::{Rgb, RgbImage};
    use tempfile::{TempDir, tempdir};

    const FIT: Fit = Fit { shape: ImageShape { channels: 3, height: 2, width: 2 }, crop: None, background: 255 };

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

    #[test]
    fn a_folder_without_pictures_is_an_error() {
        let dir = tempdir().unwrap();
        std::fs::write(dir.path().join("a.tiff"), "").unwrap();
        let error = list(dir.path(), &["png", "jpg"]).unwrap_err().to_string();
        assert!(error.ends_with("has no .png, .jpg file; it has 1 other files"), "{error}");
        let error = list(&dir.path().join("a.tiff"), &["png"]).unwrap_err().to_string();
        assert!(error.ends_with("a.tiff is not a folder; expected one with pictures"), "{error}");
    }
}
