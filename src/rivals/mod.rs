//! The methods that DiffEM is compared with, on the same denoisers, samplers and channels.

mod ambient;
mod mmps;
mod whitened;

pub use ambient::AmbientConfig;
pub(crate) use ambient::{Masked, write_seen};
pub use mmps::{Mmps, MmpsConfig};
pub use whitened::Whitened;
