//! A folder of pictures with transparency as observations: y = a ∘ x, where a pixel with α < 128 is missing
//! (a = 0, y = 0) in every color. A picture without transparency is fully observed.

use super::fit::Fit;
use super::folder::or_leave_out;
use super::image_set::{ImageData, ObservedSet, Opened, default_channels};
use super::listing::{name_below, pictures, some_of, usable};
use super::picture::{Header, header, read};
use anyhow::{Context, Result, bail, ensure};
use diffem::channel::Channel;
use diffem::image::ImageShape;
use diffem::{Observations, Samples};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Your own corrupted pictures: a folder of pictures whose transparent pixels (alpha below one half) are
/// missing. The truth is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskedImagesConfig {
    /// The folder; subfolders are searched too.
    pub path: String,
    /// Number of channels: 1 (gray) or 3 (red, green, blue).
    #[serde(default = "default_channels")]
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Crop pictures of other sizes at the center and resize them (nearest pixel), instead of stopping.
    #[serde(default)]
    pub resize: bool,
    /// Leave out pictures that cannot be used, instead of stopping.
    #[serde(default)]
    pub skip_broken: bool,
    /// Number of pictures that are used, chosen by the seed; 0 means all.
    #[serde(default)]
    pub n: usize,
}

impl ImageData for MaskedImagesConfig {
    fn shape(&self) -> ImageShape {
        ImageShape { channels: self.channels, height: self.height, width: self.width }
    }

    fn n(&self) -> usize {
        self.n
    }

    fn test(&self) -> Option<usize> {
        None
    }

    fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    fn set_path(&mut self, path: &str) {
        self.path = path.to_string();
    }

    fn check_channel(&self, channel: &dyn Channel) -> Result<()> {
        check_channel(channel, self.shape())
    }

    fn open(&self, _: bool) -> Result<Opened> {
        Ok(Opened::Observed(Box::new(MaskedPictures::open(self.path(), self, true)?)))
    }
}

/// Pictures of one folder and the shape that they must have or are resized to.
pub struct MaskedPictures {
    dir: PathBuf,
    files: Vec<PathBuf>,
    fit: Fit,
}

impl MaskedPictures {
    /// Opens the pictures below `dir` with the shape of `config`; unless they are resized, all must have that
    /// size. Pictures that cannot be transparent are told; `some_missing` refuses a folder of nothing
    /// else.
    pub fn open(dir: &Path, config: &MaskedImagesConfig, some_missing: bool) -> Result<Self> {
        let shape = config.shape();
        let fit = Fit { shape, crop: None, background: 0, resize: config.resize };
        let mut files = pictures(dir)?;
        if config.skip_broken {
            files = usable(dir, files, &|path| read(path, |picture| fit.masked(picture)).map(drop))?;
        }
        let headers: Vec<Result<Header>> = files.par_iter().map(|path| header(path)).collect();
        let headers: Vec<Header> = headers.into_iter().collect::<Result<_>>().map_err(or_leave_out)?;
        if !config.resize {
            check_sizes(&files, &headers, shape)?;
        }
        let whole: Vec<String> =
            files.iter().zip(&headers).filter(|(_, h)| !h.alpha).map(|(path, _)| name_below(dir, path)).collect();
        if some_missing && whole.len() == files.len() {
            bail!(
                "data.path: no picture in {} has transparency, which says what is missing; save them with an alpha channel \
                 (0 = missing)",
                dir.display()
            );
        }
        if !whole.is_empty() {
            let (n, all, names) = (whole.len(), files.len(), some_of(&whole));
            eprintln!("warning: {n} of {all} pictures have no transparency and count as fully observed: {names}");
        }
        Ok(Self { dir: dir.to_path_buf(), files, fit })
    }
}

impl ObservedSet for MaskedPictures {
    fn len(&self) -> usize {
        self.files.len()
    }

    /// Reads y `[n, d]` and a `[n, height * width]`.
    fn read(&self, places: &[usize]) -> Result<Observations> {
        let (d, pixels) = (self.fit.shape.len(), self.fit.shape.pixels());
        let (mut y, mut a) = (vec![0.0f32; places.len() * d], vec![0.0f32; places.len() * pixels]);
        let rows = y.par_chunks_mut(d).zip(a.par_chunks_mut(pixels)).zip(places);
        let results: Vec<Result<()>> = rows
            .map(|((y, a), place)| {
                let masked = read(&self.files[*place], |picture| self.fit.masked(picture));
                write(&masked.map_err(or_leave_out)?, y, a);
                Ok(())
            })
            .collect();
        results.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(Observations { y: Samples::new(y, d), a: Some(Samples::new(a, pixels)) })
    }

