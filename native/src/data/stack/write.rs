//! Writes TIFF stacks of 32-bit floats, a page for each image.

use std::io::Cursor;

use anyhow::{Context, Result, bail, ensure};
use tiff::encoder::colortype::{ColorType, Gray32Float, RGB32Float};
use tiff::encoder::{TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard};
use tiff::tags::Tag;

use crate::data::tensor::{Metadata, Tensor};

/// Bytes of values from which offsets take 64 bits (BigTIFF).
const BIG: usize = 4_000_000_000;

/// Returns the bytes of a stack that holds the one tensor of `tensors`. The last two axes are rows and columns; of four
/// axes or more, the one before them is red, green and blue if its length is 3. The first page names the shape of the
/// array in the way of tifffile, which restores it.
pub fn encode(tensors: &[(&str, &Tensor)], _: &Metadata) -> Result<Vec<u8>> {
    let [(name, tensor)] = tensors else {
        let names: Vec<&str> = tensors.iter().map(|(name, _)| *name).collect();
        bail!(
            "a TIFF stack holds one array, and there are {}: {}; expected a name that ends in .npz or .fits",
            names.len(),
            names.join(", ")
        );
    };
    ensure!(!tensor.values.is_empty(), "tensor `{name}` holds no values");
    match size_of_val(&tensor.values[..]) < BIG {
        true => pages::<TiffKindStandard>(tensor),
        false => pages::<TiffKindBig>(tensor),
    }
}

fn pages<K: TiffKind>(tensor: &Tensor) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::<_, K>::new_generic(&mut file)?;
    let (outer, width) = tensor.shape.split_last().map_or((&[][..], 1), |(width, outer)| (outer, *width));
    let (outer, height) = outer.split_last().map_or((&[][..], 1), |(height, outer)| (outer, *height));
    let size = (u32::try_from(width).context("too wide")?, u32::try_from(height).context("too high")?);
    let color = outer.len() > 1 && outer.last() == Some(&3);
    let shape = match color {
        true => [&outer[..outer.len() - 1], &[height, width, 3]].concat(),
        false => tensor.shape.clone(),
    };
    let pixels = width * height;
    let mut about = Some(format!("{{\"shape\": {shape:?}}}"));
    for page in tensor.values.chunks(pixels * if color { 3 } else { 1 }) {
        let about = about.take();
        match color {
            true => {
                let mixed: Vec<f32> = (0..page.len()).map(|i| page[i % 3 * pixels + i / 3]).collect();
                write::<RGB32Float, K>(&mut encoder, size, &mixed, about)?;
            }
            false => write::<Gray32Float, K>(&mut encoder, size, page, about)?,
        }
    }
    Ok(file.into_inner())
}

fn write<C: ColorType<Inner = f32>, K: TiffKind>(
    encoder: &mut TiffEncoder<&mut Cursor<Vec<u8>>, K>,
    (width, height): (u32, u32),
    values: &[f32],
    about: Option<String>,
) -> Result<()> {
    let mut image = encoder.new_image::<C>(width, height)?;
    if let Some(about) = about {
        image.encoder().write_tag(Tag::ImageDescription, &*about)?;
    }
    Ok(image.write_data(values)?)
}
