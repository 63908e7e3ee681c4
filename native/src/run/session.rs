//! A run opened for work: configuration, channel, network, observations and device together.

use crate::config::Config;
use crate::data::mapped::scratch;
use crate::run::dataset::Dataset;
use crate::run::dir::{RunDir, read_weights};
use crate::run::laps::{lap_dir, reconstructions_of};
use crate::run::prior::Prior;
use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use diffem::channel::Compose;
use diffem::conditioning::Standardizer;
use diffem::conditioning::{Conditioning, feature_len};
use diffem::em::{EStep, Em, InitConfig, InitialPrior, corrupted_init_into};
use diffem::image::ImageShape;
use diffem::network::{AnyNetwork, Layout, flatten, from_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use diffem::{checkpoint, em::State};
use std::path::Path;

/// Everything a command needs of a run.
pub struct Session {
    /// The directory.
    pub run: RunDir,
    /// Its configuration.
    pub config: Config,
    /// The channel.
    pub channel: Compose,
    /// The architecture with its initial weights, outside autodiff.
    pub network: AnyNetwork,
    /// Its parameters.
    pub layout: Layout,
    /// Observations and truth.
    pub dataset: Dataset,
    /// Where to compute.
    pub device: Device,
    /// Its name.
    pub device_name: String,
}

impl Session {
    /// Makes a run directory for `config` and opens it.
    pub fn create(out: &Path, config: Config, device: &str) -> Result<Self> {
        let (device_name, device) = crate::device::open(device)?;
        let channel = config.build_channel()?;
        let run = RunDir::create(out)?;
        let made = run.clone();
        let dataset = || -> Result<Dataset> {
            let dataset = crate::run::dataset::make(&config, &channel, run.path())?;
            crate::resources::check_disk(out, dataset.values_on_disk(config.signal_len()))?;
            run.write_dataset(&config, &dataset)?;
            drop(dataset);
            // Large tables stay in the files just written.
            run.dataset()
        };
        dataset()
            .and_then(|dataset| Self::assemble(run.clone(), config, channel, dataset, device, device_name))
            .inspect_err(|_| made.discard_unstarted())
    }

    /// Opens an existing run with `key=value` settings on top of its configuration.
    pub fn open(path: &Path, settings: &[String], device: &str) -> Result<Self> {
        let run = RunDir::open(path)?;
        let config = run.config(settings)?;
        let (device_name, device) = crate::device::open(device)?;
        let channel = config.build_channel()?;
        let dataset = run.dataset()?;
        let checked = dataset.observations.clone();
        let file = run.file("observations.safetensors");
        Observations::new(&channel, checked.y, checked.a).with_context(|| file.display().to_string())?;
        Self::assemble(run, config, channel, dataset, device, device_name)
    }

    fn assemble(
        run: RunDir,
        config: Config,
        channel: Compose,
        dataset: Dataset,
        device: Device,
        device_name: String,
    ) -> Result<Self> {
        let features = feature_len(&channel, &config.conditioning);
        let (d, image) = (config.signal_len(), config.image_shape());
        let network = config.network.init(d, image, features, config.seed, &device)?;
        let layout = Layout::of(&network);
        Ok(Self { run, config, channel, network, layout, dataset, device, device_name })
    }

    /// The laps of this run.
    pub fn em(&self) -> Em<'_, AnyNetwork> {
        let c = &self.config;
        Em {
            network: &self.network,
            schedule: &c.schedule,
            channel: &self.channel,
            image: c.image_shape(),
            conditioning: &c.conditioning,
            observations: &self.dataset.observations,
            em: &c.em,
            m_step: &c.m_step,
            e_step: &c.e_step,
            monitor: &c.monitor,
            seed: c.seed,
            device: &self.device,
            tables: &self.run,
        }
    }

    /// The state before lap 1; keeps the prior of a Gaussian start in the run.
    pub fn start(&self) -> Result<State> {
        if let InitConfig::Reconstructions { path } = &self.config.em.start {
            return Ok(self.em().begin(self.others(Path::new(path))?, flatten(&self.network), None)?);
        }
        let (channel, observations, config) = (&self.channel, &self.dataset.observations, &self.config);
        let mut x = scratch(self.run.path(), observations.n(), config.signal_len())?;
        match (self.fit_start()?, &config.em.start) {
            (Some(prior), _) => {
                self.run.write_start(&prior)?;
                prior.reconstruct_into(channel, observations, config.seed, &mut x)?;
            }
            (None, InitConfig::Checkpoint { path }) => return self.warm_start(Path::new(path), x),
            (None, InitConfig::Prior { path }) => {
                Prior::of(Path::new(path), &self.device)?.guided_into(channel, observations, config, &mut x)?;
            }
            (None, _) => corrupted_init_into(channel, observations, &mut x)?,
        }
        Ok(self.em().begin(x, flatten(&self.network), None)?)
    }

    /// The Gaussian prior that this run started from; `None` for other starts.
    pub fn start_prior(&self) -> Result<Option<InitialPrior>> {
        match self.run.start(self.config.signal_len())? {
            Some(prior) => Ok(Some(prior)),
            // Runs of earlier versions have not kept it.
            None => self.fit_start(),
        }
    }

    /// Fits the prior of a Gaussian start to the observations.
    fn fit_start(&self) -> Result<Option<InitialPrior>> {
        let InitConfig::Gaussian { std, iterations, rank } = self.config.em.start else {
            return Ok(None);
        };
        let (channel, observations, seed) = (&self.channel, &self.dataset.observations, self.config.seed);
        Ok(Some(InitialPrior::fit(channel, observations, rank, std, iterations, seed)?))
    }

    /// Reconstructions made elsewhere, which must be of as many signals of the same length.
    fn others(&self, path: &Path) -> Result<Samples> {
        let file = reconstructions_of(path)?;
        let x = crate::data::observations::load_signals(&file, "x", Some(self.config.signal_len()))?;
        let n = self.dataset.observations.n();
        if x.n() != n {
            bail!(
                "{}: reconstructions of {} observations, expected {n}: they must be of the same data",
                file.display(),
                x.n()
            );
        }
        Ok(x)
    }

    fn warm_start(&self, path: &Path, mut x: Samples) -> Result<State> {
        let dir = lap_dir(path, None)?;
        let posterior = self.load(&dir)?;
        let key = Key::new(self.config.seed, Purpose::Sample, 0);
        self.e_step(&posterior, &self.dataset.observations, key).all_into(self.config.e_step.shard, &mut x)?;
        Ok(self.em().begin(x, flatten(&posterior.0), Some(posterior.1))?)
    }

    /// The posterior network of a lap directory and the coordinates it works in.
    fn load(&self, dir: &Path) -> Result<(AnyNetwork, Standardizer)> {
        let (weights, _): (Vec<f32>, serde_json::Value) = read_weights(dir, &self.layout)?;
        let path = dir.join("frame.safetensors");
        let standardizer = checkpoint::decode_standardizer(&crate::files::read(&path)?, self.config.signal_len());
        let network = unflatten(self.network.clone(), &from_host(weights, &self.device));
        Ok((network, standardizer.with_context(|| path.display().to_string())?))
    }

    /// The posterior of lap `lap`, or of the best lap; says which.
    pub fn posterior(&self, lap: Option<usize>) -> Result<(usize, (AnyNetwork, Standardizer))> {
        let dir = lap_dir(self.run.path(), lap)?;
        let lap =
            dir.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix("lap-")).and_then(|n| n.parse().ok());
        Ok((lap.unwrap_or(0), self.load(&dir)?))
    }

    /// Posterior sampling of `observations` with this run's sampler.
    pub fn e_step<'a>(
        &'a self,
        (network, standardizer): &'a (AnyNetwork, Standardizer),
        observations: &'a Observations,
        key: Key,
    ) -> EStep<'a, AnyNetwork> {
        EStep {
            network,
            schedule: &self.config.schedule,
            conditioning: Conditioning { channel: &self.channel, config: &self.config.conditioning, standardizer },
            observations,
            sampler: &self.config.e_step.sampler,
            key,
            device: &self.device,
        }
    }

    /// `draws` posterior draws of each of `seen`, those of one side by side: `[n draws, d]`.
    pub fn draws(
        &self,
        network: &(AnyNetwork, Standardizer),
        seen: &Observations,
        draws: usize,
        seed: u64,
    ) -> Result<Samples> {
        let rows: Vec<usize> = (0..seen.n()).flat_map(|i| std::iter::repeat_n(i, draws)).collect();
        let key = Key::new(seed, Purpose::Draw, 0);
        Ok(self.e_step(network, &seen.select(&rows), key).all(self.config.e_step.shard)?)
    }

    /// Writes the settings that the run was opened with into its configuration. Nothing is kept while another process trains the
    /// run, if another run would come of it, or if it cannot go on.
    pub fn keep_settings(&self) -> Result<()> {
        let _lock = self.run.lock()?;
        self.run.check_same(&self.config)?;
        self.run.latest_state(&self.config, self.layout.len(), &self.device)?;
        self.run.write_config(&self.config)
    }

    /// Shape of the images that the signals are, if they are images.
    pub fn image_shape(&self) -> Option<ImageShape> {
        self.config.data.image_shape()
    }
}
