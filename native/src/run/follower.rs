//! What a rank does that neither writes nor speaks while it trains.

use crate::ranks::world;
use diffem::em::{Event, Observer, State};
use std::ops::ControlFlow;

/// The observer of such a rank, which asks the others whether to stop.
pub struct Follower;

impl Observer for Follower {
    fn on_event(&mut self, _: Event<'_>, _: &State) -> ControlFlow<()> {
        if world().stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
