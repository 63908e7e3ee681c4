//! Commands that only print.

use super::print;
use crate::args::Cli;
use crate::config::PRESETS;
use crate::device::{self, BACKENDS};
use anyhow::Result;
use clap::CommandFactory;

/// `diffem presets`
pub fn presets() -> Result<()> {
    let lines = PRESETS.iter().map(|(name, _, about)| format!("{name:16} {about}\n"));
    print(&lines.collect::<String>())
}

/// `diffem devices`
pub fn devices() -> Result<()> {
    let line = |(name, built, about): (&str, bool, &str)| {
        let absent = || format!("not in this build (cargo build --release --features {name})");
        let state = if built { found(name) } else { absent() };
        format!("{name:8} {about}: {state}\n")
    };
    let lines: String = BACKENDS.into_iter().map(line).collect();
    print(&format!("{lines}workers  {}\n", rayon::current_num_threads()))
}

/// What the machine has for a backend of this build.
fn found(name: &str) -> String {
    match device::count(name) {
        0 => format!("in this build, no device found; {}", device::needs(name)),
        1 => "available".to_string(),
        n => format!("{n} devices"),
    }
}

/// `diffem cite`
pub fn cite() -> Result<()> {
    print(include_str!("../../CITATION.cff"))
}

/// `diffem completions`
pub fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "diffem", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// `diffem man`
pub fn man() -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))
}
