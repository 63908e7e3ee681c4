//! Feature networks: pretrained weights that the user brings, images in, feature vectors and class logits out.

pub mod bicubic;
pub mod efficientnet_lite0;
pub mod scores;
pub mod weights;
