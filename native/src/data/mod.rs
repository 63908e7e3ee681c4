//! Data: tensor files and images (one module per format), observations checked against a channel, and
//! built-in signals.

pub mod cifar10;
mod complex;
#[cfg(test)]
pub mod damage;
pub mod digits;
mod dtype;
pub mod fit;
mod fits;
pub mod folder;
pub mod formats;
mod hdf5;
pub mod idx;
pub mod image_set;
pub mod layout;
mod listing;
pub mod mapped;
pub mod masked;
mod npy;
mod npz;
pub mod observations;
#[cfg(feature = "parquet")]
mod parquet_images;
pub mod parts;
mod picture;
mod pieces;
pub mod pixels;
mod safetensors_file;
mod stack;
pub mod tensor;
pub mod tensor_file;
#[cfg(test)]
mod untrusted;
#[cfg(test)]
mod untrusted_images;
#[cfg(test)]
mod untrusted_science;
mod values;
