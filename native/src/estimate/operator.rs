//! How the observations update the network's estimates, in words.

use crate::config::Config;
use diffem::channel::Channel;
use diffem::conditioning::{OperatorStructure, structure_for};
use diffem::method::Method;

/// The form in which the operators of `channel` take part in the measurement update of a run, or why they do not.
pub fn describe(config: &Config, channel: &dyn Channel) -> String {
    if !matches!(config.method, Method::Diffem(_)) {
        return "as the method has it".into();
    }
    if !config.conditioning.measurement_update {
        return "none: conditioning.measurement_update = false".into();
    }
    let exact = channel.as_linear().is_none_or(|linear| linear.is_exact());
    let variance = if exact { "" } else { "; approximate, with the mean variance of each observation" };
    let form = match structure_for(channel, &config.conditioning) {
        OperatorStructure::Diagonal => "diagonal, one number per value".to_string(),
        OperatorStructure::Spectral => "diagonal in a basis of images, one number per coefficient".into(),
        OperatorStructure::Dense => "a matrix per observation".into(),
        OperatorStructure::Shared => "one matrix for all observations, one number per direction that it sees".into(),
        OperatorStructure::MatrixFree => {
            let most = config.conditioning.solver.iterations;
            format!("conjugate gradient, at most {most} iterations (conditioning.solver)")
        }
        _ => "none: the channel is not linear with Gaussian noise, so the network alone learns from y".into(),
    };
    form + variance
}
