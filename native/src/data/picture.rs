//! One picture: decoded, composited over a background, cropped at the center and resized.

use super::image_set::not_whole;
use anyhow::{Result, ensure};
use diffem::image::ImageShape;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Rgb, RgbImage};
use std::path::Path;

/// How pictures of any size become images of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Shape of the images, with 1 or 3 channels.
    pub shape: ImageShape,
    /// Side, in pixels of the picture, of the square that is first cropped from the center.
    pub crop: Option<usize>,
    /// Gray level of the background under transparent pixels.
    pub background: u8,
}

/// Decodes the picture in the file at `path` and turns it upright.
pub fn decode(path: &Path) -> Result<DynamicImage> {
    let read = || -> image::ImageResult<DynamicImage> {
        let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut picture = DynamicImage::from_decoder(decoder)?;
        picture.apply_orientation(orientation);
        Ok(picture)
    };
    read().map_err(not_whole)
}

impl Fit {
    /// Returns the fitted pixels `[channels, height, width]`.
    pub fn pixels(&self, picture: DynamicImage) -> Result<Vec<u8>> {
        let cut = self.cut(self.laid(picture))?;
        let (width, height) = (self.shape.width as u32, self.shape.height as u32);
        let fitted = match (cut.width(), cut.height()) == (width, height) {
            true => cut,
            // Bicubic interpolation over all pixels that a new pixel covers.
            false => cut.resize_exact(width, height, FilterType::CatmullRom),
        };
        Ok(match self.shape.channels {
            1 => fitted.into_luma8().into_raw(),
            _ => planes(&fitted.into_rgb8()),
        })
    }

    /// Removes transparency by p = α p + (1 - α) background, before resizing can mix visible and hidden
    /// pixels.
    fn laid(&self, picture: DynamicImage) -> DynamicImage {
        if !picture.color().has_alpha() {
            return picture;
        }
        let background = u32::from(self.background);
        let rgba = picture.into_rgba8();
        let mix = |p: u8, alpha: u8| {
            let alpha = u32::from(alpha);
            ((u32::from(p) * alpha + background * (255 - alpha) + 127) / 255) as u8
        };
        RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
            let [r, g, b, alpha] = rgba.get_pixel(x, y).0;
            Rgb([r, g, b].map(|p| mix(p, alpha)))
        })
        .into()
    }

    /// Crops the square of side `crop` at the center, then its largest part with the proportions of the
    /// shape.
    fn cut(&self, picture: DynamicImage) -> Result<DynamicImage> {
        let (mut width, mut height) = (picture.width() as usize, picture.height() as usize);
        if let Some(crop) = self.crop {
            ensure!(
                crop <= width.min(height),
                "is {width} x {height} pixels; expected at least data.crop = {crop} both ways"
            );
            (width, height) = (crop, crop);
        }
        (width, height) = proportioned(width, height, self.shape);
        Ok(center(&picture, width, height))
    }
}

/// Largest width and height within those given that have the proportions of `shape`.
pub fn proportioned(width: usize, height: usize, shape: ImageShape) -> (usize, usize) {
    match width * shape.height > height * shape.width {
        true => ((height * shape.width / shape.height).max(1), height),
        false => (width, (width * shape.height / shape.width).max(1)),
    }
}

/// Crops the center of a picture to `width` and `height`.
pub fn center(picture: &DynamicImage, width: usize, height: usize) -> DynamicImage {
    let (width, height) = (width as u32, height as u32);
    picture.crop_imm((picture.width() - width) / 2, (picture.height() - height) / 2, width, height)
}

/// Separates the colors: red, then green, then blue.
fn planes(picture: &RgbImage) -> Vec<u8> {
    (0..3).flat_map(|c| picture.pixels().map(move |pixel| pixel.0[c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, LumaA, Rgba, RgbaImage};

    fn fit(channels: usize, height: usize, width: usize) -> Fit {
        Fit { shape: ImageShape { channels, height, width }, crop: None, background: 255 }
    }

    /// Pixel (x, y) has the value 10 y + x.
    fn ramp(width: u32, height: u32) -> DynamicImage {
        GrayImage::from_fn(width, height, |x, y| Luma([(10 * y + x) as u8])).into()
    }

    #[test]
    fn the_centre_is_cut_to_the_proportions_asked_for() {
        assert_eq!(fit(1, 2, 2).pixels(ramp(4, 2)).unwrap(), [1, 2, 11, 12]);
        assert_eq!(fit(1, 2, 2).pixels(ramp(2, 4)).unwrap(), [10, 11, 20, 21]);
        assert_eq!(fit(1, 1, 4).pixels(ramp(4, 3)).unwrap(), [10, 11, 12, 13]);
        let crop = Fit { crop: Some(2), ..fit(1, 2, 2) };
        assert_eq!(crop.pixels(ramp(6, 4)).unwrap(), [12, 13, 22, 23]);
        let error = crop.pixels(ramp(1, 4)).unwrap_err().to_string();
        assert_eq!(error, "is 1 x 4 pixels; expected at least data.crop = 2 both ways");
    }

    #[test]
    fn colors_come_plane_by_plane() {
        let picture = RgbImage::from_fn(2, 1, |x, _| Rgb([1, 2, 3].map(|v| v + 10 * x as u8)));
        assert_eq!(fit(3, 1, 2).pixels(picture.into()).unwrap(), [1, 11, 2, 12, 3, 13]);
        assert_eq!(fit(3, 1, 2).pixels(ramp(2, 1)).unwrap(), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn transparent_pixels_show_the_background() {
        let picture = RgbaImage::from_fn(3, 1, |x, _| Rgba([100, 0, 0, [0, 128, 255][x as usize]]));
        let on_grey = Fit { background: 50, ..fit(3, 1, 3) };
        assert_eq!(on_grey.pixels(picture.into()).unwrap(), [50, 75, 100, 50, 25, 0, 50, 25, 0]);
        let picture = image::ImageBuffer::from_pixel(1, 1, LumaA([7u8, 0]));
        assert_eq!(fit(1, 1, 1).pixels(DynamicImage::ImageLumaA8(picture)).unwrap(), [255]);
    }

    /// A fourfold reduction of one-pixel stripes averages all stripes rather than sampling some of them.
    #[test]
    fn a_reduction_averages() {
        let stripes = GrayImage::from_fn(64, 64, |x, _| Luma([if x % 2 == 0 { 0 } else { 200 }]));
        let small = fit(1, 16, 16).pixels(stripes.into()).unwrap();
        let inside = (0..16).flat_map(|y| &small[16 * y + 2..16 * y + 14]);
        assert!(inside.clone().all(|v| (98..=102).contains(v)), "{:?}", inside.collect::<Vec<_>>());
    }
}
