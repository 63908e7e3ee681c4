//! The formats of tensor files; the extension of a file determines its format.

use super::tensor::Format;
use diffem::image::ImageShape;
use std::path::Path;

/// All formats, one line each.
static FORMATS: &[&Format] = &[
    &super::safetensors_file::FORMAT,
    &super::npz::FORMAT,
    &super::npy::FORMAT,
    &super::fits::FORMAT,
    &super::stack::FORMAT,
    &super::hdf5::FORMAT,
];

/// Extension of what gzip compressed, behind that of its content.
const PACKED: &str = "gz";

/// Returns the format of the file at `path` if its extension is known.
pub fn format_of(path: &Path) -> Option<&'static Format> {
    let mut extension = path.extension()?.to_string_lossy().to_lowercase();
    if extension == PACKED {
        extension = format!("{}.{PACKED}", Path::new(path.file_stem()?).extension()?.to_string_lossy().to_lowercase());
    }
    FORMATS.iter().copied().find(|format| format.extensions.contains(&&*extension))
}

/// Whether a file at `path` is written compressed with gzip.
pub fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(PACKED))
}

/// Returns whether the file at `path` is a tensor file, judged by its extension.
pub fn is_tensor_file(path: &Path) -> bool {
    format_of(path).is_some()
}

/// The shape of rows of length `d` in the file at `path`: flat, or that of an `image` where other programs expect its
/// axes in such a file.
pub fn row_shape(path: &Path, image: Option<ImageShape>, d: usize) -> Vec<usize> {
    let shaped = format_of(path).is_some_and(|format| format.shaped);
    match image.filter(|image| shaped && image.len() == d) {
        Some(ImageShape { channels, height, width }) => vec![channels, height, width],
        None => vec![d],
    }
}

/// Error message for reading a file of unknown format.
pub fn unknown() -> String {
    expected(FORMATS.iter().map(|format| format.extensions[0]))
}

/// Error message for writing a file of unknown format.
pub fn unknown_target() -> String {
    expected(FORMATS.iter().filter(|format| format.encode.is_some()).map(|format| format.extensions[0]))
}

/// Formats the error message, with the extensions joined as `.a, .b or .c`.
fn expected(extensions: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = extensions.map(|extension| format!(".{extension}")).collect();
    let (last, others) = names.split_last().expect("there are formats");
    format!("unknown tensor format; expected a name that ends in {} or {last}", others.join(", "))
}
