//! Reports of a run: progress, event files for TensorBoard, and the server of the page.

pub mod phase;
pub mod progress;
pub mod server;
pub mod tensorboard;
pub mod units;
