//! Brings pictures of any size and depth to images of one shape: composited over a background, cropped at the
//! center, resized, and scaled to [-2, 2].

use super::image_set::{scaled, scaled_deep};
use anyhow::{Result, ensure};
use diffem::image::ImageShape;
use image::imageops::FilterType;
use image::{DynamicImage, ImageBuffer, Pixel, Primitive, Rgb, Rgba};

/// Smallest α, of 255, of an observed pixel.
const MIN_ALPHA: u8 = 128;

/// How pictures of any size become images of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Shape of the images, with 1 or 3 channels.
    pub shape: ImageShape,
    /// Side, in pixels of the picture, of the square that is first cropped from the center.
    pub crop: Option<usize>,
    /// Gray level of the background under transparent pixels.
    pub background: u8,
    /// Whether pictures of other sizes are cropped and resized; otherwise they are refused.
    pub resize: bool,
}

impl Fit {
    /// Returns the values of a picture, `[channels, height, width]`, in [-2, 2].
    pub fn values(&self, picture: DynamicImage) -> Result<Vec<f32>> {
        // Bicubic interpolation over all pixels that a new pixel covers.
        let fitted = self.fitted(self.laid(picture), FilterType::CatmullRom)?;
        Ok(levels(fitted, self.shape.channels))
    }

    /// Like [`Fit::values`] for a picture whose transparent pixels are missing, with whether each pixel is
    /// observed, `[height, width]`.
    pub fn masked(&self, picture: DynamicImage) -> Result<(Vec<f32>, Vec<bool>)> {
        // Nearest pixel for colors too, since a mean would mix missing pixels into observed ones.
        let fitted = self.fitted(picture, FilterType::Nearest)?;
        let seen = match fitted.color().has_alpha() {
            false => vec![true; self.shape.pixels()],
            true => fitted.to_rgba8().pixels().map(|pixel| pixel.0[3] >= MIN_ALPHA).collect(),
        };
        Ok((levels(fitted, self.shape.channels), seen))
    }

    fn fitted(&self, picture: DynamicImage, filter: FilterType) -> Result<DynamicImage> {
        let (width, height) = (self.shape.width as u32, self.shape.height as u32);
        let found = (picture.width(), picture.height());
        ensure!(
            self.resize || found == (width, height),
            "is {} x {} pixels; expected {width} x {height}",
            found.0,
            found.1
        );
        let cut = self.cut(picture)?;
        Ok(match (cut.width(), cut.height()) == (width, height) {
            true => cut,
            false => cut.resize_exact(width, height, filter),
        })
    }

    /// Removes transparency by p = α p + (1 - α) background, before resizing can mix visible and hidden
    /// pixels.
    fn laid(&self, picture: DynamicImage) -> DynamicImage {
        match (picture.color().has_alpha(), is_deep(&picture)) {
            (false, _) => picture,
            (true, false) => laid(&picture.into_rgba8(), self.background).into(),
            (true, true) => laid(&picture.into_rgba16(), 257 * u16::from(self.background)).into(),
        }
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
        let (width, height) = proportioned(width, height, self.shape);
        let left = (picture.width() - width) / 2;
        Ok(picture.crop_imm(left, (picture.height() - height) / 2, width, height))
    }
}

/// Largest width and height within those given that have the proportions of `shape`.
fn proportioned(width: usize, height: usize, shape: ImageShape) -> (u32, u32) {
    let (width, height) = match width * shape.height > height * shape.width {
        true => ((height * shape.width / shape.height).max(1), height),
        false => (width, (width * shape.height / shape.width).max(1)),
    };
    (width as u32, height as u32)
}

/// Composites a picture over the gray level `background`.
fn laid<P>(picture: &ImageBuffer<Rgba<P>, Vec<P>>, background: P) -> ImageBuffer<Rgb<P>, Vec<P>>
where
    P: Primitive + Into<u64>,
    Rgba<P>: Pixel<Subpixel = P>,
    Rgb<P>: Pixel<Subpixel = P>,
{
    let (all, below): (u64, u64) = (P::DEFAULT_MAX_VALUE.into(), background.into());
    let mix = |p: P, alpha: u64| {
        let sum = (p.into() * alpha + below * (all - alpha) + all / 2) / all;
        P::from(sum).unwrap_or(P::DEFAULT_MAX_VALUE)
    };
    ImageBuffer::from_fn(picture.width(), picture.height(), |x, y| {
        let [r, g, b, alpha] = picture.get_pixel(x, y).0;
        Rgb([r, g, b].map(|p| mix(p, alpha.into())))
    })
}

/// Whether a picture has more than 8 bits per value.
fn is_deep(picture: &DynamicImage) -> bool {
    picture.color().bytes_per_pixel() > picture.color().channel_count()
}

