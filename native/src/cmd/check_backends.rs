//! `diffem check-backends`: every backend of the build against one golden file, in one table.

use crate::args::CheckBackends;
use crate::device::{self, BACKENDS};
use crate::files;
use anyhow::{Context, Result, bail, ensure};
use diffem::conformance::{BROWSER, GOLDEN, Golden, Report, Settings, table};
use std::path::Path;

/// Runs the command.
pub fn run(args: &CheckBackends) -> Result<()> {
    if let Some(path) = &args.write_golden {
        return write_golden(path);
    }
    if let Some(path) = &args.out {
        files::ensure_writable(path)?;
    }
    let golden = read_golden(args.golden.as_deref())?;
    // Before the work: a mistake in a file must not cost it.
    let given = given(&args.with, &golden)?;
    let (mut reports, mut absent) = (Vec::new(), String::new());
    for (backend, built, _) in BACKENDS {
        match missing(backend, built) {
            Some(why) => absent += &format!("{backend}: not run, {why}\n"),
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
    let text = format!("{}{absent}", table(&reports));
    super::print(&text)?;
    if let Some(path) = &args.out {
        files::write_atomic(path, text.as_bytes())?;
    }
    let beyond: Vec<String> = reports.iter().filter_map(Report::beyond).collect();
    ensure!(beyond.is_empty(), "{}", beyond.join("\n"));
    Ok(())
}

/// Why a backend cannot run.
fn missing(backend: &str, built: bool) -> Option<String> {
    match built {
        false => Some(format!("not compiled in (build with --features {backend})")),
        true if device::count(backend) == 0 => Some(format!("no device found ({})", device::needs(backend))),
        true => None,
    }
}

fn check(backend: &str, golden: &Golden) -> Result<Report> {
    let (label, device) = device::open(backend)?;
    golden.check(&label, &device).with_context(|| label)
}

fn read_golden(path: Option<&Path>) -> Result<Golden> {
    let Some(path) = path else {
        return Golden::decode(GOLDEN).context("the golden file in this build");
    };
    let advice = "expected a file that `diffem check-backends --write-golden` made";
    Golden::decode(&files::read(path)?).with_context(|| format!("{}: {advice}", path.display()))
}

fn write_golden(path: &Path) -> Result<()> {
    files::ensure_writable(path)?;
    let (_, device) = device::open("flex")?;
    let golden = Golden::make(Settings::default(), &device)?;
    files::write_atomic(path, &golden.encode()?)?;
    super::print(&format!("{}: golden file {}\n", path.display(), golden.fingerprint()?))
}

/// The reports in `paths`, each of another backend that this build does not run itself.
fn given(paths: &[impl AsRef<Path>], golden: &Golden) -> Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let report = read_report(path, golden)?;
        let backend = &report.backend;
        let taken = reports.iter().any(|other| other.backend == *backend);
        if taken || BACKENDS.iter().any(|(own, _, _)| own == backend) {
            bail!("{}: a second report of {backend}; expected one a backend", path.display());
        }
        reports.push(report);
    }
    Ok(reports)
}

fn read_report(path: &Path, golden: &Golden) -> Result<Report> {
    let explain = || format!("{}: expected a report that this version wrote: make it anew", path.display());
    let report: Report = serde_json::from_slice(&files::read(path)?).with_context(explain)?;
    report.verify(golden).with_context(explain)?;
    Ok(report)
}
