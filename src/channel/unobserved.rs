//! A channel that shows nothing.

use super::Channel;
use crate::noise::Stream;

/// y has length 0 for every x: the posterior given nothing is the prior. With this channel, the code that
/// trains and samples a posterior trains and samples an unconditional denoiser, a network without
/// condition features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unobserved {
    d: usize,
}

impl Unobserved {
    /// Creates the channel for signals of length `d`.
    pub fn new(d: usize) -> Self {
        Self { d }
    }
}

impl Channel for Unobserved {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        0
    }

    fn observe(&self, _x: &[f32], _a: &[f32], _stream: &mut Stream, _y: &mut [f32]) {}
}
