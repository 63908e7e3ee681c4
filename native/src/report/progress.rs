//! Progress of a run: bars on a terminal, plain lines in a log, JSON lines for a scheduler.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::phase::Phase;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// Bars when standard error is a terminal, plain lines otherwise
    #[default]
    Auto,
    /// Bars with rate and remaining time, on standard error
    Bars,
    /// A line every five seconds and at the end of each phase, on standard error
    Plain,
    /// The same lines as JSON, on standard output
    Json,
    /// No output
    Quiet,
}

/// Minimum time between two lines of one phase.
const INTERVAL: Duration = Duration::from_secs(5);

/// Returns the time since a fixed moment.
type Clock = Box<dyn Fn() -> Duration + Send>;

/// Shows laps and, within a lap, phases that count up to a known total.
///
/// A line that cannot be written, for example because the reader closed the pipe, is dropped: progress must
/// never end a run.
pub struct Progress {
    view: View,
    clock: Clock,
    lap: Option<(usize, usize)>,
    phase: Option<Phase>,
}

enum View {
    Bars(Option<ProgressBar>),
    Plain(Box<dyn Write + Send>),
    Json(Box<dyn Write + Send>),
    Quiet,
}

impl Progress {
    /// Shows progress on this process's standard error (bars, plain) or standard output (JSON).
    pub fn new(mode: ProgressMode) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let view = match mode {
            ProgressMode::Auto if terminal => View::Bars(None),
            ProgressMode::Bars => View::Bars(None),
            ProgressMode::Auto | ProgressMode::Plain => View::Plain(Box::new(std::io::stderr())),
            ProgressMode::Json => View::Json(Box::new(std::io::stdout())),
            ProgressMode::Quiet => View::Quiet,
        };
        let start = Instant::now();
        Self::with(view, Box::new(move || start.elapsed()))
    }

    fn with(view: View, clock: Clock) -> Self {
        Self { view, clock, lap: None, phase: None }
    }

    /// Begins lap `lap` of `laps`, counted from 1.
    pub fn lap(&mut self, lap: usize, laps: usize) {
        self.finish();
        self.lap = Some((lap, laps));
    }

    /// Begins a phase of `total` units ("steps", "observations") and finishes the previous one if it is open.
    pub fn start(&mut self, phase: &str, total: u64, unit: &str) {
        self.finish();
        self.phase = Some(Phase::new(phase, total, unit, (self.clock)()));
        let title = self.title();
        if let View::Bars(bar) = &mut self.view {
            *bar = Some(new_bar(title, total, unit));
        }
    }

    /// Counts `n` more units as done. `message` (such as the loss; may be empty) is shown next to the count.
    pub fn advance(&mut self, n: u64, message: &str) {
        let now = (self.clock)();
        let Some(phase) = &mut self.phase else { return };
        phase.done += n;
        message.clone_into(&mut phase.message);
        if let View::Bars(Some(bar)) = &self.view {
            bar.set_message(message.to_string());
            bar.inc(n);
        } else if now >= phase.printed + INTERVAL {
            phase.printed = now;
            self.print(now);
        }
    }

    /// Ends the open phase, if there is one: its last state is printed, and a bar stays as it is.
    pub fn finish(&mut self) {
        if self.phase.is_none() {
            return;
        }
        if let View::Bars(bar) = &mut self.view {
            bar.take().inspect(ProgressBar::abandon);
        } else {
            self.print((self.clock)());
        }
        self.phase = None;
    }

    /// Prints `text` once, above a bar or as a line of its own.
    pub fn message(&mut self, text: &str) {
        match &mut self.view {
            View::Bars(Some(bar)) => bar.suspend(|| put(&mut std::io::stderr(), text)),
            View::Bars(None) => put(&mut std::io::stderr(), text),
            View::Plain(out) => put(out, text),
            View::Json(out) => put(out, &as_json(&Message { event: "message", text })),
            View::Quiet => {}
        }
    }

    fn print(&mut self, now: Duration) {
        let title = self.title();
        let Some(phase) = &self.phase else { return };
        match &mut self.view {
            View::Plain(out) => put(out, &phase.line(&title, now)),
            View::Json(out) => put(out, &as_json(&phase.report(self.lap, now))),
            View::Bars(_) | View::Quiet => {}
        }
    }

    /// Title of the open phase, such as `lap 3/32 M-step`.
    fn title(&self) -> String {
        let lap = self.lap.map(|(lap, laps)| format!("lap {lap}/{laps} ")).unwrap_or_default();
        lap + self.phase.as_ref().map_or("", |phase| &phase.name)
    }
}

/// Prints the last state of an interrupted run to the screen or the log.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A message in JSON.
#[derive(Serialize)]
struct Message<'a> {
    event: &'static str,
    text: &'a str,
}

