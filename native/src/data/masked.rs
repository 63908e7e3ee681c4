//! A folder of PNGs with transparency as observations: y = a ∘ x, where a pixel with α < 128 is missing
//! (a = 0, y = 0) in every color.

use super::image_set::{ImageData, ObservedSet, Opened, default_channels, not_whole, scaled};
use super::listing::list;
use super::picture::{center, proportioned};
use anyhow::{Context, Result, bail, ensure};
use diffem::channel::Channel;
use diffem::image::ImageShape;
use diffem::{Observations, Samples};
use image::imageops::FilterType;
use image::{DynamicImage, RgbaImage};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Smallest α of an observed pixel.
const MIN_ALPHA: u8 = 128;

/// Your own corrupted pictures: a folder of PNGs whose transparent pixels (alpha < 128) are missing. The
/// truth is not known.
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

    fn set_path(&mut self, path: &str) {
        self.path = path.to_string();
    }

    fn check_channel(&self, channel: &dyn Channel) -> Result<()> {
        check_channel(channel, self.shape())
    }

    fn open(&self, _: bool) -> Result<Opened> {
        let set = MaskedPictures::open(Path::new(&self.path), self.shape(), self.resize)?;
        Ok(Opened::Observed(Box::new(set)))
    }
}

/// Pictures of one folder and the shape that they must have or are resized to.
struct MaskedPictures {
    files: Vec<PathBuf>,
    shape: ImageShape,
    resize: bool,
}

impl MaskedPictures {
    /// Opens the PNGs below `dir`; without `resize`, all must have the size of `shape`.
    fn open(dir: &Path, shape: ImageShape, resize: bool) -> Result<Self> {
        let files = list(dir, &["png"])?;
        if !resize {
            check_sizes(&files, shape)?;
        }
        Ok(Self { files, shape, resize })
    }

    fn picture(&self, path: &Path) -> Result<RgbaImage> {
        let picture = image::open(path).map_err(not_whole)?;
        ensure!(
            picture.color().has_alpha(),
            "has no transparency, which says what is missing; save it with an alpha channel (0 = missing)"
        );
        let (width, height) = (self.shape.width as u32, self.shape.height as u32);
        let fitted = match self.resize {
            false => picture,
            true => {
                let (w, h) = proportioned(picture.width() as usize, picture.height() as usize, self.shape);
                // Nearest pixel for colors too, since a mean would mix missing pixels into observed ones.
                center(&picture, w, h).resize_exact(width, height, FilterType::Nearest)
            }
        };
        Ok(match self.shape.channels {
            1 => gray(fitted),
            _ => fitted.into_rgba8(),
        })
    }
}

impl ObservedSet for MaskedPictures {
    fn len(&self) -> usize {
        self.files.len()
    }

    /// Reads y `[n, d]` and a `[n, height * width]`.
    fn read(&self, places: &[usize]) -> Result<Observations> {
        let (d, pixels) = (self.shape.len(), self.shape.pixels());
        let (mut y, mut a) = (vec![0.0f32; places.len() * d], vec![0.0f32; places.len() * pixels]);
        let rows = y.par_chunks_mut(d).zip(a.par_chunks_mut(pixels)).zip(places);
        let read: Vec<Result<()>> = rows
            .map(|((y, a), place)| {
                let path = &self.files[*place];
                let picture = self.picture(path).with_context(|| path.display().to_string())?;
                write(&picture, y, a);
                Ok(())
            })
            .collect();
        read.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(Observations { y: Samples::new(y, d), a: Some(Samples::new(a, pixels)) })
    }
}

/// Converts to gray; all three colors are equal, so the first one is the gray level.
fn gray(picture: DynamicImage) -> RgbaImage {
    DynamicImage::ImageLumaA8(picture.into_luma_alpha8()).into_rgba8()
}

fn write(picture: &RgbaImage, y: &mut [f32], a: &mut [f32]) {
    for (i, pixel) in picture.pixels().enumerate() {
        if pixel.0[3] >= MIN_ALPHA {
            a[i] = 1.0;
            y.chunks_exact_mut(a.len()).zip(pixel.0).for_each(|(plane, p)| plane[i] = scaled(p));
        }
    }
}

fn check_sizes(files: &[PathBuf], shape: ImageShape) -> Result<()> {
    let size =
        |path: &PathBuf| image::image_dimensions(path).map_err(not_whole).with_context(|| path.display().to_string());
    let sizes: Vec<(u32, u32)> = files.par_iter().map(size).collect::<Vec<_>>().into_iter().collect::<Result<_>>()?;
    let wanted = (shape.width as u32, shape.height as u32);
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
fn check_channel(channel: &dyn Channel, shape: ImageShape) -> Result<()> {
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
    use diffem::channel::{ChannelConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig};
    use image::{RgbImage, Rgba};
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

    fn error<T>(result: Result<T>, dir: &TempDir) -> String {
        format!("{:#}", result.err().unwrap()).replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn transparent_pixels_are_missing_in_every_color() {
        let dir = folder();
        let set = MaskedPictures::open(dir.path(), SHAPE, true).unwrap();
        let seen = set.read(&[1, 0]).unwrap();
        assert_eq!(seen.y.row(0), [-2.0, -2.0, -1.2, -1.2, -2.0, -2.0]);
        assert_eq!(seen.y.row(1), [0.0, -1.2, 0.0, -2.0, 0.0, 2.0]);
        assert_eq!((seen.operator(0), seen.operator(1)), (&[1.0, 1.0][..], &[0.0, 1.0][..]));
        let gray =
            MaskedPictures::open(dir.path(), ImageShape { channels: 1, ..SHAPE }, true).unwrap().read(&[1]).unwrap();
        // The gray level has a weight of 0.7152 for green.
        assert_eq!((gray.y.row(0), gray.y.d()), (&[scaled(36), scaled(36)][..], 2));
    }

    #[test]
    fn sizes_are_told_with_the_way_out() {
        let dir = folder();
        assert_eq!(
            error(MaskedPictures::open(dir.path(), SHAPE, false), &dir),
            "b.png: is 4 x 2 pixels and the configuration says 2 x 1; 1 of 2 pictures differ; bring all to one size, or \
             set data.resize = true to crop and resize them"
        );
        std::fs::remove_file(dir.path().join("a.png")).unwrap();
        assert_eq!(
            error(MaskedPictures::open(dir.path(), SHAPE, false), &dir),
            "b.png: all 1 pictures are 4 x 2 pixels and the configuration says 2 x 1; set data.width = 4 and data.height = 2, \
             or data.resize = true"
        );
    }

    #[test]
    fn a_picture_without_alpha_is_refused() {
        let dir = folder();
        RgbImage::new(2, 1).save(dir.path().join("b.png")).unwrap();
        let read = MaskedPictures::open(dir.path(), SHAPE, false).unwrap().read(&[0, 1]);
        let expected =
            "b.png: has no transparency, which says what is missing; save it with an alpha channel (0 = missing)";
        assert_eq!(error(read, &dir), expected);
    }

    #[test]
    fn only_masks_of_pixels_fit() {
        let gray = ImageShape { channels: 1, ..SHAPE };
        let check = |stages: &[StageConfig], shape: ImageShape| {
            let channel = ChannelConfig(stages.to_vec()).build(shape.len()).unwrap();
            check_channel(&channel, shape).map_err(|e| e.to_string())
        };
        let mask = StageConfig::from(MaskConfig { rate: 0.5 });
        let noise = StageConfig::from(NoiseConfig { std: 0.1 });
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
