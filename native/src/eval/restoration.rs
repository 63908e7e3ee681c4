//! Restoration scores: how close posteriors are to the truth of the test observations, value by value, and to
//! the observations themselves.

use crate::data::pixels::Bytes;
use crate::eval::features::scores::bytes;
use crate::eval::features::st_lpips::{MIN_SIDE, StLpips};
use crate::run::session::Session;
use anyhow::{Context, Result, ensure};
use diffem::channel::{Channel, Compose};
use diffem::image::ImageShape;
use diffem::metric::{MeasurementFit, MetricError, psnr, ssim};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use serde::{Deserialize, Serialize};

/// Width of the presets' signal range [-2, 2].
pub const RANGE: f64 = diffem::image::PIXEL_RANGE as f64;

/// Estimate that represents a posterior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimate {
    /// Posterior mean, which has the least squared error.
    Mean,
    /// One posterior draw, as used in training: sharp, with twice the squared error of the mean.
    Draw,
    /// The truth itself, which is the floor of the measurement fit.
    Truth,
    /// The observation itself, with 0 for unobserved values.
    Observation,
    /// A classical restoration, which needs no other observation.
    Restoration,
}

/// Scores of one estimate. Scores that do not exist are null: scores of missing values if the channel hides
/// none, SSIM of data that are not images or smaller than its window, ST-LPIPS if it was not requested, χ²
/// without noise, and an infinite PSNR.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restoration {
    /// Name of the posterior.
    pub posterior: String,
    /// Lap of the posterior, 0 for the start; null for an estimate that needs no posterior.
    #[serde(default)]
    pub lap: Option<usize>,
    pub estimate: Estimate,
    /// PSNR in dB over all values.
    pub psnr: Option<f64>,
    /// PSNR in dB over the values that are missing from the observations.
    pub psnr_missing: Option<f64>,
    /// SSIM over all windows.
    pub ssim: Option<f64>,
    /// SSIM over the windows whose central value is missing.
    pub ssim_missing: Option<f64>,
    /// Mean perceptual distance to the truth, between 8-bit pictures; 0 for the truth.
    pub st_lpips: Option<f64>,
    /// Fit to the measurements (χ² per measurement); 1 for the truth.
    pub chi2: Option<f64>,
    /// Standard deviation of the truth's χ² about 1: sqrt(2 / M).
    pub chi2_deviation: Option<f64>,
    pub observations: usize,
    /// Number of averaged posterior draws; 0 for an exact mean.
    pub draws: usize,
}

impl Restoration {
    /// Returns the same scores, attributed to the posterior of lap `lap`.
    pub fn of_lap(self, lap: usize) -> Self {
        Self { lap: Some(lap), ..self }
    }
}

/// A test set with everything that is shared by its estimates.
pub struct Judge<'a> {
    x: &'a Samples,
    seen: &'a Observations,
    channel: &'a Compose,
    shape: Option<ImageShape>,
    missing: Option<Vec<bool>>,
    /// Perceptual distance and the truth as pictures.
    eye: Option<(StLpips, Vec<Bytes>)>,
}

impl<'a> Judge<'a> {
    /// Judge on the run's test set, if there is one.
    pub fn new(session: &'a Session) -> Option<Self> {
        session.dataset.truth.test.as_ref().map(|(x, seen)| Self::of(session, x, seen))
    }

    /// Judge on the run's own observations, if their truth is known.
    pub fn of_training(session: &'a Session) -> Option<Self> {
        session.dataset.truth.x.as_ref().map(|x| Self::of(session, x, &session.dataset.observations))
    }

    fn of(session: &'a Session, x: &'a Samples, seen: &'a Observations) -> Self {
        let (channel, shape) = (&session.channel, session.image_shape());
        Self { x, seen, channel, shape, missing: missing(session, x, seen), eye: None }
    }

    /// Adds the perceptual distance of the network that `load` returns to all later scores.
    ///
    /// # Errors
    /// Fails if the signals are not images, if the images are too small, or if the network cannot be loaded.
    pub fn look_with(&mut self, load: impl FnOnce() -> Result<StLpips>) -> Result<()> {
        let shape = self.shape.context("--features st-lpips: the signals of this run are not images")?;
        let (height, width) = (shape.height, shape.width);
        ensure!(
            StLpips::takes(shape),
            "--features st-lpips: the images have {height} x {width} pixels, expected {MIN_SIDE} or more on each side"
        );
        self.eye = Some((load()?, bytes(self.x, shape)?));
        Ok(())
    }

    fn st_lpips(&self, estimated: &Samples) -> Result<Option<f64>> {
        let (Some((network, truth)), Some(shape)) = (&self.eye, self.shape) else { return Ok(None) };
        let distances = network.distances(truth, &bytes(estimated, shape)?)?;
        Ok(Some(distances.iter().sum::<f64>() / distances.len() as f64))
    }

