//! What a run reports while it works: progress, and event files for TensorBoard.

pub mod phase;
pub mod progress;
pub mod tensorboard;
pub mod units;
