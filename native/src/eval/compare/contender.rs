//! One of the compared methods.

use crate::args::Compare;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// A method: its name and the settings that define it.
#[derive(Debug)]
pub struct Contender {
    pub name: String,
    pub settings: Vec<String>,
}

impl Contender {
    /// Parses `NAME KEY=VALUE ...`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace().map(str::to_string);
        let name = words.next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            bail!("--contender {text:?}: expected a name of letters, digits, - and _, then settings KEY=VALUE");
        }
        let settings: Vec<String> = words.collect();
        match settings.iter().find(|setting| !setting.contains('=')) {
            Some(setting) => {
                bail!("--contender {text:?}: expected settings KEY=VALUE after the name, found {setting:?}")
            }
            None => Ok(Self { name, settings }),
        }
    }

    /// Settings of one run, in which `{out}` and `{seed}` are replaced by their values.
    pub fn resolved(&self, args: &Compare, out: &Path, seed: u64) -> Vec<String> {
        let own = self
            .settings
            .iter()
            .map(|setting| setting.replace("{out}", &out.display().to_string()).replace("{seed}", &seed.to_string()));
        args.settings.set.iter().cloned().chain(own).chain([format!("seed={seed}")]).collect()
    }

    /// Directory of the run with this seed.
    pub fn dir(&self, out: &Path, seed: u64) -> PathBuf {
        out.join(format!("{}-seed{seed}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_a_name_and_settings() {
        let found = Contender::parse("em-mmps method.kind=em-mmps em.laps=3").unwrap();
        assert_eq!((found.name.as_str(), found.settings.len()), ("em-mmps", 2));
        for bad in ["", "a/b", "..", "name em.laps"] {
            assert!(Contender::parse(bad).unwrap_err().to_string().contains("--contender"), "{bad}");
        }
    }
}
