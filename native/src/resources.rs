//! Checks that memory and disk space suffice, before the work that needs them.

use anyhow::{Result, ensure};
use diffem::channel::Channel;
use indicatif::DecimalBytes;
use std::path::Path;

const VALUE: u64 = size_of::<f32>() as u64;

/// Bytes of memory that `rows` signals need while they are drawn and observed: x once, and y and a twice,
/// once in pieces and once joined. Later, large tables are in files.
fn memory_of(rows: usize, channel: &dyn Channel) -> u64 {
    let d = channel.signal_len() as u64;
    let seen = (channel.observation_len() + channel.operator_len()) as u64;
    (rows as u64).saturating_mul(VALUE * (d + 2 * seen))
}

/// Returns an error if `rows` signals do not fit into memory. The check is skipped on systems that do not
/// report free memory.
pub fn check_memory(field: &str, rows: usize, channel: &dyn Channel) -> Result<()> {
    fits(field, rows, memory_of(rows, channel), free_memory())
}

/// Bytes of free memory; the largest number on systems that do not report it.
pub fn free_memory() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
    meminfo.and_then(|text| available(&text)).unwrap_or(u64::MAX)
}

fn fits(field: &str, rows: usize, needed: u64, free: u64) -> Result<()> {
    let most = (free as f64 / needed as f64 * rows as f64) as u64;
    ensure!(
        needed <= free,
        "{field}: {rows} signals with their observations need about {} of memory and {} are free; lower it to at \
         most {most}",
        DecimalBytes(needed),
        DecimalBytes(free)
    );
    Ok(())
}

/// Bytes of MemAvailable in /proc/meminfo.
fn available(meminfo: &str) -> Option<u64> {
    entry(meminfo, "MemAvailable:")
}

/// Peak memory of this process so far, in bytes; `None` on systems other than Linux.
pub fn peak_memory() -> Option<u64> {
    entry(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Bytes given by a line such as `VmHWM:   1234 kB`.
fn entry(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Returns an error if the disk of `out` has no room for `values` numbers. `out` need not exist yet.
pub fn check_disk(out: &Path, values: usize) -> Result<()> {
    let here = Path::new(".");
    let existing = out.ancestors().find(|path| path.exists()).unwrap_or(here);
    let free = fs4::available_space(if existing == Path::new("") { here } else { existing });
    has_room(out, values as u64 * VALUE, free.unwrap_or(u64::MAX))
}

fn has_room(out: &Path, needed: u64, free: u64) -> Result<()> {
    ensure!(
        needed <= free,
        "--out {}: the observations, the truth and the first two laps need about {} and {} are free there; free some, \
         choose another --out, or lower data.n",
        out.display(),
        DecimalBytes(needed),
        DecimalBytes(free)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::channel::{ChannelConfig, MaskConfig};

    #[test]
    fn too_many_signals_are_told_with_the_number_that_fits() {
        let channel = ChannelConfig(vec![MaskConfig { rate: 0.5 }.into()]).build(784).unwrap();
        // Each signal takes 5 d values of 4 bytes.
        let needed = memory_of(60_000, &channel);
        assert_eq!(needed, 60_000 * 784 * 5 * 4);
        assert!(fits("data.n", 60_000, needed, needed).is_ok());
        assert_eq!(
            fits("data.n", 60_000, needed, needed / 4).unwrap_err().to_string(),
            "data.n: 60000 signals with their observations need about 940.80 MB of memory and 235.20 MB are free; lower it to at \
             most 15000"
        );
        assert_eq!(memory_of(usize::MAX, &channel), u64::MAX);
    }

    #[test]
    fn a_full_disk_is_told() {
        assert_eq!(
            has_room(Path::new("runs/a"), 5_000_000_000, 1_000_000).unwrap_err().to_string(),
            "--out runs/a: the observations, the truth and the first two laps need about 5.00 GB and 1.00 MB are free there; \
             free some, choose another --out, or lower data.n"
        );
        check_disk(Path::new("not/yet/there"), 1).unwrap();
        assert!(check_disk(Path::new("not/yet/there"), usize::MAX / 8).is_err());
    }

    #[test]
    fn free_memory_is_read() {
        assert_eq!(available("MemTotal:  10 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal:  10 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_holds_what_was_allocated() {
        let before = peak_memory().unwrap();
        let filled = vec![1u8; 1 << 28];
        let after = peak_memory().unwrap();
        assert!(after >= before && after >= 1 << 28, "{before} {after} {}", filled[1 << 27]);
    }
}
