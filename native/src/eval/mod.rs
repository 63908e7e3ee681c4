//! Judging a run: restorations of test signals, baselines, and features of pretrained networks.

pub mod baselines;
pub mod channel_override;
pub mod features;
pub mod report;
pub mod restoration;
