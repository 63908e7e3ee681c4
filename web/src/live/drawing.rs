//! Curves that the reader has drawn: the distribution of the signals is uniform along all strokes, with some width.

use diffem::noise::Key;
use diffem::{Error, Result, Samples};
use serde::{Deserialize, Serialize};

/// Largest absolute value of a coordinate, as of the other curves.
const LIMIT: f32 = 2.0;
const MAX_POINTS: usize = 1 << 14;
const MAX_WIDTH: f64 = 1.0;
/// Weight of a stroke shorter than this, so that single points are drawn from too.
const DOT: f64 = 0.05;

/// Strokes in the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// Points of every stroke, joined by straight lines; coordinates lie in [-2, 2]. A stroke may be a single point.
    pub strokes: Vec<Vec<[f32; 2]>>,
    /// Standard deviation of the distance of a signal from its stroke, in each coordinate, 0 to 1.
    pub width: f64,
}

/// A straight piece, with the total weight of all pieces up to its end.
struct Piece {
    from: [f32; 2],
    to: [f32; 2],
    end: f64,
}

impl Drawing {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Fails if there is no stroke, if a stroke is empty or a coordinate outside [-2, 2], if there are more than 16384
    /// points, or if the width is outside [0, 1].
    pub fn validate(&self) -> Result<()> {
        let points: usize = self.strokes.iter().map(Vec::len).sum();
        if points == 0 || points > MAX_POINTS || self.strokes.iter().any(Vec::is_empty) {
            let expected = format!("expected strokes of 1 or more points and at most {MAX_POINTS} points in all");
            return Err(Error::config("data.strokes", format!("{expected}, found {points}")));
        }
        let outside = |v: &&f32| !(-LIMIT..=LIMIT).contains(*v);
        if let Some(v) = self.strokes.iter().flatten().flatten().find(outside) {
            return Err(Error::config(
                "data.strokes",
                format!("expected coordinates in [-{LIMIT}, {LIMIT}], found {v}"),
            ));
        }
        match (0.0..=MAX_WIDTH).contains(&self.width) {
            true => Ok(()),
            false => Err(Error::config("data.width", format!("expected 0 to {MAX_WIDTH}, found {}", self.width))),
        }
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut end = 0.0;
        let mut add = |from: [f32; 2], to: [f32; 2], weight: f64| {
            end += weight;
            pieces.push(Piece { from, to, end });
            weight
        };
        for stroke in &self.strokes {
            let length = |p: &[[f32; 2]]| f64::from((p[1][0] - p[0][0]).hypot(p[1][1] - p[0][1]));
            let drawn: f64 = stroke.windows(2).map(|p| add(p[0], p[1], length(p))).sum();
            if let Some(&first) = stroke.first().filter(|_| drawn < DOT) {
                add(first, first, DOT - drawn);
            }
        }
        pieces
    }

    /// Draws `count` signals, `[count, 2]`; row i has the stream (i, `set`) of `key`.
    pub fn draw_points(&self, count: usize, key: Key, set: usize) -> Samples {
        let pieces = self.pieces();
        let total = pieces.last().map_or(0.0, |p| p.end);
        let mut values = Vec::with_capacity(2 * count);
        for i in 0..count {
            let mut stream = key.stream(i, set);
            let at = stream.uniform() * total;
            let k = pieces.partition_point(|p| p.end <= at).min(pieces.len() - 1);
            let begin = if k == 0 { 0.0 } else { pieces[k - 1].end };
            let Piece { from, to, end } = &pieces[k];
            let share = ((at - begin) / (end - begin)) as f32;
            for (from, to) in from.iter().zip(to) {
                values.push(from + share * (to - from) + self.width as f32 * stream.normal());
            }
        }
        Samples::new(values, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::noise::Purpose;

    fn drawing(strokes: Vec<Vec<[f32; 2]>>, width: f64) -> Drawing {
        Drawing { strokes, width }
    }

    #[test]
    fn signals_are_uniform_along_all_strokes() {
        // Three units of length to the right of a stroke of one unit, and a point.
        let strokes =
            vec![vec![[-2.0, -1.0], [-2.0, 0.0]], vec![[-1.0, 1.0], [1.0, 1.0], [1.0, 2.0]], vec![[2.0, -2.0]]];
        let x = drawing(strokes, 0.0).draw_points(40_000, Key::new(1, Purpose::Truth, 0), 0);
        let share = |f: &dyn Fn(&[f32]) -> bool| (0..x.n()).filter(|&i| f(x.row(i))).count() as f64 / x.n() as f64;
        let total = 4.0 + DOT;
        assert!((share(&|p| p[0] == -2.0) - 1.0 / total).abs() < 0.01);
        assert!((share(&|p| p[1] == 1.0 && p[0] < 0.0) - 1.0 / total).abs() < 0.01);
        assert!((share(&|p| p == [2.0, -2.0]) - DOT / total).abs() < 0.005);
    }

    #[test]
    fn the_width_is_a_standard_deviation() {
        let x =
            drawing(vec![vec![[-2.0, 0.5], [2.0, 0.5]]], 0.1).draw_points(20_000, Key::new(2, Purpose::Truth, 0), 1);
        let variance = (0..x.n()).map(|i| f64::from(x.row(i)[1] - 0.5).powi(2)).sum::<f64>() / x.n() as f64;
        assert!((variance.sqrt() - 0.1).abs() < 0.002, "{}", variance.sqrt());
    }

    #[test]
    fn bad_drawings_are_named() {
        let message = |strokes, width| drawing(strokes, width).validate().unwrap_err().to_string();
        assert!(message(vec![], 0.0).starts_with("data.strokes: expected strokes of 1 or more points"));
        assert!(message(vec![vec![]], 0.0).starts_with("data.strokes: expected strokes of 1 or more points"));
        assert_eq!(message(vec![vec![[0.0, 2.5]]], 0.0), "data.strokes: expected coordinates in [-2, 2], found 2.5");
        assert!(message(vec![vec![[0.0, f32::NAN]]], 0.0).contains("found NaN"));
        assert_eq!(message(vec![vec![[0.0, 0.0]]], 1.5), "data.width: expected 0 to 1, found 1.5");
    }
}