    /// Clean signals `[n, d]`.
    pub fn x(&self) -> &'a Samples {
        self.x
    }

    /// Observations of the clean signals.
    pub fn seen(&self) -> &'a Observations {
        self.seen
    }

    /// Returns the mean of `draws` draws from each posterior of lap `lap` of `session`, and the first draw; calls
    /// `on_draw` after each. Draws are dealt to all ranks.
    pub fn estimates(
        &self,
        session: &Session,
        lap: usize,
        draws: usize,
        on_draw: &mut dyn FnMut(),
    ) -> Result<[Samples; 2]> {
        let (_, posterior) = session.dealt_posterior(Some(lap))?;
        let mut sum = vec![0.0f64; self.x.as_slice().len()];
        let draw = |draw: usize| {
            let key = Key::new(session.config.seed, Purpose::Draw, draw);
            session.e_step(&posterior, self.seen, key).all()
        };
        let mut add = |x: &Samples| sum.iter_mut().zip(x.as_slice()).for_each(|(s, v)| *s += f64::from(*v));
        let first = draw(0)?;
        add(&first);
        on_draw();
        for i in 1..draws {
            add(&draw(i)?);
            on_draw();
        }
        let mean = sum.iter().map(|s| (s / draws as f64) as f32).collect();
        Ok([Samples::new(mean, self.x.d()), first])
    }

    /// Returns the PSNR in dB over the values that are missing from the observations, or over all values if
    /// the channel masks none; it is infinite for the truth itself.
    pub fn psnr(&self, estimated: &Samples) -> Result<Option<f64>> {
        match psnr(self.x, estimated, RANGE, self.missing.as_deref()) {
            Err(MetricError::TooFew { set: "keep", .. }) => Ok(None),
            other => Ok(other.map(Some)?),
        }
    }

    /// Scores `estimated [n, d]`.
    pub fn score(
        &self,
        posterior: String,
        estimate: Estimate,
        estimated: &Samples,
        draws: usize,
    ) -> Result<Restoration> {
        let decibels = |keep: Option<&[bool]>| finite(psnr(self.x, estimated, RANGE, keep));
        let similarity = |keep: Option<&[bool]>| match self.shape {
            Some(shape) => finite(ssim(self.x, estimated, shape, RANGE, keep)),
            None => Ok(None),
        };
        let missing = self.missing.as_deref();
        let fit = MeasurementFit::of(self.channel, self.seen, estimated)?;
        Ok(Restoration {
            posterior,
            lap: None,
            estimate,
            psnr: decibels(None)?,
            psnr_missing: missing.map_or(Ok(None), |missing| decibels(Some(missing)))?,
            ssim: similarity(None)?,
            ssim_missing: missing.map_or(Ok(None), |missing| similarity(Some(missing)))?,
            st_lpips: self.st_lpips(estimated)?,
            chi2: fit.map(|fit| fit.chi2),
            chi2_deviation: fit.map(|fit| (2.0 / fit.measurements as f64).sqrt()),
            observations: self.x.n(),
            draws,
        })
    }

    /// Scores the estimates that need no posterior: the truth, and the observations if they are
    /// signal-shaped.
    pub fn floors(&self) -> Result<Vec<Restoration>> {
        let mut out = vec![self.score("truth (floor)".into(), Estimate::Truth, self.x, 0)?];
        if self
            .channel
            .as_linear()
            .is_some_and(|linear| linear.is_diagonal() || (linear.as_spectral().is_some() && self.channel.lifts()))
        {
            let lifted = self.seen.lifted(self.channel);
            out.push(self.score("observation (baseline)".into(), Estimate::Observation, &lifted, 0)?);
        }
        Ok(out)
    }
}

/// Returns the score if it exists: there may be no values to average, no window that fits, or zero error.
fn finite(score: Result<f64, MetricError>) -> Result<Option<f64>> {
    match score {
        Ok(score) => Ok(Some(score).filter(|score| score.is_finite())),
        Err(MetricError::SmallImage { .. } | MetricError::TooFew { set: "keep", .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Marks the values of x that are missing from the observations; `None` if the channel masks nothing.
fn missing(session: &Session, x: &Samples, seen: &Observations) -> Option<Vec<bool>> {
    let masks = session.config.channel.0.iter().filter(|stage| stage.as_stage().is_mask()).count();
    let (d, k) = (x.d(), session.channel.operator_len());
    if masks != 1 || k == 0 || d % k != 0 {
        return None;
    }
    // A mask of pixels is shared by the color channels, which are stored one after another.
    let row = |a: &[f32]| (0..d).map(|j| a[j % k] == 0.0).collect::<Vec<_>>();
    seen.a.as_ref().map(|a| a.rows().flat_map(row).collect())
}

/// Formats the scores as a table.
pub fn table(rows: &[Restoration]) -> String {
    let looked = rows.iter().any(|row| row.st_lpips.is_some());
    let heads = ["PSNR (dB)", "missing", "SSIM", "missing", "χ²", "ST-LPIPS"];
    let heads = &heads[..if looked { 6 } else { 5 }];
    let heads: String = heads.iter().map(|head| format!(" {head:>10}")).collect();
    let width = rows.iter().map(|row| row.posterior.chars().count()).max().unwrap_or(0).max(22);
    let mut out = format!("{:width$} {:11}{heads} {:>6} {:>12}\n", "posterior", "estimate", "draws", "observations");
    for row in rows {
        let cell = |value: Option<f64>, places: usize| match value {
            Some(value) => format!(" {value:>10.places$}"),
            None => format!(" {:>10}", "-"),
        };
        let cells = [
            cell(row.psnr, 2),
            cell(row.psnr_missing, 2),
            cell(row.ssim, 4),
            cell(row.ssim_missing, 4),
            cell(row.chi2, 4),
            if looked { cell(row.st_lpips, 4) } else { String::new() },
        ];
        let estimate = format!("{:?}", row.estimate).to_lowercase();
        out += &format!(
            "{:width$} {estimate:11}{} {:>6} {:>12}\n",
            row.posterior,
            cells.concat(),
            row.draws,
            row.observations
        );
    }
    out
}
