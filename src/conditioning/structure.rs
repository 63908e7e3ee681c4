//! What form the operators of a channel take, and what the network is therefore shown.

use super::config::{ConditioningConfig, Features};
use super::measurement::{MAX_DENSE, OperatorStructure};
use super::shared;
use super::standardizer::Standardizer;
use crate::channel::{Channel, LinearChannel, SpectralChannel};
use crate::samples::Samples;

pub(super) fn spectral(channel: &dyn Channel) -> Option<&dyn SpectralChannel> {
    channel.as_linear()?.as_spectral()
}

pub(super) fn geometric(channel: &dyn Channel, config: &ConditioningConfig) -> bool {
    let dense = channel.as_linear().is_some_and(|linear| !linear.is_diagonal() && linear.as_spectral().is_none());
    dense && channel.signal_len() <= MAX_DENSE && config.features == Features::Geometry
}

/// True where the network is shown the regularized inverse of an observation in place of y.
pub(super) fn shows_solution(channel: &dyn Channel, config: &ConditioningConfig) -> bool {
    let solved = |linear: &dyn LinearChannel| {
        !linear.is_diagonal() && (linear.as_spectral().is_some() || linear.signal_len() > MAX_DENSE)
    };
    config.features == Features::Geometry && channel.as_linear().is_some_and(solved)
}

/// Number of features per observation that a posterior network receives.
pub fn feature_len(channel: &dyn Channel, config: &ConditioningConfig) -> usize {
    let d = channel.signal_len();
    if geometric(channel, config) {
        d + d * (d + 1) / 2
    } else if shows_solution(channel, config) {
        d + channel.operator_feature_len()
    } else {
        channel.condition_len()
    }
}

/// Structure of the operator A of one observation for the measurement update, in the coordinates
/// of `standardizer`. Only the coordinates of a posterior know the operator that its observations share.
pub(crate) fn operator_structure(channel: &dyn Channel, standardizer: &Standardizer) -> OperatorStructure {
    match channel.as_linear() {
        Some(linear) if linear.is_diagonal() && standardizer.is_diagonal() => OperatorStructure::Diagonal,
        Some(linear) if linear.as_spectral().is_some() && standardizer.uniform().is_some() => {
            OperatorStructure::Spectral
        }
        Some(linear) if linear.signal_len() <= MAX_DENSE => OperatorStructure::Dense,
        Some(_) if standardizer.shares(channel) => OperatorStructure::Shared,
        Some(_) => OperatorStructure::MatrixFree,
        None => OperatorStructure::None,
    }
}

/// Structure of the operators of `channel` for the measurement update, as it will be in the coordinates that `config` asks
/// for; [`OperatorStructure::None`] for channels that are not linear with Gaussian noise.
pub fn structure_for(channel: &dyn Channel, config: &ConditioningConfig) -> OperatorStructure {
    // Coordinates of different scales: what has one scale then has it by design.
    let d = channel.signal_len();
    let spread = (0..2 * d).map(|i| (1.0 + (i % d) as f32) * if i < d { 1.0 } else { -1.0 });
    let x = Samples::new(spread.collect(), d);
    match operator_structure(channel, &config.standardizer(channel, &x)) {
        OperatorStructure::MatrixFree if shared::applies(channel) => OperatorStructure::Shared,
        structure => structure,
    }
}
