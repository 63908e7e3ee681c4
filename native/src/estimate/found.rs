//! What a training found and how long it will take, in one line before it starts.

use super::Estimate;
use super::enough::too_small;
use crate::report::progress::{Progress, ProgressMode};
use crate::report::units::{count, duration};
use crate::run::dataset::inspection;
use crate::run::session::Session;
use anyhow::Result;
use diffem::Observations;

/// Seconds over which each part is timed: less than for an estimate that was asked for.
const PATIENCE: f64 = 0.1;

/// Says what the training of `session` found, unless `mode` is quiet.
pub fn announce(session: &Session, mode: ProgressMode) -> Result<()> {
    if mode != ProgressMode::Quiet {
        let mut progress = Progress::new(mode);
        progress.message(&found(session)?);
        let survey = session.dataset.observations.survey(session.channel.as_ref(), &inspection(&session.config, true));
        let warning = survey.and_then(|survey| too_small(session.layout.len() as u64, survey.seen as u64));
        warning.iter().for_each(|warning| progress.message(&format!("warning: {warning}")));
    }
    Ok(())
}

/// Describes the observations of `session` and times a few steps of its training.
fn found(session: &Session) -> Result<String> {
    let (config, observations) = (&session.config, &session.dataset.observations);
    let n = observations.n();
    let estimate = Estimate::make(config, &session.device, session.device_name.clone(), Ok(n), (PATIENCE, false))?;
    let values = match session.image_shape() {
        Some(shape) => format!("of images of {} x {} x {}", shape.channels, shape.height, shape.width),
        None => format!("of signals of {} values", config.signal_len()),
    };
    let laps = if config.em.laps == 1 { "lap" } else { "laps" };
    let time = estimate.seconds.map_or(String::new(), |all| {
        format!("; about {} for {} {laps} of {} steps", duration(all), config.em.laps, config.m_step.steps)
    });
    let clean = session.clean_use().map_or(String::new(), |clean| format!("; {clean}"));
    let advice = estimate.shorter().map_or(String::new(), |advice| format!("\n{advice}"));
    Ok(format!("found {} observations {values}: {}{clean}{time}{advice}", count(n as u64), seen(observations)))
}

/// The share of missing values, where operators are masks, and the range of the others.
fn seen(observations: &Observations) -> String {
    let masks = observations.a.as_ref().filter(|a| a.as_slice().iter().all(|a| *a == 0.0 || *a == 1.0));
    let masks = masks.filter(|a| observations.y.d().is_multiple_of(a.d()));
    let (mut least, mut most, mut hidden) = (f32::INFINITY, f32::NEG_INFINITY, 0usize);
    for i in 0..observations.n() {
        let mask = masks.map_or(&[1.0][..], |a| a.row(i));
        for (value, seen) in observations.y.row(i).iter().zip(mask.iter().cycle()) {
            match *seen == 0.0 {
                true => hidden += 1,
                false => (least, most) = (least.min(*value), most.max(*value)),
            }
        }
    }
    let all = observations.n() * observations.y.d();
    let range = if least > most { "nothing observed".into() } else { format!("values in [{least:.3}, {most:.3}]") };
    match masks {
        Some(_) => format!("{:.1} % of the values missing, {range}", 100.0 * hidden as f64 / all.max(1) as f64),
        None => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::Samples;

    #[test]
    fn missing_values_do_not_count_to_the_range() {
        let table = |values: &[f32], d: usize| Samples::new(values.to_vec(), d);
        // Two pixels of two colors; the second pixel of the second row is missing.
        let y = table(&[1.0, 2.0, 1.5, 1.0, 1.0, 0.0, 1.25, 0.0], 4);
        let masked = Observations { y: y.clone(), a: Some(table(&[1.0, 1.0, 1.0, 0.0], 2)) };
        assert_eq!(seen(&masked), "25.0 % of the values missing, values in [1.000, 2.000]");
        assert_eq!(seen(&Observations { y: y.clone(), a: None }), "values in [0.000, 2.000]");
        let projected = Observations { y, a: Some(table(&[0.6, 0.8, 0.0, 1.0], 2)) };
        assert_eq!(seen(&projected), "values in [0.000, 2.000]");
    }
}
