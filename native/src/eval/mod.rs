//! Evaluation of a run: restorations of test signals, baselines, and features of pretrained networks.

pub mod baselines;
pub mod calibration;
pub mod channel_override;
pub mod compare;
pub mod conformance;
pub mod draws;
pub mod evaluation;
pub mod features;
mod reference;
pub mod report;
pub mod restoration;
