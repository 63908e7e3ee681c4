//! Data: tensor files (a format a file), observations checked against a channel, and built-in signals.

pub mod digits;
mod dtype;
pub mod manifold;
mod npz;
pub mod observations;
mod safetensors_file;
pub mod tensors;
#[cfg(test)]
mod untrusted;
pub mod values;
