//! Layouts of the rows of an array: a row may be flattened or have the shape of what it holds. Only a layout whose
//! order of values is certain is accepted, because rows in another order would train without a complaint.

use super::tensor::product;
use diffem::Samples;
use diffem::image::ImageShape;

/// Rows that an array is expected to have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Length of a flattened row; `None` where the data decide.
    pub len: Option<usize>,
    /// Natural shape of a row, if it has one, such as `[3, 32, 32]` for an image.
    pub shape: Vec<usize>,
    /// Shape of the image that each row holds, or that its mask belongs to.
    pub image: Option<ImageShape>,
}

/// How a row that is not as long as expected is brought to its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The values are in order.
    Flat,
    /// One mask per color channel, in planes, of which there should be one.
    Planes(usize),
    /// One mask per color channel, the channels last.
    Interleaved(usize),
}

impl Rows {
    /// Rows of a fixed or free length without a shape.
    pub fn of(len: Option<usize>) -> Self {
        Self { len, ..Self::default() }
    }

    /// Flattened images, or images as they are.
    pub fn image(shape: ImageShape) -> Self {
        let ImageShape { channels, height, width } = shape;
        Self { len: Some(shape.len()), shape: vec![channels, height, width], image: Some(shape) }
    }

    /// How rows of shape `row` fit; `None` if they do not, or not for certain.
    pub fn fit(&self, row: &[usize]) -> Option<Fit> {
        let flat = row.len() == 1 && self.len.is_none_or(|len| row[0] == len);
        let shaped = !self.shape.is_empty() && squeezed(row) == squeezed(&self.shape);
        if flat || shaped {
            return Some(Fit::Flat);
        }
        let ImageShape { channels, height, width } = self.image.filter(|_| self.is_pixel_mask())?;
        match *row {
            [c, h, w] if [c, h, w] == [channels, height, width] => Some(Fit::Planes(c)),
            [h, w, c] if [c, h, w] == [channels, height, width] => Some(Fit::Interleaved(c)),
            _ => None,
        }
    }

    /// True for masks that the colors of an image share.
    fn is_pixel_mask(&self) -> bool {
        self.image.is_some_and(|image| image.channels > 1 && self.shape == [image.height, image.width])
    }

    /// The expected shape, such as `[n, 2]`; `free` stands for a free length.
    pub fn pattern(&self, free: &str) -> String {
        let flat = self.len.map_or(free.into(), |len| len.to_string());
        match self.image {
            Some(_) if self.shape.len() > 1 => format!("[n, {flat}] or [n, {}]", join(&self.shape)),
            _ if self.shape.len() > 1 => format!("[n, {}]", join(&self.shape)),
            _ => format!("[n, {flat}]"),
        }
    }

    /// What to do about the array `name` with this shape.
    pub fn advice(&self, name: &str, shape: &[usize]) -> String {
        let Some((n, row)) = shape.split_first() else { return add_axis(name) };
        if name == "a" && (shape == self.shape || [*n] == [self.len.unwrap_or(0)] && row.is_empty()) {
            return "If all observations share it, save `numpy.broadcast_to(a, (len(y), *a.shape))`".into();
        }
        if row.is_empty() {
            return add_axis(name);
        }
        if let Some(ImageShape { channels, height, width }) = self.image
            && channels > 1
            && row == [height, width, channels]
        {
            return format!("The colors come last: save `{name}.transpose(0, 3, 1, 2)`");
        }
        let reversed: Vec<usize> = self.shape.iter().rev().copied().collect();
        if row.len() == 2 && row == reversed {
            return format!("Its last two axes are swapped: save `{name}.transpose(0, 2, 1)`");
        }
        let count = product(row);
        match (row.len() > 1, self.len.is_none_or(|len| Some(len) == count), self.shape.len() > 1) {
            (true, true, true) => {
                format!("Bring the axes of each row into the order {:?}: save `{name}.transpose(...)`", self.shape)
            }
            (true, true, false) => format!(
                "Flatten each row, `{name}.reshape(len({name}), -1)`, with the values of all arrays in the same order"
            ),
            _ => "Change the sizes in the configuration, or choose another file".into(),
        }
    }
}