    fn names(&self) -> Vec<String> {
        self.files.iter().map(|path| name_below(&self.dir, path)).collect()
    }
}

/// Copies the observed values of a picture to y, and marks them in a.
fn write((values, seen): &(Vec<f32>, Vec<bool>), y: &mut [f32], a: &mut [f32]) {
    for i in (0..a.len()).filter(|i| seen[*i]) {
        a[i] = 1.0;
        y.iter_mut().zip(values).skip(i).step_by(seen.len()).for_each(|(y, value)| *y = *value);
    }
}

fn check_sizes(files: &[PathBuf], headers: &[Header], shape: ImageShape) -> Result<()> {
    let sizes: Vec<(usize, usize)> = headers.iter().map(|header| (header.width, header.height)).collect();
    let wanted = (shape.width, shape.height);
    let Some(first) = sizes.iter().position(|size| *size != wanted) else { return Ok(()) };
    let ((width, height), file) = (sizes[first], files[first].display());
    if sizes.iter().all(|size| *size == sizes[first]) {
        bail!(
            "{file}: all {} pictures are {width} x {height} pixels and the configuration says {} x {}; set data.width = \
             {width} and data.height = {height}, or data.resize = true",
            files.len(),
            wanted.0,
            wanted.1
        );
    }
    let others = sizes.iter().filter(|size| **size != wanted).count();
    bail!(
        "{file}: is {width} x {height} pixels and the configuration says {} x {}; {others} of {} pictures differ; bring all \
         to one size, or set data.resize = true to crop and resize them",
        wanted.0,
        wanted.1,
        files.len()
    )
}

