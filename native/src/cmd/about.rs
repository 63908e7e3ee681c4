//! Commands that only print.

use super::{command, print};
use crate::config::PRESETS;
use crate::device::{Adapter, BACKENDS, Backend};
use crate::report::units::bytes;
use anyhow::Result;

/// `diffem presets`
pub fn presets() -> Result<()> {
    let lines = PRESETS.iter().map(|preset| format!("{:20} {}\n", preset.name, preset.about));
    print(&lines.collect::<String>())
}

/// `diffem devices`
pub fn devices() -> Result<()> {
    let line = |backend: &Backend| {
        let adapters: String =
            backend.adapters().iter().map(|adapter| format!("         {}\n", described(adapter))).collect();
        format!("{:8} {}: {}\n{adapters}", backend.name, backend.about, found(backend))
    };
    let lines: String = BACKENDS.iter().map(line).collect();
    print(&format!("{lines}workers  {}\n", rayon::current_num_threads()))
}

/// Whether this build contains a backend, and how many of its devices this machine has.
fn found(backend: &Backend) -> String {
    match backend.count() {
        _ if !backend.built() => format!("not in this build ({})", backend.build()),
        0 => format!("in this build, no device found; {}", backend.needs),
        1 => "available".to_string(),
        n => format!("{n} devices"),
    }
}

/// The name of a device, its kind and its memory.
fn described(adapter: &Adapter) -> String {
    let kind = if adapter.hardware { "hardware" } else { "software, which --device auto does not take" };
    let size = |size: Option<u64>, what: &str| size.map_or(String::new(), |size| format!(", {} {what}", bytes(size)));
    format!("{}: {kind}{}{}", adapter.name, size(adapter.memory, "of memory"), size(adapter.free, "of it free"))
}

/// `diffem cite`
pub fn cite() -> Result<()> {
    print(include_str!("../../CITATION.cff"))
}

/// `diffem completions`
pub fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "diffem", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// `diffem man`
pub fn man() -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))
}
