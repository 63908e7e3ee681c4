//! Observations through a channel that differs from that of training, for example in its rate or noise.

use crate::config::Config;
use crate::config::stages::{check_known, stages};
use crate::run::dataset::observe_test;
use crate::run::session::Session;
use anyhow::{Context, Result, ensure};
use diffem::channel::{Channel, Compose};

/// Shapes of the network's inputs for one observation.
#[derive(PartialEq)]
struct Fed {
    observation: usize,
    operator: Vec<usize>,
    features: usize,
}

impl Fed {
    fn by(channel: &Compose, config: &Config) -> Self {
        let operator = if channel.operator_len() == 0 { Vec::new() } else { channel.operator_shape() };
        Self {
            observation: channel.observation_len(),
            operator,
            features: config.method.feature_len(channel, &config.conditioning),
        }
    }

    fn words(&self) -> String {
        let Self { observation, operator, features } = self;
        format!(
            "observations of {observation} values, operators of shape {operator:?} and {features} features for the network"
        )
    }
}

/// Treats the observations of `session` as observations through the channel `text`, and observes the test
/// signals through that channel.
///
/// # Errors
/// Fails if the inputs of the network would have other shapes.
pub fn see_through(session: &mut Session, text: &str) -> Result<()> {
    let config = Config { channel: stages(text)?, ..session.config.clone() };
    check_known(&config.channel, "--channel")?;
    let channel = config.build_channel().context("--channel")?;
    let [new, old] = [&channel, session.channel.as_ref()].map(|channel| Fed::by(channel, &config));
    ensure!(
        new == old,
        "--channel: it gives {}; the run was trained with {}: expected the same, or train another run for that channel",
        new.words(),
        old.words()
    );
    if let Some((x, seen)) = &mut session.dataset.truth.test {
        *seen = observe_test(&config, &channel, x);
    }
    session.see_through(config, channel)
}
