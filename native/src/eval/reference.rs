//! The truth that laps are compared with, and what its size can tell.

use crate::args::Evaluate;
use crate::data::observations::load_signals;
use crate::eval::features::scores::FeatureScores;
use crate::eval::report::Distances;
use crate::run::dataset::{TEST_POINTS, inspection, signals};
use crate::run::session::Session;
use anyhow::{Result, bail};
use diffem::Samples;

/// Number of points from which distances between samples are of use.
const MIN_POINTS: usize = 256;
/// Number of images from which Fréchet distances hardly depend on it, as far as is usual.
const MIN_IMAGES: usize = 2048;

/// Three disjoint samples from the distribution of the signals.
pub struct Reference {
    pub u: [Samples; 3],
    /// First row of the reconstructions that may be compared with them: the rows before it reconstruct signals of the
    /// first two samples.
    pub first: usize,
}

impl Reference {
    /// Truth of the file that `args` name or of the run; `None` if there is none.
    pub fn of(args: &Evaluate, session: &Session) -> Result<Option<Self>> {
        let truth = &session.dataset.truth;
        match (&args.truth, &truth.u, &truth.x) {
            (Some(path), _, _) => {
                let x = load_signals(path, "x", &signals(session.config.signal_len(), session.image_shape()))?;
                if let Some(warning) = inspection(&session.config, false).of_signals(&x) {
                    eprintln!("warning: {}: {warning}", path.display());
                }
                if x.n() < 6 {
                    bail!("{}: expected 6 or more signals, found {}", path.display(), x.n());
                }
                Ok(Some(Self { u: thirds(&x), first: 0 }))
            }
            (None, Some(u), _) => Ok(Some(Self { u: u.clone(), first: 0 })),
            (None, None, Some(x)) if truth.test.is_none() && x.n() >= 6 => {
                Ok(Some(Self { u: thirds(x), first: 2 * (x.n() / 3) }))
            }
            _ => Ok(None),
        }
    }
}

fn thirds(x: &Samples) -> [Samples; 3] {
    let third = x.n() / 3;
    [0, 1, 2].map(|i| x.slice(i * third..(i + 1) * third))
}

/// Where the truth of the run's own observations is known and there is no other test set, scores posteriors on the
/// first of these.
pub fn test_on_own(session: &mut Session) {
    let (observations, truth) = (&session.dataset.observations, &session.dataset.truth);
    if let (None, None, Some(x)) = (&truth.test, &truth.u, &truth.x) {
        let n = x.n().min(TEST_POINTS);
        session.dataset.truth.test = Some((x.slice(0..n), observations.first(n)));
    }
}

/// What distances cannot tell; the first of them is the floor.
pub fn notes_on_distances(distances: &[Distances]) -> Vec<String> {
    let Some((floor, samples)) = distances.split_first() else { return Vec::new() };
    let n = floor.points;
    let few = (n < MIN_POINTS).then(|| {
        format!("{n} points per side are few for these distances: {MIN_POINTS} or more make them reliable; compare lap with lap")
    });
    let below: Vec<&str> = samples
        .iter()
        .filter(|d| d.sinkhorn_divergence < floor.sinkhorn_divergence)
        .map(|d| d.sample.as_str())
        .collect();
    let below = (!below.is_empty()).then(|| {
        format!(
            "below the floor, the score of the truth itself: {}. Such values rank nothing: samples that vary less than \
             the truth are nearer to {n} points than other true ones are. Compare with more signals",
            below.join(", ")
        )
    });
    few.into_iter().chain(below).collect()
}

/// What distances in features cannot tell.
pub fn note_on_features(scores: &[FeatureScores]) -> Option<String> {
    let images = scores.iter().map(|score| score.images).min().filter(|images| *images < MIN_IMAGES)?;
    Some(format!(
        "Fréchet distances and inception scores of {images} images are biased; compare them at the same number only, and \
         with the floor"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_few_points_cannot_tell_is_said() {
        let scored = |sample: &str, sinkhorn_divergence, points| Distances {
            sample: sample.into(),
            lap: None,
            sinkhorn_divergence,
            sliced_wasserstein: 0.1,
            energy_distance: 0.1,
            points,
        };
        let notes = |value, points| {
            notes_on_distances(&[scored("truth (floor)", 106.0, points), scored("lap 1", value, points)])
        };
        assert!(notes(107.0, 500).is_empty() && notes_on_distances(&[]).is_empty());
        let few = notes(1e-6, 53);
        assert!(few.len() == 2 && few[0].starts_with("53 points per side are few"), "{few:?}");
        assert!(few[1].starts_with("below the floor, the score of the truth itself: lap 1."), "{few:?}");
    }
}
