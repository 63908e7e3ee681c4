//! An open run: configuration, channel, network, observations and device together.

use crate::config::{Config, InitConfig};
use crate::data::mapped::scratch;
use crate::ranks::world;
use crate::run::clean::{self, CleanUse};
use crate::run::dataset::{Dataset, inspection, signals};
use crate::run::dir::{RunDir, read_weights};
use crate::run::laps::{lap_dir, reconstructions_of};
use crate::run::noise;
use crate::run::prior::Prior;
use crate::run::sizes;
use crate::run::store::{Local, scratch_dir};
use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use diffem::channel::Compose;
use diffem::checkpoint;
use diffem::em::{EStep, InitialPrior, State, Trainer, corrupted_init_into};
use diffem::image::ImageShape;
use diffem::network::{Layout, NetworkConfig, flatten, from_host};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Posterior, Samples};
use std::path::Path;
use std::sync::Arc;

/// Everything that a command needs from a run.
pub struct Session {
    /// Run directory.
    pub run: RunDir,
    /// Configuration of the run.
    pub config: Config,
    /// Channel of the run.
    pub channel: Arc<Compose>,
    /// Layout of the network's parameters.
    pub layout: Layout,
    /// Trainer that runs the laps; it holds no state.
    trainer: Trainer<NetworkConfig>,
    /// Observations and truth.
    pub dataset: Dataset,
    /// Clean signals that it is trained on as well.
    pub clean: Option<Samples>,
    /// Device that the commands compute on.
    pub device: Device,
    /// Name of the device.
    pub device_name: String,
}

/// The first reconstructions, and what begins with them.
enum First {
    Plain(Samples),
    /// Those of a prior that was fitted to the observations.
    Fitted(Samples),
    /// Those of another run, whose training goes on.
    Warm(Samples, Box<Posterior>),
}

impl Session {
    /// Creates a run directory for `config` and opens it. A GPU gets sizes that suit it, except those among the `given`
    /// settings.
    pub fn create(out: &Path, config: Config, given: &[String], device: &str) -> Result<Self> {
        let (device_name, device) = world().open_device(device)?;
        let config = sizes::suit(config, &device, given)?;
        let channel = Arc::new(config.build_channel()?);
        let x = clean::load(&config)?;
        let run = RunDir::create(out)?;
        let made = run.clone();
        let dataset = || -> Result<(Config, Arc<Compose>, Dataset)> {
            let mut dataset = crate::run::dataset::make(&config, channel.as_ref(), run.path())?;
            crate::resources::check_disk(out, dataset.values_on_disk(config.signal_len()))?;
            clean::write(&run, x.as_ref())?;
            let (config, channel) = noise::known(config, channel, &mut dataset)?;
            run.write_dataset(&config, &dataset)?;
            let warnings = dataset.warnings;
            // Large tables are mapped from the files just written.
            Ok((config, channel, Dataset { warnings, ..run.dataset()? }))
        };
        dataset()
            .and_then(|(config, channel, dataset)| {
                Self::assemble(run.clone(), config, channel, dataset, device, device_name)
            })
            .inspect_err(|_| made.discard_unstarted())
    }

    /// Opens an existing run; `key=value` settings override its configuration.
    pub fn open(path: &Path, settings: &[String], device: &str) -> Result<Self> {
        let run = RunDir::open(path)?;
        let config = run.config(settings)?;
        let (device_name, device) = world().open_device(device)?;
        let channel = Arc::new(config.build_channel()?);
        let dataset = run.dataset()?;
        let file = run.file("observations.safetensors");
        dataset.observations.check(channel.as_ref()).with_context(|| file.display().to_string())?;
        Self::assemble(run, config, channel, dataset, device, device_name)
    }

