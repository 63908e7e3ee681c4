//! The prior of a run: an unconditional denoiser trained on the reconstructions of one lap, kept in `prior/`
//! of the run directory.
//!
//! It is trained and sampled in the same way as a posterior, through a channel that shows nothing. Its
//! configuration is the run's, overridden by the settings of its own training; the weights carry it.

use crate::config::Config;
use crate::config::compatible::difference_of;
use crate::files;
use crate::ranks::world;
use crate::report::progress::{Progress, ProgressMode};
use crate::run::dir::RunDir;
use crate::run::follower::Follower;
use crate::run::laps::lap_dir;
use crate::signals::{Ended, catch_signals};
use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use diffem::channel::{Compose, Unobserved};
use diffem::checkpoint;
use diffem::conditioning::Standardizer;
use diffem::em::{EStep, Event, MonitorConfig, Phase, State};
use diffem::method::EmMmps;
use diffem::network::{Layout, flatten, from_host, to_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::Model;
use diffem::{Em, Error, Observations, Posterior, Samples};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Origin of a prior: what it was trained on, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// Lap whose reconstructions the prior was trained on.
    pub lap: usize,
    /// Configuration of the prior.
    pub config: Config,
}

/// A trained prior.
pub struct Prior {
    /// Lap and configuration that it was trained with.
    pub origin: Origin,
    posterior: Posterior,
}

/// Directory of a run's prior.
fn directory(run: &RunDir) -> PathBuf {
    run.file("prior")
}

/// Path of the last saved state of a training of the prior.
fn saved_state(run: &RunDir) -> PathBuf {
    run.file("prior-state.safetensors")
}

/// Whether a run has a prior.
pub fn exists(run: &RunDir) -> bool {
    weights(&directory(run)).is_file()
}

fn weights(dir: &Path) -> PathBuf {
    dir.join("ema.safetensors")
}

/// An unconditional denoiser with the settings of `config`.
fn model(config: &Config) -> Model {
    config.model(Arc::new(Unobserved::new(config.signal_len())))
}

impl Prior {
    /// Reads the prior of `run`; `key=value` settings override its configuration.
    pub fn load(run: &RunDir, settings: &[String], device: &Device) -> Result<Self> {
        if !exists(run) {
            let run = run.path().display();
            bail!("{run} has no prior yet: train it with `diffem prior {run}`");
        }
        Self::read(&directory(run), settings, device)
    }

    /// The prior of the run at `path`: the one trained on its reconstructions, or the network of EM-MMPS.
    pub fn of(path: &Path, device: &Device) -> Result<Self> {
        Self::read(&Self::find(path)?, &[], device)
    }

    /// Returns the error of [`Prior::of`] if there is no prior at `path`.
    pub fn check(path: &Path) -> Result<()> {
        Self::find(path).map(drop)
    }

    /// The directory of the prior's weights.
    fn find(path: &Path) -> Result<PathBuf> {
        let own = path.join("prior");
        if weights(&own).is_file() {
            return Ok(own);
        }
        let lap = lap_dir(path, None)?;
        let (_, origin) = checkpoint::decode::<Origin>("weights", &files::read(&weights(&lap))?)
            .with_context(|| lap.display().to_string())?;
        let run = path.display();
        ensure!(
            origin.config.method.learns_prior(),
            "{run} has no prior: train one with `diffem prior {run}`, or name a run of em-mmps"
        );
        Ok(lap)
    }

    fn read(dir: &Path, settings: &[String], device: &Device) -> Result<Self> {
        let path = weights(dir);
        let bytes = files::read(&path)?;
        let read = || -> Result<Self> {
            let (_, mut origin) = checkpoint::decode::<Origin>("weights", &bytes)?;
            origin.config = crate::config::parse(&origin.config.to_toml()?, "the prior's configuration", settings)?;
            let model = model(&origin.config);
            let empty = model.build_network(origin.config.seed, device)?;
            let (values, _) = checkpoint::decode_weights::<Origin>(&Layout::of(&empty), &bytes)?;
            let network = unflatten(empty, &from_host(values, device));
            let standardizer = files::read(&dir.join("frame.safetensors"))?;
            let standardizer = checkpoint::decode_standardizer(&standardizer, origin.config.signal_len())?;
            Ok(Self { origin, posterior: Posterior::new(model, network, standardizer, device.clone()) })
        };
        read().with_context(|| format!("{}: cannot use this prior; train it anew with `diffem prior`", path.display()))
    }

