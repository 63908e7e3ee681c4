//! Numbers formatted with units.

use diffem::metric::MIN_DIVERGENCE;
use indicatif::{DecimalBytes, HumanCount};

/// Formats a count, such as `57,557,379`.
pub fn count(n: u64) -> String {
    HumanCount(n).to_string()
}

/// Formats a number of bytes, such as `1.23 GB`.
pub fn bytes(n: u64) -> String {
    DecimalBytes(n).to_string()
}

/// Formats a Sinkhorn divergence to the truth. Of a value at its minimum only the bound is known.
pub fn divergence(value: f64) -> String {
    if value <= MIN_DIVERGENCE { format!("< {MIN_DIVERGENCE:e}") } else { format!("{value:.4e}") }
}

/// Formats a number of floating-point operations, such as `1.23 GFLOP`.
pub fn operations(flop: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E", "Z"];
    let step = ((flop.max(1.0).log10() / 3.0) as usize).min(prefixes.len() - 1);
    format!("{} {}FLOP", three(flop / 1000f64.powi(step as i32)), prefixes[step])
}

/// Formats a duration, such as `12.3 ms`, `1.50 s`, `12.0 min` or `34.5 h`.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s if s < 120.0 => (s, "s"),
        s if s < 7200.0 => (s / 60.0, "min"),
        s => (s / 3600.0, "h"),
    };
    format!("{} {unit}", three(value))
}

/// Formats a number with three significant digits, or more if they precede the decimal point.
fn three(value: f64) -> String {
    let places = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_at_its_minimum_is_a_bound() {
        assert_eq!([1e-6, 0.012].map(divergence), ["< 1e-6", "1.2000e-2"]);
    }

    #[test]
    fn units_follow_the_size() {
        let durations = [1.2e-5, 0.0123, 1.5, 90.0, 720.0, 124_200.0].map(duration);
        assert_eq!(durations, ["12.0 µs", "12.3 ms", "1.50 s", "90.0 s", "12.0 min", "34.5 h"]);
        let flops = [0.0, 999.0, 1234.0, 2.56e10, 2e19].map(operations);
        assert_eq!(flops, ["0.00 FLOP", "999 FLOP", "1.23 kFLOP", "25.6 GFLOP", "20.0 EFLOP"]);
        assert_eq!((count(57_557_379).as_str(), bytes(1_230_000_000).as_str()), ("57,557,379", "1.23 GB"));
    }
}
