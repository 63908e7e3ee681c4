//! Observations as images of the signal's shape.

use super::chart::tiles::{Shape, Tile, known};
use crate::run::session::Session;
use diffem::channel::Channel;
use diffem::{Observations, Samples};

/// Some observations at the resolution of their signals, such as the image whose missing frequencies are 0.
pub struct Observed {
    images: Samples,
    /// Which pixels masks leave, one list per image; empty without a mask.
    known: Vec<Vec<bool>>,
}

impl Observed {
    /// The observations at the places `chosen` of `seen`; `None` where the channel gives no image of the signal.
    pub fn of(session: &Session, seen: &Observations, chosen: &[usize], shape: Shape) -> Option<Self> {
        let channel = session.channel.as_ref();
        if !channel.lifts() {
            return None;
        }
        let images = seen.select(chosen).lifted(channel);
        // Masks of other things than pixels, such as frequencies, say nothing of a pixel.
        let masks = session.config.channel.0.iter().any(|stage| stage.as_stage().is_mask());
        let left = |&i: &usize| if masks { known(seen.operator(i), shape) } else { Vec::new() };
        Some(Self { images, known: chosen.iter().map(left).collect() })
    }

    /// The image of observation `k` of those that were chosen.
    pub fn tile(&self, k: usize) -> Tile<'_> {
        let known = Some(self.known[k].as_slice()).filter(|known| !known.is_empty());
        Tile { values: self.images.row(k), known }
    }
}
