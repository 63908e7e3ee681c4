//! Data: tensor files and images (a format a file), observations checked against a channel, and built-in signals.

mod cifar10;
pub mod digits;
mod dtype;
mod folder;
mod idx;
pub mod image_set;
pub mod mapped;
pub mod masked;
mod npz;
pub mod observations;
#[cfg(feature = "parquet")]
mod parquet_images;
mod picture;
pub mod pixels;
mod safetensors_file;
pub mod sources;
pub mod tensor;
#[cfg(test)]
mod untrusted;
pub mod values;

pub use cifar10::SHAPE as CIFAR10;
pub use idx::FASHION_MNIST;