/// The mask that all colors share.
///
/// # Errors
/// The first row in which the colors differ.
pub fn shared(a: Samples, fit: Fit) -> Result<Samples, usize> {
    let (channels, interleaved) = match fit {
        Fit::Flat => return Ok(a),
        Fit::Planes(channels) => (channels, false),
        Fit::Interleaved(channels) => (channels, true),
    };
    let pixels = a.d() / channels;
    let mut out = Samples::zeros(a.n(), pixels);
    for (i, row) in a.rows().enumerate() {
        let at = |c: usize, p: usize| if interleaved { row[p * channels + c] } else { row[c * pixels + p] };
        if (0..pixels).any(|p| (1..channels).any(|c| at(c, p) != at(0, p))) {
            return Err(i);
        }
        out.row_mut(i).iter_mut().enumerate().for_each(|(p, out)| *out = at(0, p));
    }
    Ok(out)
}

fn add_axis(name: &str) -> String {
    format!("Add the missing axis, for example `{name}.reshape(n, -1)`")
}

/// The axes of a shape that are longer than 1; the others do not change the order of the values.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|dim| *dim != 1).collect()
}

fn join(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RGB: ImageShape = ImageShape { channels: 3, height: 4, width: 5 };
    const GRAY: ImageShape = ImageShape { channels: 1, height: 4, width: 5 };

    fn pixel_mask(image: ImageShape) -> Rows {
        Rows { len: Some(20), shape: vec![4, 5], image: Some(image) }
    }

    #[test]
    fn only_a_certain_order_fits() {
        let rgb = Rows::image(RGB);
        let fits = [&[60][..], &[3, 4, 5], &[1, 3, 4, 5]].map(|row| rgb.fit(row));
        assert_eq!(fits, [Some(Fit::Flat); 3]);
        assert_eq!([&[4, 5, 3][..], &[20, 3], &[3, 5, 4], &[4, 5]].map(|row| rgb.fit(row)), [None; 4]);
        let gray = [&[20][..], &[4, 5], &[1, 4, 5], &[4, 5, 1]].map(|row| Rows::image(GRAY).fit(row));
        assert_eq!(gray, [Some(Fit::Flat); 4]);
        let masks = [&[20][..], &[4, 5], &[1, 4, 5], &[4, 5, 1], &[3, 4, 5], &[4, 5, 3], &[60]];
        let fits = masks.map(|row| pixel_mask(RGB).fit(row));
        let [flat, planes, last] = [Fit::Flat, Fit::Planes(3), Fit::Interleaved(3)].map(Some);
        assert_eq!(fits, [flat, flat, flat, flat, planes, last, None]);
        assert_eq!([&[7][..], &[7, 1]].map(|row| Rows::of(None).fit(row)), [Some(Fit::Flat), None]);
    }

    #[test]
    fn advice_never_leads_to_another_order() {
        let advice = |rows: &Rows, name: &str, shape: &[usize]| rows.advice(name, shape);
        let rgb = Rows::image(RGB);
        assert!(advice(&rgb, "y", &[9, 4, 5, 3]).contains("save `y.transpose(0, 3, 1, 2)`"));
        assert!(advice(&rgb, "y", &[9, 5, 4, 3]).contains("into the order [3, 4, 5]"));
        assert!(advice(&rgb, "y", &[9, 8, 8, 3]).contains("Change the sizes"));
        assert!(advice(&rgb, "y", &[60]).contains("missing axis"));
        let matrix = Rows { len: Some(10), shape: vec![2, 5], image: None };
        assert!(advice(&matrix, "a", &[9, 5, 2]).contains("save `a.transpose(0, 2, 1)`"));
        assert!(advice(&matrix, "a", &[2, 5]).contains("broadcast_to"));
        assert!(advice(&Rows::of(Some(8)), "a", &[8]).contains("broadcast_to"));
        assert!(advice(&Rows::of(Some(8)), "y", &[9, 2, 4]).contains("Flatten each row"));
    }

    #[test]
    fn equal_masks_of_the_colors_become_one() {
        let planes = Samples::new([[1.0, 0.0, 1.0, 0.0]; 3].concat(), 12);
        assert_eq!(shared(planes.clone(), Fit::Planes(3)).unwrap().as_slice(), [1.0, 0.0, 1.0, 0.0]);
        let last = Samples::new([[1.0; 3], [0.0; 3], [1.0; 3], [0.0; 3]].concat(), 12);
        assert_eq!(shared(last, Fit::Interleaved(3)).unwrap().as_slice(), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(shared(planes, Fit::Interleaved(3)), Err(0));
    }
}
