//! Compares every backend of the build with one golden file, in one table.

use crate::args::CheckBackends;
use crate::device::{self, BACKENDS, Backend};
use crate::files;
use anyhow::{Context, Result, bail, ensure};
use diffem::conformance::{BROWSER, GOLDEN, Golden, Report, Settings, table};
use std::path::Path;

/// Reports of all backends that could be checked, and one line for each of the others.
pub struct Checked {
    reports: Vec<Report>,
    absent: String,
}

/// Checks the backends of this build and reads the reports of other backends from the files named in `args`.
pub fn check_all(args: &CheckBackends) -> Result<Checked> {
    let golden = read_golden(args.golden.as_deref())?;
    // Read the reports first, so that a faulty file fails before the checks run.
    let given = given(&args.with, &golden)?;
    let (mut reports, mut absent) = (Vec::new(), String::new());
    for backend in BACKENDS {
        match missing(backend) {
            Some(why) => absent += &format!("{}: not run, {why}\n", backend.name),
            None => reports.push(check(backend, &golden)?),
        }
    }
    reports.extend(given);
    for backend in BROWSER.iter().filter(|backend| reports.iter().all(|report| report.backend != **backend)) {
        absent += &format!(
            "{backend}: not run, needs a browser (web/build.sh --check; npm --prefix web run check-backends; then --with \
             web/test/output/backends-{backend}.json)\n"
        );
    }
    Ok(Checked { reports, absent })
}

impl Checked {
    /// Formats the differences as a table.
    pub fn table(&self) -> String {
        format!("{}{}", table(&self.reports), self.absent)
    }

    /// Fails if a backend exceeds a tolerance; the message names the quantities.
    pub fn verify(&self) -> Result<()> {
        let beyond: Vec<String> = self.reports.iter().filter_map(Report::beyond).collect();
        ensure!(beyond.is_empty(), "{}", beyond.join("\n"));
        Ok(())
    }
}

/// Returns the reason why a backend cannot run, if there is one.
fn missing(backend: &Backend) -> Option<String> {
    match backend.count() {
        _ if !backend.built() => Some(format!("not compiled in (build with --features {})", backend.name)),
        0 => Some(format!("no device found ({})", backend.needs)),
        _ => None,
    }
}

fn check(backend: &Backend, golden: &Golden) -> Result<Report> {
    let (label, device) = device::open(backend.name)?;
    golden.check(&label, &device).with_context(|| label)
}

fn read_golden(path: Option<&Path>) -> Result<Golden> {
    let Some(path) = path else {
        return Golden::decode(GOLDEN).context("the golden file in this build");
    };
    let advice = "expected a file written by `diffem check-backends --write-golden`";
    Golden::decode(&files::read(path)?).with_context(|| format!("{}: {advice}", path.display()))
}

/// Writes a golden file computed on the flex backend and returns its fingerprint.
pub fn write_golden(path: &Path) -> Result<String> {
    files::ensure_writable(path)?;
    let (_, device) = device::open("flex")?;
    let golden = Golden::make(Settings::default(), &device)?;
    files::write_atomic(path, &golden.encode()?)?;
    Ok(golden.fingerprint()?)
}

/// Reads the reports in `paths`, each from a different backend that this build does not run itself.
fn given(paths: &[impl AsRef<Path>], golden: &Golden) -> Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let report = read_report(path, golden)?;
        let backend = &report.backend;
        let taken = reports.iter().any(|other| other.backend == *backend);
        if taken || BACKENDS.iter().any(|own| own.name == backend.as_str()) {
            bail!("{}: a second report of {backend}; expected one per backend", path.display());
        }
        reports.push(report);
    }
    Ok(reports)
}

fn read_report(path: &Path, golden: &Golden) -> Result<Report> {
    let explain = || format!("{}: expected a report written by this version; create it again", path.display());
    let report: Report = serde_json::from_slice(&files::read(path)?).with_context(explain)?;
    report.verify(golden).with_context(explain)?;
    Ok(report)
}