/// Checks that the channel is y = a ∘ (x + noise) with one entry of a per pixel, as in these pictures.
pub fn check_channel(channel: &dyn Channel, shape: ImageShape) -> Result<()> {
    let (d, pixels) = (shape.len(), shape.pixels());
    let expected = "masked-images expects a mask of pixels, after the noise where there is noise";
    let (k, m) = (channel.operator_len(), channel.observation_len());
    ensure!(
        (k, m) == (pixels, d),
        "channel: it has observations of length {m} with operators of length {k}, and pictures of {} x {} x {} have {d} \
         and {pixels}; {expected}",
        shape.channels,
        shape.height,
        shape.width
    );
    let linear = channel.as_linear().with_context(|| format!("channel: it is not linear; {expected}"))?;
    let x: Vec<f32> = (0..d).map(|i| 1.0 + i as f32 / d as f32).collect();
    let (mut y, mut variance) = (vec![0.0; d], (vec![0.0; d], vec![0.0; d]));
    linear.apply(&vec![1.0; pixels], &x, &mut y);
    ensure!(y == x, "channel: it changes observed pixels; {expected}");
    linear.apply(&vec![0.0; pixels], &x, &mut y);
    ensure!(y.iter().all(|v| *v == 0.0), "channel: it reveals missing pixels; {expected}");
    if linear.is_diagonal() {
        linear.write_diagonal(&vec![0.0; pixels], &mut variance.0, &mut variance.1);
    }
    ensure!(
        variance.1.iter().all(|v| *v == 0.0),
        "channel: it adds noise to pixels that are missing, where pictures hold 0; {expected}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image_set::scaled;
    use diffem::channel::{ChannelConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig};
    use image::{RgbImage, Rgba, RgbaImage};
    use tempfile::{TempDir, tempdir};

    const SHAPE: ImageShape = ImageShape { channels: 3, height: 1, width: 2 };

    /// a.png is 2 x 1 with its left pixel missing; b.png is 4 x 2 with all pixels observed.
    fn folder() -> TempDir {
        let dir = tempdir().unwrap();
        let a = RgbaImage::from_fn(2, 1, |x, _| Rgba([51, 0, 255, if x == 0 { 127 } else { 128 }]));
        a.save(dir.path().join("a.png")).unwrap();
        RgbaImage::from_pixel(4, 2, Rgba([0, 51, 0, 255])).save(dir.path().join("b.png")).unwrap();
        dir
    }

    fn open(dir: &TempDir, channels: usize, resize: bool) -> Result<MaskedPictures> {
        let ImageShape { height, width, .. } = SHAPE;
        let path = dir.path().display().to_string();
        let config = MaskedImagesConfig { path, channels, height, width, resize, skip_broken: false, n: 0 };
        MaskedPictures::open(dir.path(), &config, true)
    }

    fn error<T>(result: Result<T>, dir: &TempDir) -> String {
        format!("{:#}", result.err().unwrap()).replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn transparent_pixels_are_missing_in_every_color() {
        let dir = folder();
        let set = open(&dir, 3, true).unwrap();
        let seen = set.read(&[1, 0]).unwrap();
        assert_eq!(seen.y.row(0), [-2.0, -2.0, -1.2, -1.2, -2.0, -2.0]);
        assert_eq!(seen.y.row(1), [0.0, -1.2, 0.0, -2.0, 0.0, 2.0]);
        assert_eq!((seen.operator(0), seen.operator(1)), (&[1.0, 1.0][..], &[0.0, 1.0][..]));
        let gray = open(&dir, 1, true).unwrap().read(&[1]).unwrap();
        // The gray level has a weight of 0.7152 for green.
        assert_eq!((gray.y.row(0), gray.y.d()), (&[scaled(36), scaled(36)][..], 2));
    }

    #[test]
    fn sizes_are_told_with_the_way_out() {
        let dir = folder();
        assert_eq!(
            error(open(&dir, 3, false), &dir),
            "b.png: is 4 x 2 pixels and the configuration says 2 x 1; 1 of 2 pictures differ; bring all to one size, or \
             set data.resize = true to crop and resize them"
        );
        std::fs::remove_file(dir.path().join("a.png")).unwrap();
        assert_eq!(
            error(open(&dir, 3, false), &dir),
            "b.png: all 1 pictures are 4 x 2 pixels and the configuration says 2 x 1; set data.width = 4 and data.height = 2, \
             or data.resize = true"
        );
    }

    #[test]
    fn a_picture_without_alpha_is_fully_observed() {
        let dir = folder();
        RgbImage::from_pixel(2, 1, image::Rgb([51, 0, 255])).save(dir.path().join("b.png")).unwrap();
        let set = open(&dir, 3, false).unwrap();
        assert_eq!(set.names(), ["a.png", "b.png"]);
        let seen = set.read(&[1]).unwrap();
        assert_eq!((seen.y.row(0), seen.operator(0)), (&[-1.2, -1.2, -2.0, -2.0, 2.0, 2.0][..], &[1.0, 1.0][..]));
        std::fs::remove_file(dir.path().join("a.png")).unwrap();
        assert!(error(open(&dir, 3, false), &dir).contains("has transparency, which says what is missing; save them"));
    }

    #[test]
    fn only_masks_of_pixels_fit() {
        let gray = ImageShape { channels: 1, ..SHAPE };
        let check = |stages: &[StageConfig], shape: ImageShape| {
            let channel = ChannelConfig(stages.to_vec()).build(shape.len()).unwrap();
            check_channel(&channel, shape).map_err(|e| e.to_string())
        };
        let mask = StageConfig::from(MaskConfig { rate: 0.5 });
        let noise = StageConfig::from(NoiseConfig { std: 0.1.into() });
        assert_eq!(check(std::slice::from_ref(&mask), gray), Ok(()));
        assert_eq!(check(&[noise.clone(), mask.clone()], gray), Ok(()));
        let late = check(&[mask.clone(), noise.clone()], gray).unwrap_err();
        assert!(late.starts_with("channel: it adds noise to pixels that are missing"), "{late}");
        assert_eq!(
            check(&[mask], SHAPE).unwrap_err(),
            "channel: it has observations of length 6 with operators of length 6, and pictures of 3 x 1 x 2 have 6 and 2; \
             masked-images expects a mask of pixels, after the noise where there is noise"
        );
        let projection = check(&[ProjectionConfig { rows: 2 }.into()], gray).unwrap_err();
        assert!(
            projection.starts_with("channel: it has observations of length 2 with operators of length 4"),
            "{projection}"
        );
    }
}
