//! Cost of a lap in network passes, so that methods can be compared at equal budgets.

use crate::run::session::Session;

/// Number of signals that pass through the network in one lap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Forward passes.
    pub forward: u64,
    /// Backward passes, in training and for Jacobians.
    pub backward: u64,
}

impl Passes {
    /// The passes of one lap of `session`.
    pub fn of(session: &Session) -> Self {
        let c = &session.config;
        let trained = (c.m_step.steps * c.m_step.batch) as u64;
        let sampled = (c.e_step.sampler.calls() * session.dataset.observations.n()) as u64;
        let jacobians = c.method.jacobians_per_call() as u64 * sampled;
        Self { forward: trained + sampled.max(jacobians), backward: trained + jacobians }
    }
}
