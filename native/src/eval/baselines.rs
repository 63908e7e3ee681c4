//! Classical deconvolutions of the test observations as baselines for the trained posteriors, for channels
//! that blur and add noise. Estimates are clipped to the range of the data, as scikit-image does for its own
//! range.

use crate::eval::restoration::{Estimate, Judge, RANGE, Restoration};
use crate::run::session::Session;
use anyhow::Result;
use diffem::Samples;
use diffem::baseline::{RichardsonLucy, Wiener};
use diffem::channel::{Channel, LinearChannel, SpectralChannel, Spectrum};
use diffem::metric::psnr;

/// The oracle tries the balances 10^(k/4) for these k.
const QUARTER_DECADES: std::ops::RangeInclusive<i32> = -32..=8;
/// Maximum number of Richardson–Lucy iterations, which apply if the residual stays above the noise.
const MAX_ITERATIONS: usize = 1000;
/// Numbers of iterations among which the oracle chooses.
const CHECKPOINTS: [usize; 8] = [5, 10, 20, 50, 100, 200, 500, MAX_ITERATIONS];

/// Scores Wiener deconvolution and, for blurs that preserve constants, Richardson–Lucy. Each is scored with
/// its one setting taken from the observations and with the oracle setting that is best for the truth. The
/// result is empty for other channels.
pub fn deconvolutions(session: &Session, judge: &Judge<'_>) -> Result<Vec<Restoration>> {
    let Some(linear) = session.channel.as_linear() else { return Ok(Vec::new()) };
    let Some(spectral) = linear.as_spectral().filter(|_| session.channel.operator_len() == 0) else {
        return Ok(Vec::new());
    };
    let mut out = wiener(session, judge, spectral)?;
    let spectrum = Spectrum::of(spectral, &[]);
    if preserves_constants(spectral, &spectrum) {
        out.extend(richardson_lucy(judge, linear, &spectrum)?);
    }
    Ok(out)
}

/// True if the coefficient of constant images, the only one without roughness, has the factor 1.
fn preserves_constants(spectral: &dyn SpectralChannel, spectrum: &Spectrum) -> bool {
    let constant = spectral.basis().laplacian().iter().position(|l| *l == 0.0);
    constant.is_some_and(|at| (spectrum.gain[at] - 1.0).abs() < 1e-6)
}

fn wiener(session: &Session, judge: &Judge<'_>, spectral: &dyn SpectralChannel) -> Result<Vec<Restoration>> {
    let y = &judge.seen().y;
    let mut out = Vec::new();
    if let Some(fitted) = Wiener::fitted(spectral, &session.dataset.observations.y) {
        let label = format!("Wiener (balance {:.1e} fitted to the observations)", fitted.balance());
        out.push(judge.score(label, Estimate::Restoration, &clipped(fitted.restore(y)), 0)?);
    }
    let balances = QUARTER_DECADES.map(|k| 10f64.powf(f64::from(k) / 4.0));
    let restored = balances.map(|balance| (balance, clipped(Wiener::new(spectral, balance).restore(y))));
    let (balance, x) = best(judge, restored)?;
    let label = format!("Wiener (oracle balance {balance:.1e})");
    out.push(judge.score(label, Estimate::Restoration, &x, 0)?);
    Ok(out)
}

fn richardson_lucy(judge: &Judge<'_>, linear: &dyn LinearChannel, spectrum: &Spectrum) -> Result<Vec<Restoration>> {
    // Richardson–Lucy works in units of [0, 1].
    let y = mapped(&judge.seen().y, |v| (f64::from(v) / RANGE + 0.5) as f32);
    let back = |x: &Samples| clipped(mapped(x, |v| ((f64::from(v) - 0.5) * RANGE) as f32));
    let variance = spectrum.variance.iter().sum::<f64>() / spectrum.variance.len() as f64 / (RANGE * RANGE);
    let mut out = Vec::new();
    if variance > 0.0 {
        let mut lucy = RichardsonLucy::new(linear, &y);
        let mut counts = lucy.until(variance, MAX_ITERATIONS);
        counts.sort_unstable();
        let middle = counts[counts.len() / 2];
        let label = format!("Richardson-Lucy (stopped at the noise level, median of {middle} iterations)");
        out.push(judge.score(label, Estimate::Restoration, &back(lucy.x()), 0)?);
    }
    let mut lucy = RichardsonLucy::new(linear, &y);
    let mut done = 0;
    let restored = CHECKPOINTS.map(|count| {
        lucy.run(count - done);
        done = count;
        (count as f64, back(lucy.x()))
    });
    let (count, x) = best(judge, restored.into_iter())?;
    let label = format!("Richardson-Lucy (oracle, {count} iterations)");
    out.push(judge.score(label, Estimate::Restoration, &x, 0)?);
    Ok(out)
}

/// Returns the setting and the images with the highest PSNR.
fn best(judge: &Judge<'_>, candidates: impl Iterator<Item = (f64, Samples)>) -> Result<(f64, Samples)> {
    let scored = candidates.map(|(setting, x)| Ok((psnr(judge.x(), &x, RANGE, None)?, setting, x)));
    let scored: Vec<(f64, f64, Samples)> = scored.collect::<Result<_>>()?;
    let best = scored.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, setting, x)| (setting, x)).ok_or_else(|| anyhow::anyhow!("no candidate to choose from"))
}

fn mapped(x: &Samples, f: impl Fn(f32) -> f32) -> Samples {
    Samples::new(x.as_slice().iter().map(|&v| f(v)).collect(), x.d())
}

fn clipped(x: Samples) -> Samples {
    let most = (RANGE / 2.0) as f32;
    mapped(&x, |v| v.clamp(-most, most))
}