    fn assemble(
        run: RunDir,
        config: Config,
        channel: Arc<Compose>,
        dataset: Dataset,
        device: Device,
        device_name: String,
    ) -> Result<Self> {
        let clean = clean::read(&run, &config)?;
        let em = config.em(channel.clone(), dataset.observations.clone()).ranks(world().ranks());
        let em = if world().leads() { em.store(run.clone()) } else { em.store(Local) };
        let trainer = clean::with_clean(em, &config, clean.as_ref()).trainer(&device)?;
        let layout = Layout::of(trainer.network());
        Ok(Self { run, config, channel, layout, trainer, dataset, clean, device, device_name })
    }

    /// The trainer that runs the laps of this run.
    pub fn em(&self) -> &Trainer<NetworkConfig> {
        &self.trainer
    }

    /// [`RunDir::discard_unstarted`], by rank 0.
    pub fn discard_unstarted(&self) {
        if world().leads() {
            self.run.discard_unstarted();
        }
    }

    /// How clean signals are used; `None` where there are none.
    pub fn clean_use(&self) -> Option<CleanUse> {
        clean::used(&self.config, self.clean.as_ref())
    }

    /// Treats the run's observations as those of another channel with the same shapes.
    pub fn see_through(&mut self, config: Config, channel: Compose) -> Result<()> {
        let channel = Arc::new(channel);
        let em = config.em(channel.clone(), self.dataset.observations.clone()).store(self.run.clone());
        (self.trainer, self.channel, self.config) = (em.trainer(&self.device)?, channel, config);
        Ok(())
    }

    /// The state before lap 1. The prior of a Gaussian start is written to the run directory.
    pub fn start(&self) -> Result<State> {
        Ok(match world().agree(self.first())? {
            First::Plain(x) => self.trainer.begin(x)?,
            First::Fitted(x) => self.trainer.begin_fitted(x)?,
            First::Warm(x, posterior) => {
                let standardizer = posterior.standardizer().clone();
                self.trainer.begin_with(x, flatten(posterior.network()), Some(standardizer))?
            }
        })
    }

    /// The first reconstructions, which every rank makes.
    fn first(&self) -> Result<First> {
        let (channel, config) = (self.channel.as_ref(), &self.config);
        let observations = &self.dataset.observations;
        let table = || world().agree(scratch(&scratch_dir(&self.run), observations.n(), config.signal_len()));
        match &config.init {
            InitConfig::Reconstructions(place) => Ok(First::Plain(self.others(Path::new(&place.path))?)),
            InitConfig::Checkpoint(place) => self.warm_start(Path::new(&place.path), table()?),
            InitConfig::Prior(guided) => {
                let mut x = table()?;
                let prior = world().agree(Prior::of(Path::new(&guided.path), &self.device))?;
                prior.guided_into(self.channel.clone(), observations, (config, guided.iterations), &mut x)?;
                Ok(First::Plain(x))
            }
            InitConfig::Gaussian(_) | InitConfig::Corrupted(_) => {
                let mut x = table()?;
                match self.fit_start()? {
                    Some(prior) => {
                        if world().leads() {
                            self.run.write_start(&prior)?;
                        }
                        prior.reconstruct_into(channel, observations, config.seed, &mut x)?;
                        Ok(First::Fitted(x))
                    }
                    None => {
                        corrupted_init_into(channel, observations, &mut x)?;
                        Ok(First::Plain(x))
                    }
                }
            }
        }
    }

    /// The Gaussian prior that this run started from; `None` for other starts.
    pub fn start_prior(&self) -> Result<Option<InitialPrior>> {
        match self.run.start(self.config.signal_len())? {
            Some(prior) => Ok(Some(prior)),
            // Runs of earlier versions did not write it.
            None => self.fit_start(),
        }
    }

    /// Fits the prior of a Gaussian start to the observations.
    fn fit_start(&self) -> Result<Option<InitialPrior>> {
        let Some(init) = self.config.init.of_core() else { return Ok(None) };
        Ok(self.trainer.fit_prior(&init)?)
    }

