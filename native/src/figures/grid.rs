//! Image grid with one observation per row: the observation, posterior draws, posterior mean and standard
//! deviation, and the truth side by side.

use anyhow::{Context, Result, ensure};

use super::chart::canvas::{Area, sheet};
use super::chart::text::{Align, text, wrapped};
use super::chart::tiles::{Colors, Key, Scale, Shape, Tile, embed};
use super::style::{NORMAL, SMALL, TEXT};

/// A column of images. Adjacent columns with the same heading share it.
#[derive(Clone, Debug)]
pub struct Column {
    pub heading: String,
    /// Values at the ends of the color scale; if `None`, the range of the values under this heading (from 0
    /// for `Heat`).
    pub range: Option<(f32, f32)>,
    pub colors: Colors,
}

impl Column {
    /// A column of images with values in `range`.
    pub fn images(heading: &str, range: (f32, f32)) -> Self {
        Self { heading: heading.into(), range: Some(range), colors: Colors::Natural }
    }

    /// A column of standard deviations, with a color scale of its own.
    pub fn spread(heading: &str) -> Self {
        Self { heading: heading.into(), range: None, colors: Colors::Heat }
    }
}

/// Approximate side of a tile in pixels of the PNG; each value covers a whole number of pixels.
const TILE: usize = 144;
const EDGE: f64 = 14.0;
const GAP: f64 = 6.0;
const GROUP_GAP: f64 = 20.0;
const HEADING_LINE: f64 = 1.25 * NORMAL;
const NAME_LINE: f64 = 1.5 * SMALL;
/// Draws the grid and returns the SVG: a heading over each run of columns, one line of tiles per row, and the
/// color scales at the bottom. Values are enlarged without smoothing.
///
/// # Errors
/// Fails if there is no column or row, or if a row, tile or mask has the wrong length.
pub fn image_grid(columns: &[Column], rows: &[Vec<Tile<'_>>], shape: Shape) -> Result<String> {
    named_grid(columns, rows, shape, &[])
}

/// Like [`image_grid`], with a name below each row.
pub fn named_grid(columns: &[Column], rows: &[Vec<Tile<'_>>], shape: Shape, names: &[String]) -> Result<String> {
    check(columns, rows, shape)?;
    let grid = Grid { names, ..Grid::new(columns, rows, shape) };
    let (width, height) = grid.size();
    sheet(width, height, |area, layer| {
        grid.headings(area)?;
        grid.captions(area)?;
        grid.tiles(layer)?;
        grid.explain(area, layer)
    })
}

fn check(columns: &[Column], rows: &[Vec<Tile<'_>>], shape: Shape) -> Result<()> {
    let (height, width, channels) = (shape.height, shape.width, shape.channels);
    let drawable = height > 0 && width > 0 && matches!(channels, 1 | 3);
    ensure!(drawable, "image grid: {height} x {width} pixels of {channels} channels, expected pixels of 1 or 3");
    ensure!(!columns.is_empty() && !rows.is_empty(), "an image grid needs at least one column and one row");
    for (i, row) in rows.iter().enumerate() {
        let (own, all) = (row.len(), columns.len());
        ensure!(own == all, "image grid: row {i} has {own} tiles for {all} columns");
        for (tile, column) in row.iter().zip(columns) {
            check_tile(tile, shape).with_context(|| format!("image grid: row {i}, {:?}", column.heading))?;
        }
    }
    Ok(())
}

fn check_tile(tile: &Tile<'_>, shape: Shape) -> Result<()> {
    let pixels = shape.height * shape.width;
    let (own, all) = (tile.values.len(), shape.channels * pixels);
    ensure!(own == all, "{own} values, expected {all}");
    let own = tile.known.map_or(pixels, <[bool]>::len);
    ensure!(own == pixels, "a mask of {own} pixels, expected {pixels}");
    Ok(())
}

struct Grid<'a> {
    columns: &'a [Column],
    rows: &'a [Vec<Tile<'a>>],
    /// Names of the rows, or nothing.
    names: &'a [String],
    shape: Shape,
    /// Color scale of each column.
    scales: Vec<Scale>,
    /// Left edge of each column.
    lefts: Vec<f64>,
    /// Side, in pixels of the PNG, of the square that shows one value.
    zoom: usize,
    top: f64,
}

impl<'a> Grid<'a> {
    fn new(columns: &'a [Column], rows: &'a [Vec<Tile<'a>>], shape: Shape) -> Self {
        let zoom = TILE.div_ceil(shape.height.max(shape.width));
        let scale = |column: &Column| Scale {
            range: column.range.unwrap_or_else(|| found(&column.heading, columns, rows)),
            colors: column.colors,
        };
        let mut grid = Self {
            columns,
            rows,
            names: &[],
            shape,
            scales: columns.iter().map(scale).collect(),
            lefts: Vec::new(),
            zoom,
            top: EDGE,
        };
        grid.place();
        grid
    }

    /// Width and height of a tile in the SVG; the PNG is twice as large.
    fn tile(&self) -> (f64, f64) {
        let half = |n: usize| (n * self.zoom) as f64 / 2.0;
        (half(self.shape.width), half(self.shape.height))
    }

    fn place(&mut self) {
        let mut x = EDGE;
        for (i, column) in self.columns.iter().enumerate() {
            let new = i > 0 && self.columns[i - 1].heading != column.heading;
            x += if new { GROUP_GAP - GAP } else { 0.0 };
            self.lefts.push(x);
            x += self.tile().0 + GAP;
        }
        let lines = self.groups().map(|(start, end)| self.heading(start, end).len()).max().unwrap_or(1);
        self.top = EDGE + lines as f64 * HEADING_LINE + GAP;
    }

    /// Iterates over the runs of columns under one heading, as (first, last).
    fn groups(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut next = 0;
        self.columns.chunk_by(|a, b| a.heading == b.heading).map(move |run| {
            let first = next;
            next += run.len();
            (first, next - 1)
        })
    }

    /// Breaks the heading of a run into lines that fit above it.
    fn heading(&self, first: usize, last: usize) -> Vec<String> {
        let width = self.lefts[last] + self.tile().0 + GROUP_GAP - self.lefts[first];
        wrapped(&self.columns[first].heading, width, NORMAL)
    }

    fn bottom(&self) -> f64 {
        self.row(self.rows.len())
    }

    /// Upper edge of row `i`.
    fn row(&self, i: usize) -> f64 {
        let name = if self.names.is_empty() { 0.0 } else { NAME_LINE };
        self.top + i as f64 * (self.tile().1 + GAP + name)
    }

    fn captions(&self, area: &Area<'_>) -> Result<()> {
        for (i, name) in self.names.iter().enumerate() {
            let at = (EDGE, self.row(i) + self.tile().1 + 0.5 * NAME_LINE);
            text(area, name, at, SMALL, TEXT, Align::Left)?;
        }
        Ok(())
    }

    fn size(&self) -> (f64, f64) {
        let tiles = self.lefts[self.lefts.len() - 1] + self.tile().0 + EDGE;
        let scales: f64 = self.keys().iter().map(|key| key.width() + GROUP_GAP).sum();
        (tiles.max(scales + 2.0 * EDGE - GROUP_GAP), self.bottom() + 3.0 * SMALL + EDGE)
    }

    fn headings(&self, area: &Area<'_>) -> Result<()> {
        for (first, last) in self.groups() {
            let middle = (self.lefts[first] + self.lefts[last] + self.tile().0) / 2.0;
            let lines = self.heading(first, last);
            let start = self.top - GAP - (lines.len() as f64 - 0.5) * HEADING_LINE;
            for (i, words) in lines.iter().enumerate() {
                let at = (middle, start + i as f64 * HEADING_LINE);
                text(area, words, at, NORMAL, TEXT, Align::Center)?;
            }
        }
        Ok(())
    }

    fn tiles(&self, layer: &mut String) -> Result<()> {
        for (i, row) in self.rows.iter().enumerate() {
            for (j, tile) in row.iter().enumerate() {
                let at = (self.lefts[j], self.row(i));
                embed(layer, &tile.picture(self.shape, self.scales[j], self.zoom), at)?;
            }
        }
        Ok(())
    }

    /// Returns one key per distinct color scale, and one for missing pixels if there are any.
    fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for (column, &scale) in self.columns.iter().zip(&self.scales) {
            let name = match scale.colors {
                Colors::Natural if self.shape.channels == 3 => continue,
                Colors::Natural => "pixel value",
                Colors::Heat => &column.heading,
            };
            let key = Key::scale(name, scale);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if self.rows.iter().flatten().any(Tile::misses_some) {
            keys.push(Key::missing());
        }
        keys
    }

    fn explain(&self, area: &Area<'_>, layer: &mut String) -> Result<()> {
        let (mut x, y) = (EDGE, self.bottom() + 1.5 * SMALL);
        for key in self.keys() {
            key.draw(area, layer, (x, y))?;
            x += key.width() + GROUP_GAP;
        }
        Ok(())
    }
}

/// Returns the range of the values under `heading`; a scale of standard deviations starts at 0.
fn found(heading: &str, columns: &[Column], rows: &[Vec<Tile<'_>>]) -> (f32, f32) {
    let own = |row: &'_ Vec<Tile<'_>>| -> Vec<f32> {
        let tiles = row.iter().zip(columns).filter(|(_, column)| column.heading == heading);
        tiles.flat_map(|(tile, _)| tile.values.iter().copied().filter(|v| v.is_finite())).collect()
    };
    let (lo, hi) = rows.iter().flat_map(own).fold((f32::MAX, f32::MIN), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let heat = columns.iter().any(|column| column.heading == heading && column.colors == Colors::Heat);
    let lo = if heat { 0.0 } else { lo };
    if lo < hi { (lo, hi) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::save::png;

    const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };

    fn columns() -> Vec<Column> {
        vec![Column::images("observation", (0.0, 1.0)), Column::spread("standard deviation")]
    }

    #[test]
    fn the_picture_reaches_the_png_unsmoothed() {
        let values: Vec<f32> = (0..64).map(|i| (i % 2) as f32).collect();
        let rows = vec![vec![Tile { values: &values, known: None }]];
        let columns = [Column::images("x", (0.0, 1.0))];
        let grid = Grid::new(&columns, &rows, SHAPE);
        let (left, top) = (2 * grid.lefts[0] as u32, (2.0 * grid.top).round() as u32);
        let svg = image_grid(&columns, &rows, SHAPE).unwrap();
        let drawn = image::load_from_memory(&png(&svg).unwrap()).unwrap().to_rgb8();
        let row: Vec<u8> = (0..144).map(|x| drawn.get_pixel(left + x, top + 70).0[0]).collect();
        let wanted: Vec<u8> = (0..144).map(|x| if x / 18 % 2 == 0 { 0 } else { 255 }).collect();
        assert_eq!(row, wanted);
    }

    #[test]
    fn neighbors_share_a_heading_and_each_scale_has_one_key() {
        let (values, color) = ([0.25; 64], [0.25; 192]);
        let tile = Tile { values: &values, known: None };
        let columns = ["draws", "draws", "mean"].map(|heading| Column::images(heading, (-2.0, 2.0)));
        let svg = image_grid(&columns, &[vec![tile; 3]], SHAPE).unwrap();
        assert_eq!((svg.matches("draws").count(), svg.matches("pixel value, −2 to 2").count()), (1, 1));
        assert!(!svg.contains("missing"));
        let tile = Tile { values: &color, known: None };
        let color = image_grid(&columns, &[vec![tile; 3]], Shape { channels: 3, ..SHAPE }).unwrap();
        assert!(!color.contains("pixel value"));
    }

    #[test]
    fn names_stand_below_their_rows() {
        let values = [0.25; 64];
        let columns = [Column::images("x", (-2.0, 2.0))];
        let rows = vec![vec![Tile { values: &values, known: None }]; 2];
        let names = ["a/b.png", "c.jpg"].map(String::from);
        let svg = named_grid(&columns, &rows, SHAPE, &names).unwrap();
        assert!(names.iter().all(|name| svg.contains(name)) && png(&svg).is_ok());
        let grid = Grid { names: &names, ..Grid::new(&columns, &rows, SHAPE) };
        assert!(grid.row(1) > grid.row(0) + grid.tile().1 + NAME_LINE);
    }

    #[test]
    fn a_spread_finds_its_own_scale() {
        let values: Vec<f32> = (0..64).map(|i| 0.5 + i as f32 / 128.0).collect();
        let row = vec![Tile { values: &values, known: None }; 2];
        let (columns, rows) = (columns(), [row]);
        let scales = Grid::new(&columns, &rows, SHAPE).scales;
        let ranges: Vec<(f32, f32)> = scales.iter().map(|scale| scale.range).collect();
        assert_eq!(ranges, [(0.0, 1.0), (0.0, 0.5 + 63.0 / 128.0)]);
    }

    #[test]
    fn bad_input_is_named() {
        let error = |rows: &[Vec<Tile<'_>>]| format!("{:#}", image_grid(&columns(), rows, SHAPE).unwrap_err());
        let (values, mask) = ([0.0; 64], [true; 63]);
        let good = Tile { values: &values, known: None };
        assert!(error(&[]).contains("at least one"));
        assert!(error(&[vec![good]]).contains("row 0 has 1 tiles for 2 columns"));
        let short = Tile { values: &values[1..], known: None };
        assert!(error(&[vec![good, short]]).contains("\"standard deviation\": 63 values, expected 64"));
        assert!(error(&[vec![Tile { known: Some(&mask), ..good }, good]]).contains("mask of 63"));
    }
}