    /// Writes one draw per observation into `out [n, d]`, dealt to all ranks. The prior is guided to `observations` by moment
    /// matching with `iterations` conjugate-gradient iterations and the sampler of `config`.
    pub fn guided_into(
        &self,
        channel: Arc<Compose>,
        observations: &Observations,
        (config, iterations): (&Config, usize),
        out: &mut Samples,
    ) -> Result<()> {
        let (own, d) = (&self.origin.config, config.signal_len());
        ensure!(
            own.signal_len() == d,
            "the prior is for signals of length {}, but these have length {d}",
            own.signal_len()
        );
        let method = EmMmps { iterations, ..EmMmps::default() }.into();
        let model =
            Model { method, schedule: own.schedule.clone(), network: own.network.clone(), ..config.model(channel) };
        model.validate().context("init.kind = \"prior\"")?;
        let prior = &self.posterior;
        let posterior =
            Posterior::new(model, prior.network().clone(), prior.standardizer().clone(), prior.device().clone());
        let posterior = world().deal(posterior)?;
        let key = Key::new(config.seed, Purpose::Sample, 0);
        Ok(EStep { posterior: &posterior, observations, key }.all_into(out)?)
    }

    /// The same prior with its draws dealt to all ranks.
    pub fn dealt(self) -> Result<Self> {
        Ok(Self { posterior: world().deal(self.posterior)?, ..self })
    }

    /// `n` draws from the prior, `[n, d]`.
    pub fn draws(&self, n: usize, seed: u64) -> Result<Samples> {
        Ok(self.posterior.sample_seeded(&Observations::nothing(n), 1, seed)?)
    }
}

/// Trains the prior of `run` that `origin` describes on `device`, from the last saved state of the same
/// training if there is one, on all ranks. The previous prior of the run is replaced at the end.
pub fn train(run: &RunDir, device: &Device, origin: &Origin, mode: ProgressMode) -> Result<Ended> {
    catch_signals()?;
    let (world, config) = (world(), &origin.config);
    let _lock = world.by_first(|| run.lock())?;
    let x = world.agree(run.reconstructions(origin.lap))?;
    // Without observations there is nothing to hold out and compare.
    let monitor = MonitorConfig { holdout: 0.0, ..MonitorConfig::default() };
    let em = Em::of(model(config), Observations::nothing(x.n())).m_step(config.m_step.clone()).monitor(monitor);
    let em = world.agree(em.seed(config.seed).ranks(world.ranks()).trainer(device).map_err(Into::into))?;
    let layout = Layout::of(em.network());
    let saved = world.agree(resume(run, origin, layout.len(), device))?;
    let mut state = match saved {
        Some(state) => State { x, ..state },
        None => {
            let standardizer = Standardizer::of(&x, config.conditioning.standardize, false);
            world.agree(em.begin_with(x, flatten(em.network()), Some(standardizer)).map_err(Into::into))?
        }
    };
    let mut reporter = world.leads().then(|| Reporter::new(run, origin, mode, &state));
    // A saved state past the M-step comes from a training that ended just before its prior was written.
    let outcome = match &mut reporter {
        _ if state.phase != Phase::MStep => Ok(()),
        Some(reporter) => em.train(&mut state, reporter),
        None => em.train(&mut state, &mut Follower),
    };
    let error = reporter.and_then(|mut reporter| {
        reporter.progress.finish();
        reporter.error.take()
    });
    world.agree(match (outcome, error) {
        (_, Some(error)) => Err(error),
        (Ok(()), None) if world.leads() => write(run, &layout, &state, origin).map(|()| Ended::Finished),
        (Ok(()), None) => Ok(Ended::Finished),
        (Err(Error::Stopped), None) => Ok(Ended::Stopped),
        (Err(error), None) => Err(error.into()),
    })
}

