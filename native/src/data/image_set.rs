//! Sets of images: 8-bit pixels p become values x = 4 p/255 - 2 in [-2, 2], flattened channel by channel, row
//! by row.

use anyhow::{Result, anyhow};
use diffem::channel::Channel;
use diffem::image::ImageShape;
use diffem::{Observations, Samples};
use std::fmt::Display;

/// Images in files. Only those asked for are kept in memory.
pub trait ImageSet: Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// Where they are, for messages.
    fn origin(&self) -> String;

    /// The images at `places`, in that order: `[places.len(), d]`.
    fn read(&self, places: &[usize]) -> Result<Samples>;
}

/// Pictures that are observations themselves.
pub trait ObservedSet: Sync {
    /// Number of pictures.
    fn len(&self) -> usize;

    /// The observations at `places`, in that order.
    fn read(&self, places: &[usize]) -> Result<Observations>;
}

/// The `[data]` of images in files: what a configuration says of one format, and how its files are opened.
pub trait ImageData {
    /// Shape of the images.
    fn shape(&self) -> ImageShape;

    /// Images that are observed; 0: all.
    fn n(&self) -> usize;

    /// Images kept for `evaluate`; none for pictures that are observations themselves.
    fn test(&self) -> Option<usize>;

    /// The same data in the file or directory `path`.
    fn set_path(&mut self, path: &str);

    /// Checks what only this format has; messages name the field.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Refuses a channel that cannot have made these pictures, where they are observations themselves.
    fn check_channel(&self, _: &dyn Channel) -> Result<()> {
        Ok(())
    }

    /// Opens the files; test images are looked for `with_test` only.
    fn open(&self, with_test: bool) -> Result<Opened>;
}

/// What the files of a configuration hold.
pub enum Opened {
    /// Clean images, which are to be corrupted.
    Clean(Sources),
    /// Observations.
    Observed(Box<dyn ObservedSet>),
}

/// Images of the test set for `evaluate` where a configuration does not say.
pub fn default_test() -> usize {
    1024
}

/// Channels where a configuration does not say: red, green and blue.
pub fn default_channels() -> usize {
    3
}

/// A training set, and a test set where the data comes with one.
pub struct Sources {
    pub train: Box<dyn ImageSet>,
    pub test: Option<Box<dyn ImageSet>>,
}

/// An error of the decoder, in the words of this program.
pub fn not_whole(error: impl Display) -> anyhow::Error {
    anyhow!("not a whole picture: {}", error.to_string().trim_end_matches('.'))
}

/// x = 4 p/255 - 2.
pub fn scaled(pixel: u8) -> f32 {
    diffem::image::from_byte(pixel)
}

/// Rows filled from images that come in the order of a file.
pub struct Rows {
    /// The row of each image of the file, if it is wanted.
    row_of: Vec<Option<usize>>,
    values: Vec<f32>,
    d: usize,
}

impl Rows {
    /// Room for the images at `places` out of `total`; each place at most once.
    pub fn new(total: usize, places: &[usize], d: usize) -> Self {
        let mut row_of = vec![None; total];
        places.iter().enumerate().for_each(|(row, place)| row_of[*place] = Some(row));
        Self { row_of, values: vec![0.0; places.len() * d], d }
    }

    /// True when image `i` is one of those asked for.
    #[cfg(any(test, feature = "parquet"))]
    pub fn wants(&self, i: usize) -> bool {
        self.row_of[i].is_some()
    }

    /// Takes image `i`, `[channels, height, width]`, if it is wanted.
    pub fn put(&mut self, i: usize, pixels: &[u8]) {
        if let Some(row) = self.row_of[i] {
            let values = &mut self.values[row * self.d..(row + 1) * self.d];
            values.iter_mut().zip(pixels).for_each(|(value, pixel)| *value = scaled(*pixel));
        }
    }

    /// `[n, d]`.
    pub fn into_samples(self) -> Samples {
        Samples::new(self.values, self.d)
    }
}

/// Height and width of a file's images must be those of the configuration.
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