/// The colors of a picture without regard to α: gray, or red, then green, then blue.
fn levels(picture: DynamicImage, channels: usize) -> Vec<f32> {
    match (channels, is_deep(&picture)) {
        (1, false) => picture.into_luma8().into_raw().into_iter().map(scaled).collect(),
        (1, true) => picture.into_luma16().into_raw().into_iter().map(scaled_deep).collect(),
        (_, false) => planes(picture.into_rgb8().as_raw(), scaled),
        (_, true) => planes(picture.into_rgb16().as_raw(), scaled_deep),
    }
}

fn planes<P: Copy>(interleaved: &[P], scaled: impl Fn(P) -> f32 + Copy) -> Vec<f32> {
    (0..3).flat_map(|c| interleaved[c..].iter().step_by(3).map(move |p| scaled(*p))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, LumaA, RgbImage, RgbaImage};

    fn fit(channels: usize, height: usize, width: usize) -> Fit {
        Fit { shape: ImageShape { channels, height, width }, crop: None, background: 255, resize: true }
    }

    fn bytes(fit: Fit, picture: DynamicImage) -> Vec<u8> {
        fit.values(picture).unwrap().into_iter().map(diffem::image::to_byte).collect()
    }

    /// Pixel (x, y) has the value 10 y + x.
    fn ramp(width: u32, height: u32) -> DynamicImage {
        GrayImage::from_fn(width, height, |x, y| Luma([(10 * y + x) as u8])).into()
    }

    #[test]
    fn the_center_is_cut_to_the_proportions_asked_for() {
        assert_eq!(bytes(fit(1, 2, 2), ramp(4, 2)), [1, 2, 11, 12]);
        assert_eq!(bytes(fit(1, 2, 2), ramp(2, 4)), [10, 11, 20, 21]);
        assert_eq!(bytes(fit(1, 1, 4), ramp(4, 3)), [10, 11, 12, 13]);
        let crop = Fit { crop: Some(2), ..fit(1, 2, 2) };
        assert_eq!(bytes(crop, ramp(6, 4)), [12, 13, 22, 23]);
        let error = crop.values(ramp(1, 4)).unwrap_err().to_string();
        assert_eq!(error, "is 1 x 4 pixels; expected at least data.crop = 2 both ways");
        let strict = Fit { resize: false, ..fit(1, 2, 2) };
        assert_eq!(strict.values(ramp(1, 4)).unwrap_err().to_string(), "is 1 x 4 pixels; expected 2 x 2");
    }

    #[test]
    fn colors_come_plane_by_plane() {
        let picture = RgbImage::from_fn(2, 1, |x, _| Rgb([1, 2, 3].map(|v| v + 10 * x as u8)));
        assert_eq!(bytes(fit(3, 1, 2), picture.into()), [1, 11, 2, 12, 3, 13]);
        assert_eq!(bytes(fit(3, 1, 2), ramp(2, 1)), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn transparent_pixels_show_the_background() {
        let picture = RgbaImage::from_fn(3, 1, |x, _| Rgba([100, 0, 0, [0, 128, 255][x as usize]]));
        let on_gray = Fit { background: 50, ..fit(3, 1, 3) };
        assert_eq!(bytes(on_gray, picture.clone().into()), [50, 75, 100, 50, 25, 0, 50, 25, 0]);
        let deep = DynamicImage::from(picture).into_rgba16();
        assert_eq!(bytes(on_gray, deep.into()), [50, 75, 100, 50, 25, 0, 50, 25, 0]);
        let picture = ImageBuffer::from_pixel(1, 1, LumaA([7u8, 0]));
        assert_eq!(bytes(fit(1, 1, 1), DynamicImage::ImageLumaA8(picture)), [255]);
    }

    #[test]
    fn transparent_pixels_are_missing() {
        let deep =
            ImageBuffer::from_fn(4, 1, |x, _| LumaA([1000u16 * x as u16, [0, 32_000, 33_000, 65_535][x as usize]]));
        let (values, seen) = fit(3, 1, 4).masked(DynamicImage::ImageLumaA16(deep)).unwrap();
        assert_eq!(seen, [false, false, true, true]);
        assert_eq!(values[4..8], [0, 1000, 2000, 3000].map(scaled_deep));
        assert_eq!(fit(1, 2, 2).masked(ramp(2, 2)).unwrap().1, [true; 4]);
    }

    /// A fourfold reduction of one-pixel stripes averages all stripes rather than sampling some of them.
    #[test]
    fn a_reduction_averages() {
        let stripes = GrayImage::from_fn(64, 64, |x, _| Luma([if x % 2 == 0 { 0 } else { 200 }]));
        let small = bytes(fit(1, 16, 16), stripes.into());
        let inside = (0..16).flat_map(|y| &small[16 * y + 2..16 * y + 14]);
        assert!(inside.clone().all(|v| (98..=102).contains(v)), "{:?}", inside.collect::<Vec<_>>());
    }
}
