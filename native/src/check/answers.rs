//! The answers that take no training: what the numbers are.

use crate::config::Config;
use crate::estimate::Estimate;
use crate::report::units::{count, duration};
use crate::run::clean::CleanUse;
use diffem::image::{PIXEL_MAX, PIXEL_MIN};
use diffem::{Observations, Survey};

type Answers = Vec<String>;

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

pub fn counts(config: &Config, observations: &Observations, clean: Option<CleanUse>) -> Answers {
    let n = observations.n();
    let of = match config.image_shape() {
        Some(shape) => format!("images of {} x {} x {}", shape.channels, shape.height, shape.width),
        None => format!("signals of {} values", config.signal_len()),
    };
    let held_out = (n as f64 * config.monitor.holdout) as usize;
    let values = observations.y.d();
    let mut answers = vec![
        format!("{} observations of {of}, each with {values} values", count(n as u64)),
        match held_out {
            0 => "none is held out, so the last lap counts (monitor.holdout = 0)".into(),
            _ => format!("{} of them are held out, and choose the lap", count(held_out as u64)),
        },
    ];
    answers.extend(clean.map(|clean| clean.to_string()));
    answers
}

pub fn scale(config: &Config, survey: &Survey) -> Answers {
    let [least, greatest] = survey.range;
    let found =
        format!("mean {:.3}, standard deviation {:.3}, values in [{least:.3}, {greatest:.3}]", survey.mean, survey.std);
    let pixels = config.image_shape().map(|_| [f64::from(PIXEL_MIN), f64::from(PIXEL_MAX)]);
    let expected = match config.conditioning.range.or(pixels) {
        Some([low, high]) => format!("signals are expected in [{low}, {high}]"),
        None => format!("signals are expected to have a standard deviation near {}", config.schedule.sigma_data),
    };
    vec![found, expected]
}

pub fn missing(survey: &Survey, observations: &Observations) -> Answers {
    if survey.missing == 0.0 {
        return vec!["nothing".into()];
    }
    let [(fewest, least), (most, greatest)] = survey.missing_by_value;
    let ([few, many], values) = (survey.shown, observations.y.d());
    vec![
        format!("{} of all values", percent(survey.missing)),
        format!("{} (value {fewest}) to {} (value {most}) of the rows by value", percent(least), percent(greatest)),
        format!("{} to {} of {values} values by row", values - many, values - few),
    ]
}

pub fn noise(survey: &Survey) -> Answers {
    let Some(noise) = survey.noise else {
        return vec!["not known: the channel is not linear with Gaussian noise".into()];
    };
    let stated = match noise.stated {
        Some(stated) => format!("the channel says a standard deviation of {stated:.3}"),
        None => "the channel's noise differs between values".into(),
    };
    let found = match (noise.details, noise.stated) {
        (Some([_, middle, _]), _) => format!("at most about {middle:.3}, by the differences of neighboring pixels"),
        (None, Some(_)) => "no value may vary by less than that".into(),
        (None, None) => "it is not compared with the observations".into(),
    };
    vec![stated, found]
}

pub fn constant(survey: &Survey) -> Answers {
    match survey.constant {
        None => vec!["yes".into()],
        Some((first, 1)) => vec![format!("value {first} does not")],
        Some((first, others)) => vec![format!("{} do not, value {first} is the first", count(others as u64))],
    }
}

pub fn repeated(survey: &Survey) -> Answers {
    match &survey.repeated {
        None => vec!["no".into()],
        Some(repeated) => {
            let (i, j) = repeated.first;
            vec![format!("{} repeat an earlier one, row {j} row {i} first", count(repeated.count as u64))]
        }
    }
}

pub fn enough(parameters: u64, survey: &Survey) -> Answers {
    let seen = survey.seen as u64;
    vec![format!(
        "{} numbers are seen, for {} parameters: {:.1} for each number",
        count(seen),
        count(parameters),
        parameters as f64 / seen as f64
    )]
}

pub fn time(estimate: &Estimate) -> Answers {
    let [lap, all] = [estimate.seconds_per_lap, estimate.seconds].map(|time| time.map_or("-".into(), duration));
    let laps = if estimate.laps == 1 { "1 lap".to_string() } else { format!("{} laps", estimate.laps) };
    vec![format!(
        "{lap} per lap, {all} for {laps}, on {} with {} workers (measured)",
        estimate.device, estimate.workers
    )]
}
