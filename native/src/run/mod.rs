//! Runs: the directory, the data, training from the last saved state, and exports.

pub mod clean;
pub mod corruption;
pub mod dataset;
pub mod dir;
pub mod export;
mod follower;
pub mod images;
pub mod init;
pub mod job;
pub mod laps;
mod making;
pub mod metrics;
mod names;
pub mod noise;
pub mod pictures;
pub mod prior;
pub mod session;
pub mod sizes;
mod store;
pub mod summary;
pub mod together;
pub mod train;
