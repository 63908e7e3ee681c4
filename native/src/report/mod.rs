//! What a run reports while it works: progress, event files for TensorBoard, and the page.

pub mod phase;
pub mod progress;
pub mod server;
pub mod tensorboard;
pub mod units;
