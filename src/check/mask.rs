//! Masks: zeros and ones, where 1 means seen.

use super::tally::{Hidden, Span, Tally, operator};
use super::told::{A, Y, first_of, value_at};
use crate::channel::Channel;
use crate::error::{Error, Result, Warning};
use crate::image::ImageShape;
use crate::samples::Samples;

/// Smallest number of seen values from which a mask can be called inverted.
const MIN_VALUES: usize = 8;
/// Distinct values of a mask that are told apart.
const DISTINCT: usize = 4;
/// Rows in which the order of colors is looked for.
const ROWS: usize = 64;

/// Refuses operators that are not finite and masks that hold anything but 0 and 1.
pub(super) fn check(channel: &dyn Channel, a: &Samples) -> Result<()> {
    let find = |wrong: &dyn Fn(usize, f32) -> bool| {
        let in_row = |row: &[f32]| row.iter().enumerate().position(|(j, v)| wrong(j, *v));
        a.rows().enumerate().find_map(|(i, row)| in_row(row).map(|j| (i, j)))
    };
    if let Some(place) = find(&|_, v| !v.is_finite()) {
        let message = format!("{}; expected finite numbers: repair or remove that row", value_at(a, place));
        return Err(Error::values(A, message));
    }
    for mask in channel.masks() {
        if let Some(place) = find(&|j, v| mask.contains(&j) && v != 0.0 && v != 1.0) {
            let values = a.rows().flat_map(|row| row[mask.clone()].iter().copied());
            let message = format!(
                "{}; a mask holds 0 where a value is missing and 1 where it is seen. {}",
                value_at(a, place),
                remedy(values)
            );
            return Err(Error::values(A, message));
        }
    }
    Ok(())
}

/// What to do about a mask with these values.
fn remedy(values: impl Iterator<Item = f32>) -> String {
    let (mut distinct, mut least, mut greatest) = (Vec::new(), f32::INFINITY, f32::NEG_INFINITY);
    for v in values {
        (least, greatest) = (least.min(v), greatest.max(v));
        if distinct.len() < DISTINCT && !distinct.contains(&v) {
            distinct.push(v);
        }
    }
    match (distinct.len(), least, greatest) {
        (1 | 2, 0.0, most) => format!("It holds 0 and {most}: divide it by {most}"),
        (1 | 2, -1.0, 0.0) => "It holds -1 and 0: save `-a` if -1 means seen".into(),
        (2, -1.0, 1.0) => "It holds -1 and 1: save `(a + 1) / 2` if 1 means seen".into(),
        (_, 0.0.., ..=1.0) => format!(
            "It holds values between {least} and {greatest}, as a mask that was resized or smoothed: save `a > 0.5`, \
             and 0 in `y` where that is false"
        ),
        (_, 0.0.., most) => format!("It holds values up to {most}: divide it by {most} and save `a > 0.5`"),
        _ => format!("It holds values from {least} to {greatest}: save 1 where a value is seen, 0 elsewhere"),
    }
}

/// Refuses an inverted mask, under which y says nothing.
pub(super) fn check_inverted(tally: &Tally) -> Result<()> {
    let says_nothing = match tally.seen.count {
        0 => tally.broken_count >= MIN_VALUES,
        count => (tally.seen.is_constant() || tally.sees_noise()) && count >= MIN_VALUES,
    };
    let varies = tally.hidden.count > 0 && !tally.hidden.is_constant() && tally.beyond.is_some();
    if says_nothing && varies {
        let fill = match tally.seen.count {
            0 => "NaN".to_string(),
            _ if tally.seen.is_constant() => format!("{}", tally.seen.least + 0.0), // Not -0.
            _ => "noise".to_string(),
        };
        let message = format!(
            "the mask is inverted: y is {fill} wherever a = 1, and varies where a = 0. 1 means seen: save `1 - a`"
        );
        return Err(Error::values(A, message));
    }
    Ok(())
}

/// Refuses pictures of `shape` whose colors come last: y has values under the mask, but none if it is read so.
pub(super) fn check_order(
    channel: &dyn Channel,
    tally: &Tally,
    (y, a): (&Samples, Option<&Samples>),
    shape: ImageShape,
) -> Result<()> {
    let (colors, pixels) = (shape.channels, shape.pixels());
    if colors < 2 || y.d() != shape.len() || tally.beyond_count * 10 < tally.hidden.count || tally.beyond_count == 0 {
        return Ok(());
    }
    let mut hidden = Hidden::new(channel);
    for i in 0..ROWS.min(y.n()) {
        let (hidden, y) = (hidden.of(operator(a, i)), y.row(i));
        let is_hidden = |p: usize| (0..colors).all(|c| hidden[c * pixels + p].is_finite());
        if (0..pixels).any(|p| is_hidden(p) && y[p * colors..][..colors].iter().any(|v| *v != 0.0)) {
            return Ok(());
        }
    }
    let ImageShape { channels, height, width } = shape;
    Err(Error::values(
        Y,
        format!(
            "the rows are flattened as [height, width, channels]: only so is y 0 wherever a = 0. Expected channel by \
             channel: save `y.reshape(-1, {height}, {width}, {channels}).transpose(0, 3, 1, 2)`"
        ),
    ))
}

/// What is odd about a mask that may yet be right.
pub(super) fn warnings(tally: &Tally, y: &Samples, training: bool) -> Vec<Warning> {
    let under = tally.beyond.map(|place| {
        let (value, others) = (value_at(y, place), first_of(tally.beyond_count));
        format!("{value}{others} where `a` says that nothing is seen; they are read as 0. Save 1 in `a` if they were measured")
    });
    let blank = tally.blank.map(|row| {
        let others = first_of(tally.blank_count);
        format!("row {row}{others} shows nothing: all of it is missing. Leave such rows out")
    });
    let hidden = |column: &Span| column.count == 0;
    let unseen = tally.columns.iter().filter(|column| hidden(column)).count();
    let unseen = tally.columns.iter().position(hidden).filter(|_| training).map(|column| {
        let others = first_of(unseen);
        format!("value {column}{others} is missing in every row: nothing can be learned about it. Check the mask")
    });
    [under, blank, unseen].into_iter().flatten().map(|message| Warning { what: Y, message }).collect()
}
