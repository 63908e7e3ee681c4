//! Saves figures: each figure is one SVG, which [`save`] writes together with a PNG of the same picture.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use resvg::{tiny_skia, usvg};

use crate::files::write_atomic;

/// Number of pixels of the PNG per pixel of the SVG.
const ZOOM: f32 = 2.0;

/// Writes `svg` to `dir` as `name.svg` and, rendered at twice its size, as `name.png`. Each file is written
/// atomically.
///
/// # Errors
/// Fails if `svg` cannot be rendered or a file cannot be written; the message names the file.
pub fn save(svg: &str, dir: &Path, name: &str) -> Result<()> {
    let png = png(svg).with_context(|| format!("cannot draw the figure {name:?}"))?;
    write_atomic(&dir.join(format!("{name}.svg")), svg.as_bytes())?;
    write_atomic(&dir.join(format!("{name}.png")), &png)
}

/// Renders `svg` at twice its size and returns the bytes of a PNG. Only the embedded fonts are used, so that
/// the picture is the same on every machine.
///
/// # Errors
/// Fails if `svg` is not valid SVG or is larger than memory allows.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let tree = usvg::Tree::from_str(svg, &options())?;
    let size = tree.size().to_int_size().scale_by(ZOOM).context("the figure is too large")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).context("the figure is too large")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(ZOOM, ZOOM), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

fn options() -> usvg::Options<'static> {
    usvg::Options { fontdb: FONTS.clone(), font_family: "Ubuntu".into(), ..usvg::Options::default() }
}

/// Embedded fonts: Ubuntu for text, and Hack for the letters that Ubuntu lacks.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    fonts.load_font_data(epaint_default_fonts::HACK_REGULAR.to_vec());
    fonts.set_sans_serif_family("Ubuntu");
    Arc::new(fonts)
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::chart::canvas::{dots, sheet};
    use crate::figures::chart::text::{Align, text};
    use crate::figures::style::TEXT;

    fn ink(svg: &str) -> usize {
        let pixels = image::load_from_memory(&png(svg).unwrap()).unwrap().to_rgb8();
        pixels.pixels().filter(|pixel| pixel.0[0] < 128).count()
    }

    #[test]
    fn both_files_are_written_and_the_png_is_twice_as_large() {
        let dir = tempfile::tempdir().unwrap();
        let svg = sheet(50.0, 30.0, |_, _| Ok(())).unwrap();
        save(&svg, dir.path(), "blank").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("blank.svg")).unwrap(), svg);
        let picture = image::open(dir.path().join("blank.png")).unwrap();
        assert_eq!((picture.width(), picture.height()), (100, 60));
    }

    #[test]
    fn text_is_drawn_without_fonts_of_the_machine() {
        let written = |words: &str| {
            ink(&sheet(80.0, 30.0, |area, _| text(area, words, (40.0, 15.0), 13.0, TEXT, Align::Center)).unwrap())
        };
        assert_eq!(written(" "), 0);
        for words in ["x₁ ≤ σ²", "−10⁻⁴"] {
            let alone: Vec<usize> = words.split_whitespace().map(written).collect();
            assert!(alone.iter().all(|&pixels| pixels > 10), "{words}: {alone:?}");
        }
    }

    #[test]
    fn dots_of_no_length_leave_discs() {
        let svg = sheet(40.0, 40.0, |_, layer| {
            dots(layer, &[(100, 100), (300, 300)], TEXT, 1.0, 3.0);
            Ok(())
        });
        // Two discs of radius 3, each pixel drawn as 2 x 2: 2 · 4 · 9π ≈ 226.
        let pixels = ink(&svg.unwrap());
        assert!((200..250).contains(&pixels), "{pixels}");
    }

    #[test]
    fn what_is_not_svg_is_an_error() {
        assert!(png("<p>").is_err());
        let dir = tempfile::tempdir().unwrap();
        assert!(save("<p>", dir.path(), "bad").unwrap_err().to_string().contains("bad"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
