//! A few clean signals beside the corrupted ones, as in SFBD-OMNI (arXiv 2512.17051): every training signal is, with
//! probability w, a clean one instead of a reconstruction, corrupted afresh like the others.

use crate::error::{Error, Result};
use crate::noise::Stream;
use crate::samples::Samples;

/// Clean signals and their share of the training signals.
#[derive(Clone, Debug, PartialEq)]
pub struct Clean {
    /// The signals, `[h, d]`.
    pub x: Samples,
    /// Probability w that a training signal is a clean one, in [0, 1).
    pub weight: f64,
}

impl Clean {
    /// Checks the weight, and that there are signals of length `d` whose numbers are finite.
    pub(crate) fn validate(&self, d: usize) -> Result<()> {
        check_weight(self.weight)?;
        let (x, what) = (&self.x, "clean signals x");
        if x.n() == 0 || x.d() != d {
            return Err(Error::shape(what, format!("[h, {d}] with h > 0"), format!("[{}, {}]", x.n(), x.d())));
        }
        match x.rows().position(|row| row.iter().any(|v| !v.is_finite())) {
            None => Ok(()),
            Some(row) => {
                Err(Error::values(what, format!("row {row} holds NaN or infinity; repair or remove that row")))
            }
        }
    }

    /// Draws whether a training signal is clean, and which one it is.
    pub(super) fn draw(&self, stream: &mut Stream) -> Option<&[f32]> {
        (stream.uniform() < self.weight).then(|| self.x.row(stream.below(self.x.n())))
    }
}

/// Checks that `weight` is in [0, 1).
pub fn check_weight(weight: f64) -> Result<()> {
    let message = format!("expected a number in [0, 1), found {weight}");
    (0.0..1.0).contains(&weight).then_some(()).ok_or_else(|| Error::config("clean.weight", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};

    #[test]
    fn clean_signals_are_drawn_evenly_with_their_weight() {
        let clean = Clean { x: Samples::new(vec![1.0, 2.0, 3.0], 1), weight: 0.3 };
        let mut counts = [0; 4];
        for i in 0..10_000 {
            let drawn = clean.draw(&mut Key::new(0, Purpose::Clean, 1).stream(i, 7));
            counts[drawn.map_or(0, |row| row[0] as usize)] += 1;
        }
        assert!((counts[0] - 7000_i32).abs() < 230, "{counts:?}");
        assert!(counts[1..].iter().all(|count| (count - 1000).abs() < 150), "{counts:?}");
    }
}
