//! The methods that DiffEM is compared with, on the same denoisers, samplers and channels.

mod ambient;
mod em_mmps;

pub use ambient::AmbientConfig;
pub(crate) use ambient::{Masked, write_seen};
pub use em_mmps::{Mmps, MmpsConfig};
