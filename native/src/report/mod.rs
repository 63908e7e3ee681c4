//! What a run shows of itself: figures, event files for TensorBoard, and progress.

pub mod axis;
pub mod calibration;
pub mod canvas;
pub mod corner;
pub mod curves;
pub mod fan;
pub mod figures;
pub mod grid;
pub mod legend;
pub mod loss;
pub mod phase;
pub mod progress;
pub mod tensorboard;
pub mod tiles;
pub mod units;
