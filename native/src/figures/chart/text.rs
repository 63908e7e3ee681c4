//! Places, measures and wraps text on a sheet.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{Area, UNITS, units};
use crate::figures::style::{FONTS, RoleColor};

/// Returns a font of `size` pixels in `color`. plotters-svg divides sizes by 1.24, so they are multiplied by
/// it here.
pub fn font(size: f64, color: RoleColor) -> TextStyle<'static> {
    let style = TextStyle::from((FONTS, size * UNITS * 1.24).into_font());
    TextStyle { color: color.to_backend_color(), ..style }
}

/// Horizontal alignment of a text at its given point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Center,
}

/// Writes one line of text, vertically centered on `y`.
pub fn text(area: &Area<'_>, words: &str, at: (f64, f64), size: f64, color: RoleColor, align: Align) -> Result<()> {
    let horizontal = match align {
        Align::Left => HPos::Left,
        Align::Center => HPos::Center,
    };
    // plotters-svg's "center" is half an x-height below the point; the correction centers capitals instead.
    let style = font(size, color).pos(Pos::new(horizontal, VPos::Center));
    Ok(area.draw_text(words, &style, (units(at.0), units(at.1 + 0.1 * size)))?)
}

/// Width of a text in pixels, estimated from the widths of Helvetica because a sheet has no access to fonts;
/// Ubuntu Light is slightly narrower.
pub fn text_width(words: &str, size: f64) -> f64 {
    words.chars().map(letter_width).sum::<f64>() * size
}

fn letter_width(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => 0.28,
        'f' | 't' | 'r' | 'I' | '-' | '(' | ')' | '[' | ']' | '/' => 0.34,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.86,
        'A'..='Z' => 0.71,
        _ => 0.56,
    }
}

/// Writes `words` in as many lines as the `width` requires.
pub fn paragraph(area: &Area<'_>, words: &str, at: (f64, f64), width: f64, size: f64, color: RoleColor) -> Result<()> {
    for (i, row) in wrapped(words, width, size).iter().enumerate() {
        text(area, row, (at.0, at.1 + i as f64 * 1.4 * size), size, color, Align::Left)?;
    }
    Ok(())
}

/// Breaks `words` into lines no wider than `width`, except where a single word is wider.
pub fn wrapped(words: &str, width: f64, size: f64) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match rows.last_mut() {
            Some(row) if text_width(row, size) + text_width(word, size) + size < width => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_string()),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::canvas::sheet;
    use super::*;
    use crate::figures::style::{NORMAL, TEXT};

    #[test]
    fn a_sheet_is_well_formed_scaled_and_keeps_the_layer_on_top() {
        let svg = sheet(120.0, 60.0, |area, layer| {
            layer.push_str("<g id=\"top\"/>");
            text(area, "a < b & c", (60.0, 30.0), NORMAL, TEXT, Align::Center)
        })
        .unwrap();
        assert_eq!(parsed_size(&svg), (120.0, 60.0));
        assert!(svg.contains("viewBox=\"0 0 1200 600\"") && svg.contains("a &lt; b &amp; c"));
        assert!(svg.find("<text").unwrap() < svg.find("id=\"top\"").unwrap());
    }

    fn parsed_size(svg: &str) -> (f32, f32) {
        let tree = resvg::usvg::Tree::from_str(svg, &resvg::usvg::Options::default()).unwrap();
        (tree.size().width(), tree.size().height())
    }

    #[test]
    fn paragraphs_break_between_words() {
        let rows = wrapped("one two three four five six", 80.0, 10.0);
        assert_eq!(rows.join(" "), "one two three four five six");
        assert!(rows.len() > 1 && rows.iter().all(|row| text_width(row, 10.0) < 80.0), "{rows:?}");
    }
}
