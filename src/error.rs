//! Errors, with messages that say how to fix them.

/// Errors of the core. Every message names the field or tensor, what was expected and, where it
/// helps, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside its range.
    #[error("{field}: {message}")]
    Config {
        /// Dotted name of the setting, such as `sampler.steps`.
        field: String,
        /// What was found and what was expected.
        message: String,
    },
    /// Arrays that belong together do not fit.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The array.
        what: String,
        /// The expected shape or count.
        expected: String,
        /// The shape or count found.
        found: String,
    },
    /// An array holds values that it cannot hold.
    #[error("{what}: {message}")]
    Values {
        /// The array.
        what: String,
        /// The first such value and its place, what was expected, and what to do.
        message: String,
    },
    /// The channel has no linear-Gaussian form, which the requested operation needs.
    #[error(
        "the channel is not linear with Gaussian noise, which {0} needs; choose another start, such as \"corrupted\""
    )]
    NotLinear(&'static str),
    /// A score could not be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A checkpoint cannot be read.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// The training loss stopped being finite.
    #[error(
        "the loss became {loss} at lap {lap}, step {step}: training has diverged; train anew with a lower m_step.learning_rate, \
         or check the observations' scale (the schedule assumes a standard deviation near 1)"
    )]
    Diverged {
        /// Lap, counted from 1.
        lap: usize,
        /// M-step step, counted from 0.
        step: usize,
        /// The offending value.
        loss: f32,
    },
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// A table of reconstructions cannot be stored.
    #[error("{0}")]
    Storage(String),
    /// Ranks cannot go on together.
    #[error("{0}")]
    Rank(String),
    /// Another rank, of this number, has an error of its own.
    #[error("rank {0} cannot go on; its own message says why")]
    OtherRank(usize),
    /// The observer asked to stop.
    #[error("stopped on request")]
    Stopped,
}

/// Why a score could not be computed. `set` is the name of the argument at fault.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // The messages say what the fields are.
#[non_exhaustive]
pub enum MetricError {
    /// A set has too few rows.
    #[error("`{set}` has {found} rows, at least {needed} are needed: pass more samples")]
    TooFew { set: &'static str, found: usize, needed: usize },
    /// Rows of different lengths.
    #[error("rows of `{set}` have {found} values, those of `u` {expected}: compare points in the same space")]
    Dimension { set: &'static str, expected: usize, found: usize },
    /// A NaN or an infinity among the values.
    #[error("row {row} of `{set}` holds a NaN or an infinity: drop it or find where it comes from")]
    NonFinite { set: &'static str, row: usize },
    /// A direction that is not a unit vector.
    #[error("row {row} of `directions` has norm {norm}, expected 1: normalize it")]
    NotUnit { row: usize, norm: f64 },
    /// A setting outside its range.
    #[error("`{name}` is {value}, expected {expected}")]
    Setting { name: &'static str, value: f64, expected: &'static str },
    /// The images are smaller than the SSIM window.
    #[error(
        "images of {height} x {width} pixels are smaller than the window of {window} x {window}: SSIM is not defined for them"
    )]
    SmallImage { height: usize, width: usize, window: usize },
    /// The observer asked to stop.
    #[error("stopped by the caller after {iteration} iterations")]
    Stopped { iteration: usize },
}

impl Error {
    /// A setting outside its range.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { field: field.into(), message: message.into() }
    }

    /// An array with values that it cannot hold.
    pub fn values(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Values { what: what.into(), message: message.into() }
    }

    /// Arrays that do not fit.
    pub fn shape(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Shape { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

/// Something odd about an array that does not stop a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {message}")]
pub struct Warning {
    /// The array.
    pub what: &'static str,
    /// What is odd, where it is first seen, and what to do.
    pub message: String,
}

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;