    /// Reads reconstructions made elsewhere, which must have the same number of signals and the same length.
    fn others(&self, path: &Path) -> Result<Samples> {
        let file = reconstructions_of(path)?;
        let x = crate::data::observations::load_signals(
            &file,
            "x",
            &signals(self.config.signal_len(), self.image_shape()),
        )?;
        if let Some(warning) = inspection(&self.config, false).of_signals(&x) {
            eprintln!("warning: {}: {warning}", file.display());
        }
        let n = self.dataset.observations.n();
        if x.n() != n {
            bail!(
                "{}: found reconstructions of {} observations, expected {n}; give reconstructions of the same data",
                file.display(),
                x.n()
            );
        }
        Ok(x)
    }

    fn warm_start(&self, path: &Path, mut x: Samples) -> Result<First> {
        let posterior = world().agree(lap_dir(path, None).and_then(|dir| self.load(&dir)))?;
        let posterior = world().deal(posterior)?;
        let key = Key::new(self.config.seed, Purpose::Sample, 0);
        self.e_step(&posterior, &self.dataset.observations, key).all_into(&mut x)?;
        Ok(First::Warm(x, Box::new(posterior)))
    }

    /// Reads the posterior of a lap directory.
    fn load(&self, dir: &Path) -> Result<Posterior> {
        let (weights, _): (Vec<f32>, serde_json::Value) = read_weights(dir, &self.layout)?;
        let path = dir.join("frame.safetensors");
        let standardizer = checkpoint::decode_standardizer(&crate::files::read(&path)?, self.config.signal_len());
        let standardizer = standardizer.with_context(|| path.display().to_string())?;
        Ok(self.trainer.posterior_in(&from_host(weights, &self.device), standardizer))
    }

    /// The posterior of lap `lap`, or of the best lap if it is `None`, together with the number of that lap.
    pub fn posterior(&self, lap: Option<usize>) -> Result<(usize, Posterior)> {
        let dir = lap_dir(self.run.path(), lap)?;
        let lap =
            dir.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix("lap-")).and_then(|n| n.parse().ok());
        Ok((lap.unwrap_or(0), self.load(&dir)?))
    }

    /// [`Session::posterior`] with its draws dealt to all ranks.
    pub fn dealt_posterior(&self, lap: Option<usize>) -> Result<(usize, Posterior)> {
        let (lap, posterior) = world().agree(self.posterior(lap))?;
        Ok((lap, world().deal(posterior)?))
    }

    /// The E-step that makes one draw per observation with the noise of `key`.
    pub fn e_step<'a>(
        &'a self,
        posterior: &'a Posterior,
        observations: &'a Observations,
        key: Key,
    ) -> EStep<'a, NetworkConfig> {
        EStep { posterior, observations, key }
    }

    /// Writes the settings that the run was opened with into its configuration. Returns an error and writes
    /// nothing if another process trains the run, if the settings describe a different run or one with fewer laps than are
    /// finished, or if the saved state cannot be read.
    pub fn keep_settings(&self) -> Result<()> {
        let _lock = self.run.lock()?;
        self.run.check_same(&self.config)?;
        let (laps, finished) = (self.config.em.laps, self.run.laps()?.last().copied().unwrap_or(0));
        if laps < finished {
            let run = self.run.path().display();
            bail!(
                "em.laps={laps}: {run} has finished {finished} laps already; give {finished} or more. Every lap is kept: \
                 `diffem sample {run} --lap {laps}` and `diffem evaluate {run} --laps {laps}` use an earlier one"
            );
        }
        self.run.latest_state(&self.config, self.layout.len(), &self.device)?;
        self.run.write_config(&self.config)
    }

    /// Shape of a signal as an image; `None` if signals are not images.
    pub fn image_shape(&self) -> Option<ImageShape> {
        self.config.data.image_shape()
    }

    /// The shape of signals that can be drawn as pictures; other images, such as real and imaginary planes, cannot.
    pub fn picture_shape(&self) -> Option<ImageShape> {
        self.image_shape().filter(|shape| matches!(shape.channels, 1 | 3))
    }
}
