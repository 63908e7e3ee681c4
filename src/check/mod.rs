//! Checks of observations as they are read: what is surely wrong is refused, what is odd is told once, and what
//! the operator hides is set to 0, so that neither a network nor a score can see it.

mod inspection;
mod mask;
mod noise;
mod repeated;
mod scale;
mod survey;
mod tally;
mod told;

pub use inspection::Inspection;
pub use noise::Noise;
pub use repeated::Repeated;
pub use survey::Survey;

use crate::channel::Channel;
use crate::error::{Error, Result, Warning};
use crate::samples::Samples;
use tally::Tally;
use told::{Y, first_of, value_at};

impl Inspection {
    /// What is odd about the scale of signals `x [n, d]` that are not observations, such as a truth.
    pub fn of_signals(&self, x: &Samples) -> Option<Warning> {
        scale::of_signals(x, self)
    }
}

/// Checks the values of `y [n, m]` and `a [n, k]`, whose shapes fit `channel`, and sets to 0 what `a` hides in `y`.
///
/// # Errors
/// A mask with other values than 0 and 1, or an inverted one; a number that is not finite where the operator shows
/// the signal; for training, observations without any spread.
pub(crate) fn inspect(
    channel: &dyn Channel,
    y: &mut Samples,
    a: Option<&Samples>,
    inspection: &Inspection,
) -> Result<Vec<Warning>> {
    let Some(tally) = tallied(channel, y, a)? else { return Ok(Vec::new()) };
    if let Some(shape) = inspection.image {
        mask::check_order(channel, &tally, (y, a), shape)?;
    }
    check_finite(&tally, y)?;
    if inspection.training {
        check_spread(&tally, y)?;
    }
    let mut warnings = mask::warnings(&tally, y, inspection.training);
    warnings.extend(scale::warning(channel, &tally, a, inspection));
    clear(channel, &tally, y, a);
    if inspection.training {
        warnings.extend(Survey::of_tally(channel, &tally, (y, a), inspection).warnings());
    }
    Ok(warnings)
}

/// What `y [n, m]` and `a [n, k]` hold, which [`inspect`] did not refuse; `None` where there are no values.
pub(crate) fn survey(
    channel: &dyn Channel,
    seen: (&Samples, Option<&Samples>),
    inspection: &Inspection,
) -> Option<Survey> {
    let (y, a) = seen;
    (y.d() > 0 && y.n() > 0).then(|| Survey::of_tally(channel, &Tally::of(channel, y, a), seen, inspection))
}

/// The part of [`inspect`] that every reader needs. It is apart so that a browser does not load the rest.
pub(crate) fn clean(channel: &dyn Channel, y: &mut Samples, a: Option<&Samples>) -> Result<()> {
    let Some(tally) = tallied(channel, y, a)? else { return Ok(()) };
    check_finite(&tally, y)?;
    clear(channel, &tally, y, a);
    Ok(())
}

/// Checks the masks and counts what they show; `None` where there are no values.
fn tallied(channel: &dyn Channel, y: &Samples, a: Option<&Samples>) -> Result<Option<Tally>> {
    if let Some(a) = a {
        mask::check(channel, a)?;
    }
    if y.d() == 0 || y.n() == 0 {
        return Ok(None);
    }
    let tally = Tally::of(channel, y, a);
    mask::check_inverted(&tally)?;
    Ok(Some(tally))
}

fn clear(channel: &dyn Channel, tally: &Tally, y: &mut Samples, a: Option<&Samples>) {
    if tally.beyond.is_some() || tally.lost > 0 {
        tally::clear(channel, y, a);
    }
}

fn check_finite(tally: &Tally, y: &Samples) -> Result<()> {
    let Some(place) = tally.broken else { return Ok(()) };
    let advice = match tally.masked {
        true => "mark it as missing (0 in `a` and in `y`), or remove that row",
        false => "repair or remove that row",
    };
    let (value, others) = (value_at(y, place), first_of(tally.broken_count));
    Err(Error::values(Y, format!("{value}{others}; expected finite numbers wherever the signal is seen: {advice}")))
}

fn check_spread(tally: &Tally, y: &Samples) -> Result<()> {
    let refuse = |message: String| Err(Error::values(Y, message));
    if tally.seen.count == 0 {
        return refuse("all values are missing (0 in `a`), so there is nothing to learn from: check the mask".into());
    }
    if tally.seen.is_constant() {
        let least = tally.seen.least + 0.0;
        return refuse(format!("all values that are seen are {least}: there is no spread to learn, check the file"));
    }
    if y.n() > 1 && y.rows().all(|row| row == y.row(0)) {
        return refuse("all rows are the same: there is no spread to learn, check the file".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
