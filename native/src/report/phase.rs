//! State of a phase of a run: how much is done, how fast it goes and how long it will take.

use std::time::Duration;

use serde::Serialize;

/// A stretch of work that counts up to a known total.
pub struct Phase {
    /// Name, such as "M-step" or "E-step".
    pub name: String,
    /// Unit that is counted.
    unit: String,
    pub done: u64,
    total: u64,
    began: Duration,
    /// Time at which the last line was printed.
    pub printed: Duration,
    /// The last message of the phase.
    pub message: String,
}

impl Phase {
    /// A phase that begins `now`.
    pub fn new(name: &str, total: u64, unit: &str, now: Duration) -> Self {
        let (name, unit, message) = (name.to_string(), unit.to_string(), String::new());
        Self { name, unit, done: 0, total, began: now, printed: now, message }
    }

    /// Units per second so far; `None` before any time has passed.
    fn rate(&self, now: Duration) -> Option<f64> {
        let seconds = now.saturating_sub(self.began).as_secs_f64();
        (seconds > 0.0).then(|| self.done as f64 / seconds)
    }

    /// Seconds left at the rate so far; `None` before anything is done.
    fn left(&self, now: Duration) -> Option<f64> {
        let rate = self.rate(now).filter(|&rate| rate > 0.0)?;
        Some(self.total.saturating_sub(self.done) as f64 / rate)
    }

    /// The state at `now` as a line of text.
    pub fn line(&self, title: &str, now: Duration) -> String {
        let Self { done, total, unit, .. } = self;
        let percent = 100 * done / total.max(&1);
        let mut line = format!("{title}: {done}/{total} {unit} ({percent} %)");
        if let Some(rate) = self.rate(now) {
            line += &format!(", {rate:.1}/s");
        }
        match self.left(now) {
            Some(seconds) if done < total => line += &format!(", {} left", clock_time(seconds)),
            _ => line += &format!(", {} in all", clock_time(now.saturating_sub(self.began).as_secs_f64())),
        }
        if self.message.is_empty() { line } else { line + ", " + &self.message }
    }

    /// The state at `now` for a scheduler; `lap` is (lap, laps).
    pub fn report(&self, lap: Option<(usize, usize)>, now: Duration) -> Report<'_> {
        Report {
            event: "progress",
            lap: lap.map(|lap| lap.0),
            laps: lap.map(|lap| lap.1),
            phase: self.name.to_lowercase(),
            done: self.done,
            total: self.total,
            unit: &self.unit,
            rate: self.rate(now),
            eta_s: self.left(now),
            message: &self.message,
        }
    }
}

/// State of a phase for a scheduler. Fields are printed in this order, and absent ones as `null`.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    event: &'static str,
    lap: Option<usize>,
    laps: Option<usize>,
    phase: String,
    done: u64,
    total: u64,
    unit: &'a str,
    /// Units per second, averaged over the phase.
    rate: Option<f64>,
    /// Seconds until the phase ends at that rate.
    eta_s: Option<f64>,
    message: &'a str,
}

/// Formats seconds as `1:02:05` or `2:05`.
fn clock_time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!([0.4, 125.0, 3725.0].map(clock_time), ["0:00", "2:05", "1:02:05"]);
    }

    #[test]
    fn without_time_nothing_is_claimed_about_speed() {
        let phase = Phase::new("E-step", 8, "observations", Duration::from_secs(9));
        assert_eq!((phase.rate(Duration::from_secs(9)), phase.left(Duration::from_secs(9))), (None, None));
        // Time has passed but nothing is done: the rate is zero and the end is not guessed.
        assert_eq!((phase.rate(Duration::from_secs(10)), phase.left(Duration::from_secs(10))), (Some(0.0), None));
    }
}
