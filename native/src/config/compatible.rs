//! Whether two configurations describe the same run.

use crate::config::Config;
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Returns an error if two configurations describe different runs. The number of laps, patience and reporting
/// may differ.
pub fn same_run(saved: &Config, current: &Config) -> Result<()> {
    match difference_of(saved, current)? {
        None => Ok(()),
        Some(difference) => bail!(
            "{difference}; in a run that has begun only em.laps, em.patience and report.* may change: train another with \
             `diffem train`"
        ),
    }
}

/// The first setting in which two configurations differ, apart from the number of laps, patience and
/// reporting; `None` if they agree.
pub fn difference_of(saved: &Config, current: &Config) -> Result<Option<String>> {
    let mut saved = saved.clone();
    (saved.em.laps, saved.em.patience, saved.report) = (current.em.laps, current.em.patience, current.report.clone());
    if &saved == current {
        return Ok(None);
    }
    let (a, b) = (toml::Table::try_from(&saved)?, toml::Table::try_from(current)?);
    Ok(Some(difference("", &a, &b).unwrap_or("another configuration".to_string())))
}

/// The first setting that differs, with both values.
fn difference(prefix: &str, saved: &toml::Table, current: &toml::Table) -> Option<String> {
    let keys: BTreeSet<&String> = saved.keys().chain(current.keys()).collect();
    let show = |value: Option<&toml::Value>| value.map_or("nothing".to_string(), ToString::to_string);
    keys.into_iter().find_map(|key| match (saved.get(key), current.get(key)) {
        (a, b) if a == b => None,
        (Some(toml::Value::Table(a)), Some(toml::Value::Table(b))) => difference(&format!("{prefix}{key}."), a, b),
        (a, b) => Some(format!("{prefix}{key} was {} and is now {}", show(a), show(b))),
    })
}
