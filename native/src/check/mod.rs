//! `diffem check`: what the observations of a configuration hold, and whether it makes sense, before any training.

mod answers;
mod start;

use crate::config::Config;
use crate::estimate::Estimate;
use crate::estimate::enough::too_small;
use crate::run::clean::{self, used};
use crate::run::dataset::{self, inspection};
use crate::run::noise;
use anyhow::{Context, Result};
use burn::tensor::Device;
use diffem::Observations;
use std::fmt;
use std::sync::Arc;

/// Seconds over which each part of a lap is timed.
const PATIENCE: f64 = 0.1;

/// What was found, question by question, and what is odd about it.
pub struct Report {
    title: String,
    answers: Vec<(&'static str, Vec<String>)>,
    warnings: Vec<String>,
}

impl Report {
    /// Reads or makes the observations of `config`, and answers every question about them.
    ///
    /// # Errors
    /// Whatever would end a training on them before it has begun: observations that cannot be read or that are surely
    /// wrong, a start that cannot be made.
    pub fn of(config: &Config, device: &Device, device_name: String) -> Result<Self> {
        let channel = Arc::new(config.build_channel()?);
        let clean = clean::load(config)?;
        let room = tempfile::tempdir().context("cannot write in the directory of temporary files")?;
        let mut made = dataset::make(config, channel.as_ref(), room.path())?;
        let (config, channel) = noise::known(config.clone(), channel, &mut made)?;
        let config = &config;
        let (observations, mut warnings) = (made.observations, made.warnings);
        let inspection = inspection(config, true);
        let survey = observations.survey(channel.as_ref(), &inspection).context("the channel shows nothing")?;
        // What was read is inspected already.
        if !made.read {
            warnings.extend(survey.warnings().iter().map(ToString::to_string));
        }
        let estimate = Estimate::make(config, device, device_name, Ok(observations.n()), (PATIENCE, false))?;
        warnings.extend(too_small(estimate.parameters, survey.seen as u64));
        let start = start::judge(config, &channel, &observations, device)?;
        warnings.extend(start.warning);
        let answers = vec![
            ("What is there?", answers::counts(config, &observations, used(config, clean.as_ref()))),
            ("Is the scale right?", answers::scale(config, &survey)),
            ("What is missing?", answers::missing(&survey, &observations)),
            ("Is the noise that of the channel?", answers::noise(&survey)),
            ("Does every value vary?", answers::constant(&survey)),
            ("Are rows repeated?", answers::repeated(&survey)),
            ("Is it enough for the network?", answers::enough(estimate.parameters, &survey)),
            ("What does the start know?", start.answers),
            ("How long will it take?", answers::time(&estimate)),
        ];
        Ok(Self { title: title(config, &observations), answers, warnings })
    }
}

fn title(config: &Config, observations: &Observations) -> String {
    let parameters = observations.a.as_ref().map_or(String::new(), |a| format!(", a [{}, {}]", a.n(), a.d()));
    format!("{}: y [{}, {}]{parameters}", config.name, observations.y.n(), observations.y.d())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for (question, answers) in &self.answers {
            writeln!(f, "\n{question}")?;
            answers.iter().try_for_each(|answer| writeln!(f, "  {answer}"))?;
        }
        match self.warnings.len() {
            0 => writeln!(f, "\nVerdict: ok"),
            1 => writeln!(f, "\nVerdict: 1 warning"),
            count => writeln!(f, "\nVerdict: {count} warnings"),
        }?;
        self.warnings.iter().zip(1..).try_for_each(|(warning, i)| writeln!(f, "  {i}. {warning}"))
    }
}
