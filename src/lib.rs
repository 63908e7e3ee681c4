//! DiffEM
#![warn(missing_docs)]

pub mod channel;
pub mod checkpoint;
pub mod conditioning;
pub mod denoiser;
pub mod em;
pub mod error;
pub mod frame;
pub mod gaussian;
mod kernels;
pub mod metric;
pub mod network;
pub mod noise;
mod observations;
pub mod optim;
mod parallel;
pub mod sampler;
mod samples;
pub mod schedule;

pub use error::{Error, Result};
pub use observations::Observations;
pub use samples::Samples;
