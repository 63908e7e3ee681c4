//! What the first reconstructions know: held-out observations compared with them.

use crate::config::Config;
use anyhow::Result;
use burn::tensor::Device;
use diffem::Observations;
use diffem::channel::Compose;
use diffem::conditioning::{OperatorStructure, structure_for};
use diffem::em::{InitConfig, MonitorConfig};
use std::sync::Arc;

/// Maximum number of observations that the start is made for.
const MAX_ROWS: usize = 512;
/// Number of observations that it is made for at least, however long they are.
const MIN_ROWS: usize = 32;
/// Maximum number of values of the signals of all of them.
const MAX_VALUES: usize = 1 << 19;
/// Share of them that is held out.
const HELD_OUT: f64 = 0.25;
/// Factor by which the start may score worse than the observations themselves.
const WORSE: f64 = 1.25;

/// What the start knows, and whether that is odd.
pub struct Start {
    pub answers: Vec<String>,
    pub warning: Option<String>,
}

/// Makes the start of `config` for some of the `observations` and scores it.
///
/// # Errors
/// A start that cannot be made.
pub fn judge(config: &Config, channel: &Arc<Compose>, observations: &Observations, device: &Device) -> Result<Start> {
    let answer = |text: String| Start { answers: vec![text], warning: None };
    let Some(init) = config.init.of_core() else {
        return Ok(answer("not judged: it comes from another run".into()));
    };
    if structure_for(channel.as_ref(), &config.conditioning) == OperatorStructure::MatrixFree {
        return Ok(answer("not judged: it takes conjugate gradient for every observation".into()));
    }
    let most = MAX_ROWS.min(MAX_VALUES / config.signal_len()).max(MIN_ROWS);
    let stride = observations.n().div_ceil(most);
    let some = observations.select(&(0..observations.n()).step_by(stride).collect::<Vec<_>>());
    let score = |init: InitConfig| -> Result<Option<f64>> {
        let monitor = MonitorConfig { holdout: HELD_OUT, points: 64, ..config.monitor.clone() };
        let run = config.em(channel.clone(), some.clone()).monitor(monitor).init(init).build(device)?;
        Ok(run.history()[0].monitor.map(|record| record.energy_score))
    };
    let Some(found) = score(init.clone())? else {
        return Ok(answer("not judged: there are too few observations".into()));
    };
    let InitConfig::Gaussian(_) = init else {
        return Ok(answer(format!("held-out energy score {found:.4} (corrupted), smaller is better")));
    };
    // Not every channel has an inverse.
    let Ok(Some(other)) = score(InitConfig::Corrupted {}) else {
        return Ok(answer(format!("held-out energy score {found:.4} (Gaussian), smaller is better")));
    };
    let text = format!(
        "held-out energy score {found:.4} (Gaussian), {other:.4} (the observations themselves), smaller is better; {} rows",
        some.n()
    );
    let warning = (found > WORSE * other).then(|| {
        format!(
            "init: the Gaussian start explains held-out observations worse than they explain each other: energy score \
             {found:.4}, {other:.4} with init.kind = \"corrupted\". Take that, or set init.std to the standard deviation of \
             the signals and init.iterations to 16"
        )
    });
    Ok(Start { answers: vec![text], warning })
}