/// The saved state of this training. A state of another training is an error, so that it is not lost.
fn resume(run: &RunDir, origin: &Origin, parameters: usize, device: &Device) -> Result<Option<State>> {
    let path = saved_state(run);
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> Result<State> {
        let bytes = files::read(&path)?;
        let (_, Saved { run: begun }) = checkpoint::decode::<Saved>("state", &bytes)?;
        let other = match begun.lap == origin.lap {
            true => difference_of(&begun.config, &origin.config)?,
            false => Some(format!("--lap was {} and is now {}", begun.lap, origin.lap)),
        };
        if let Some(other) = other {
            bail!("it holds an unfinished training of another prior ({other}); finish that one, or delete this file");
        }
        Ok(diffem::em::decode_state::<Origin>(&bytes, parameters, origin.config.signal_len(), device)?.0)
    };
    read().map(Some).with_context(|| path.display().to_string())
}

/// The part of a state's metadata that identifies the training it belongs to.
#[derive(Deserialize)]
struct Saved {
    run: Origin,
}

/// Writes the prior atomically: into a temporary directory, which is then renamed.
fn write(run: &RunDir, layout: &Layout, state: &State, origin: &Origin) -> Result<()> {
    files::replace_dir(&directory(run), |dir| {
        for (name, values) in [("model", &state.optim.weights), ("ema", &state.optim.average)] {
            let bytes = checkpoint::encode_weights(layout, &to_host(values)?, origin)?;
            files::write_atomic(&dir.join(format!("{name}.safetensors")), &bytes)?;
        }
        files::write_atomic(&dir.join("frame.safetensors"), &checkpoint::encode_standardizer(&state.standardizer)?)
    })?;
    files::remove_if_there(&saved_state(run))
}

/// Shows progress and saves the state between steps.
struct Reporter<'a> {
    run: &'a RunDir,
    origin: &'a Origin,
    progress: Progress,
    saved: Instant,
    done: usize,
    error: Option<anyhow::Error>,
}

impl<'a> Reporter<'a> {
    fn new(run: &'a RunDir, origin: &'a Origin, mode: ProgressMode, state: &State) -> Self {
        let mut progress = Progress::new(mode);
        progress.start("prior", origin.config.m_step.steps as u64, "steps");
        progress.advance(state.step as u64, "");
        Self { run, origin, progress, saved: Instant::now(), done: state.step, error: None }
    }

    fn handle(&mut self, event: &Event<'_>, state: &State, stopping: bool) -> Result<ControlFlow<()>> {
        let &Event::MStep { step, loss, .. } = event else { return Ok(ControlFlow::Continue(())) };
        self.progress.advance((step - self.done) as u64, &format!("loss {loss:.4}"));
        self.done = step;
        let due = self.saved.elapsed().as_secs_f64() >= self.origin.config.report.save_every;
        if due || stopping {
            files::write_atomic(&saved_state(self.run), &diffem::em::encode_state(state, self.origin)?)?;
            self.saved = Instant::now();
        }
        if !stopping {
            return Ok(ControlFlow::Continue(()));
        }
        self.progress.finish();
        self.progress.message(&format!("stopped after {step} steps; the same command continues from there"));
        Ok(ControlFlow::Break(()))
    }
}

impl diffem::em::Observer for Reporter<'_> {
    fn on_event(&mut self, event: Event<'_>, state: &State) -> ControlFlow<()> {
        // All ranks ask each other here.
        let stopping = world().stopping();
        self.handle(&event, state, stopping).unwrap_or_else(|error| {
            self.error = Some(error);
            ControlFlow::Break(())
        })
    }
}
