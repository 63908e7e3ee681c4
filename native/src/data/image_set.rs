//! Sets of images. 8-bit pixels p become values x = 4 p/255 - 2 in [-2, 2], flattened channel by channel and
//! row by row.

use anyhow::Result;
use diffem::channel::Channel;
use diffem::image::ImageShape;
use diffem::{Observations, Samples};
use std::fmt::Display;
use std::path::Path;

/// Images in files. Only the requested images are kept in memory.
pub trait ImageSet: Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// Location of the images, for messages.
    fn origin(&self) -> String;

    /// Reads the images at `places`, in that order: `[places.len(), d]`.
    fn read(&self, places: &[usize]) -> Result<Samples>;

    /// Name of the file of each image, if every image has a file of its own.
    fn names(&self) -> Option<Vec<String>> {
        None
    }
}

/// Pictures that are themselves observations.
pub trait ObservedSet: Sync {
    /// Number of pictures.
    fn len(&self) -> usize;

    /// Reads the observations at `places`, in that order.
    fn read(&self, places: &[usize]) -> Result<Observations>;

    /// Name of the file of each picture.
    fn names(&self) -> Vec<String>;
}

/// The `[data]` section for images in files: the configuration of one format, which can open its files.
pub trait ImageData {
    /// Shape of the images.
    fn shape(&self) -> ImageShape;

    /// Number of observed images; 0 means all.
    fn n(&self) -> usize;

    /// Number of images held out for `evaluate`; `None` for pictures that are themselves observations.
    fn test(&self) -> Option<usize>;

    /// The file or directory from which the data is read.
    fn path(&self) -> &Path;

    /// Sets the file or directory from which the data is read.
    fn set_path(&mut self, path: &str);

    /// Checks the fields that only this format has; messages name the field.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Refuses a channel that cannot have produced these pictures, if they are themselves observations.
    fn check_channel(&self, _: &dyn Channel) -> Result<()> {
        Ok(())
    }

    /// Opens the files; test images are looked up only if `with_test` is set.
    fn open(&self, with_test: bool) -> Result<Opened>;
}

/// Contents of the files that a configuration names.
pub enum Opened {
    /// Clean images that are still to be corrupted.
    Clean(Sources),
    /// Pictures that are themselves observations.
    Observed(Box<dyn ObservedSet>),
}

/// Default number of test images for `evaluate`.
pub fn default_test() -> usize {
    1024
}

/// Default number of channels: red, green and blue.
pub fn default_channels() -> usize {
    3
}

/// A training set, and a test set if the data comes with one.
pub struct Sources {
    pub train: Box<dyn ImageSet>,
    pub test: Option<Box<dyn ImageSet>>,
}

/// Maps an 8-bit pixel p to x = 4 p/255 - 2.
pub fn scaled(pixel: u8) -> f32 {
    diffem::image::from_byte(pixel)
}

/// Maps a 16-bit pixel p to x = 4 p/65535 - 2.
pub fn scaled_deep(pixel: u16) -> f32 {
    (4.0 * f64::from(pixel) / 65535.0 - 2.0) as f32
}

/// Rows that are filled from images in the order of a file.
pub struct Rows {
    /// Row of each image of the file, or `None` if the image is not requested.
    row_of: Vec<Option<usize>>,
    values: Vec<f32>,
    d: usize,
}

impl Rows {
    /// Allocates rows for the images at `places` out of `total`; each place may occur at most once.
    pub fn new(total: usize, places: &[usize], d: usize) -> Self {
        let mut row_of = vec![None; total];
        places.iter().enumerate().for_each(|(row, place)| row_of[*place] = Some(row));
        Self { row_of, values: vec![0.0; places.len() * d], d }
    }

    /// Returns whether image `i` is requested.
    #[cfg(any(test, feature = "parquet"))]
    pub fn wants(&self, i: usize) -> bool {
        self.row_of[i].is_some()
    }

    /// Stores image `i`, `[channels, height, width]`, if it is requested.
    pub fn put(&mut self, i: usize, pixels: &[u8]) {
        if let Some(row) = self.row_of[i] {
            let values = &mut self.values[row * self.d..(row + 1) * self.d];
            values.iter_mut().zip(pixels).for_each(|(value, pixel)| *value = scaled(*pixel));
        }
    }

    /// Returns the rows as samples `[n, d]`.
    pub fn into_samples(self) -> Samples {
        Samples::new(self.values, self.d)
    }
}

/// Checks that the images of a file have the height and width of the configuration.
pub fn check_size(origin: impl Display, found: (usize, usize), shape: ImageShape) -> Result<()> {
    let ((height, width), wanted) = (found, (shape.height, shape.width));
    anyhow::ensure!(
        found == wanted,
        "{origin}: the images have {height} rows and {width} columns, and the configuration says {} and {}; set \
         data.height = {height} and data.width = {width}",
        wanted.0,
        wanted.1
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_fill_the_range() {
        assert_eq!([0, 51, 255].map(scaled), [-2.0, -1.2, 2.0]);
        assert!((0..=255u16).all(|p| scaled_deep(257 * p) == scaled(p as u8)));
    }

    #[test]
    fn rows_come_in_the_order_asked_for() {
        let mut rows = Rows::new(4, &[3, 1], 2);
        (0..4).for_each(|i| rows.put(i as usize, &[51 * i, 255]));
        assert_eq!([0, 1, 2, 3].map(|i| rows.wants(i)), [false, true, false, true]);
        let rows = rows.into_samples();
        assert_eq!((rows.row(0), rows.row(1)), (&[scaled(153), 2.0][..], &[scaled(51), 2.0][..]));
    }
}