fn as_json(event: &impl Serialize) -> String {
    // Events hold only strings and numbers, so serialization cannot fail.
    serde_json::to_string(event).unwrap_or_default()
}

fn new_bar(title: String, total: u64, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&template(unit)).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_prefix(title)
}

fn template(unit: &str) -> String {
    // Braces in a unit would be read as part of the template.
    let unit = unit.replace(['{', '}'], "");
    format!("{{prefix}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left {{msg}}")
}

fn put(out: &mut impl Write, line: &str) {
    // A lost line is no reason to stop (see `Progress`). The flush lets a reader see the line at once.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    /// Output so far, and the seconds that the clock shows.
    #[derive(Clone, Default)]
    struct Bench {
        written: Arc<Mutex<Vec<u8>>>,
        seconds: Arc<AtomicU64>,
    }

    impl Write for Bench {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.written.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Bench {
        fn progress(&self, view: fn(Box<dyn Write + Send>) -> View) -> Progress {
            let seconds = self.seconds.clone();
            let clock = Box::new(move || Duration::from_secs(seconds.load(Ordering::Relaxed)));
            Progress::with(view(Box::new(self.clone())), clock)
        }

        fn wait(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Ordering::Relaxed);
        }

        fn lines(&self) -> Vec<String> {
            let written = String::from_utf8(self.written.lock().unwrap().clone()).unwrap();
            written.lines().map(String::from).collect()
        }
    }

    /// Runs 100 steps at one per second, with the loss as message.
    fn m_step(bench: &Bench, progress: &mut Progress) {
        progress.lap(3, 32);
        progress.start("M-step", 100, "steps");
        for i in 0..100 {
            bench.wait(1);
            progress.advance(1, &format!("loss {i}"));
        }
        progress.finish();
    }

    #[test]
    fn plain_lines_come_every_five_seconds_and_at_the_end() {
        let bench = Bench::default();
        m_step(&bench, &mut bench.progress(View::Plain));
        let lines = bench.lines();
        assert_eq!(lines.len(), 21, "{lines:#?}");
        assert_eq!(lines[0], "lap 3/32 M-step: 5/100 steps (5 %), 1.0/s, 1:35 left, loss 4");
        assert_eq!(lines[20], "lap 3/32 M-step: 100/100 steps (100 %), 1.0/s, 1:40 in all, loss 99");
    }

    #[test]
    fn json_lines_hold_what_a_scheduler_needs() {
        let bench = Bench::default();
        m_step(&bench, &mut bench.progress(View::Json));
        let lines = bench.lines();
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let wanted = json!({"event": "progress", "lap": 3, "laps": 32, "phase": "m-step", "done": 5, "total": 100,
            "unit": "steps", "rate": 1.0, "eta_s": 95.0, "message": "loss 4"});
        assert_eq!(line, wanted);
    }

    #[test]
    fn a_phase_without_time_or_lap_has_no_rate() {
        let bench = Bench::default();
        let mut progress = bench.progress(View::Json);
        progress.start("E-step", 0, "observations");
        progress.finish();
        let line: serde_json::Value = serde_json::from_str(&bench.lines()[0]).unwrap();
        assert_eq!([&line["lap"], &line["rate"], &line["eta_s"]], [&json!(null); 3]);
    }

    #[test]
    fn a_new_phase_or_the_end_closes_the_open_one_once() {
        let bench = Bench::default();
        let mut progress = bench.progress(View::Plain);
        progress.start("M-step", 2, "steps");
        progress.advance(1, "");
        progress.start("E-step", 2, "observations");
        progress.finish();
        progress.finish();
        progress.start("metrics", 1, "lap");
        drop(progress);
        let starts: Vec<String> = bench.lines().iter().map(|line| line[..6].to_string()).collect();
        assert_eq!(starts, ["M-step", "E-step", "metric"]);
    }

    #[test]
    fn messages_follow_the_mode() {
        let (plain, json) = (Bench::default(), Bench::default());
        plain.progress(View::Plain).message("saved");
        json.progress(View::Json).message("saved \"a\"");
        assert_eq!(plain.lines(), ["saved"]);
        assert_eq!(json.lines(), [r#"{"event":"message","text":"saved \"a\""}"#]);
    }

    #[test]
    fn a_reader_that_went_away_does_not_end_the_run() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
        let bench = Bench::default();
        let mut progress = bench.progress(|_| View::Plain(Box::new(Gone)));
        m_step(&bench, &mut progress);
        assert!(progress.phase.is_none());
    }

    #[test]
    fn the_bar_template_is_valid() {
        assert!(ProgressStyle::with_template(&template("st{ep}s")).is_ok());
        let bar = new_bar("lap 1/2 M-step".into(), 7, "steps");
        assert_eq!((bar.length(), bar.prefix().as_str()), (Some(7), "lap 1/2 M-step"));
    }
}
