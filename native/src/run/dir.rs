//! A run on disk. Every file appears whole (temporary name, then rename), and a lap is finished when its
//! `DONE` exists.
//!
//!     config.toml  observations.safetensors  truth.safetensors  metrics.jsonl  summary.json  figures/
//!     lap-000/ reconstructions                          the start
//!     lap-003/ model, ema, frame, state, reconstructions, DONE
//!     names.txt                                         the file of each observation, where each has one
//!     start.safetensors                                 the prior of a Gaussian start
//!     state.safetensors                                 the last saved state within a lap
//!     e-step-003.safetensors                            reconstructions of the current lap made so far
//!     prior/ model, ema, frame                          the unconditional denoiser, if one was trained
//!     prior-state.safetensors                           the last saved state of its training
//!
//! `frame.safetensors` holds the standardizer.

use crate::config::Config;
use crate::config::compatible::same_run;
use crate::data::layout::Rows;
use crate::data::tensor_file::{TensorFile, write_rows};
use crate::files;
use crate::run::dataset::{Dataset, Truth};
use crate::run::making::Making;
use crate::run::names;
use anyhow::{Context, Result, bail};
use diffem::em::{InitialPrior, Phase, State};
use diffem::network::Layout;
use diffem::{Observations, Samples, checkpoint};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of u1, u2 and u3 in truth.safetensors.
const U: [&str; 3] = ["u1", "u2", "u3"];

/// File with the names of the observations.
const NAMES: &str = "names.txt";

/// What to do about a state that cannot be read.
const DAMAGED: &str = "this state cannot be read; restore it, or delete it (in a lap, the whole directory of that lap) to \
                       go on from the point before it";

/// The directory of a run.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Number of directories, this one and its parents, that [`RunDir::create`] created.
    made: usize,
    /// The mark of a directory that is not a run yet.
    making: Option<Arc<Making>>,
}

impl RunDir {
    /// Creates a run directory. Returns an error if the directory exists and holds anything but what a killed process left
    /// of a run that had not begun.
    pub fn create(path: &Path) -> Result<Self> {
        let made = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).count();
        files::ensure_writable_dir(path)?;
        let making = Some(Arc::new(Making::of(path)?));
        Ok(Self { path: path.to_path_buf(), made, making })
    }

    /// Removes a run whose start failed, that is, one that holds no lap, not even the start. A run that
    /// another process holds is left alone.
    pub fn discard_unstarted(&self) {
        let Ok(_lock) = self.lock() else { return };
        let begun = self.file("state.safetensors").exists() || self.laps().is_ok_and(|laps| !laps.is_empty());
        if !begun {
            // Errors of the removal are dropped, because the user needs to read why the start failed.
            let _ = if self.made > 0 { std::fs::remove_dir_all(&self.path) } else { files::empty_dir(&self.path) };
            let _ = self.path.ancestors().take(self.made).skip(1).try_for_each(std::fs::remove_dir);
        }
    }

    /// Deletes incomplete files that a killed process left behind.
    pub fn clear_leftovers(&self) -> Result<()> {
        [self.path.clone(), self.file("figures")].iter().try_for_each(|dir| files::clear_leftovers(dir))?;
        self.laps()?.into_iter().map(|lap| self.e_step(lap)).try_for_each(|path| files::remove_if_there(&path))
    }

    /// Opens a run directory made by `train`.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.to_path_buf(), made: 0, making: None };
        if !run.file("config.toml").is_file() {
            bail!("{} is not a run directory: it has no config.toml; make one with `diffem train`", path.display());
        }
        Ok(run)
    }

    /// Path of `name` inside the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Directory of lap `lap`.
    pub fn lap(&self, lap: usize) -> PathBuf {
        self.path.join(format!("lap-{lap:03}"))
    }

    /// Keeps other processes from writing to this run while the returned file is open.
    pub fn lock(&self) -> Result<File> {
        let file =
            File::create(self.file(".lock")).with_context(|| format!("cannot write in {}", self.path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                bail!("{} is being trained by another process; wait for it or stop it", self.path.display())
            }
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("cannot lock {}", self.path.display())),
        }
    }

    /// The run's configuration, overridden by `key=value` settings.
    pub fn config(&self, settings: &[String]) -> Result<Config> {
        let path = self.file("config.toml");
        let text =
            String::from_utf8(files::read(&path)?).with_context(|| format!("{}: not UTF-8 text", path.display()))?;
        crate::config::parse(&text, &path.display().to_string(), settings)
    }

    /// Returns an error if `config` describes a different run than this one.
    pub fn check_same(&self, config: &Config) -> Result<()> {
        same_run(&self.config(&[])?, config).with_context(|| self.file("config.toml").display().to_string())
    }

    /// Writes observations, truth and configuration. config.toml is written last, because it marks the
    /// directory as a run.
    pub fn write_dataset(&self, config: &Config, dataset: &Dataset) -> Result<()> {
        write(&self.file("observations.safetensors"), &tables_of(&dataset.observations, ""))?;
        let t = &dataset.truth;
        let mut truth: Vec<(String, &Samples)> = t.x.iter().map(|x| ("x".to_string(), x)).collect();
        truth.extend(t.u.iter().flat_map(|u| U.iter().zip(u).map(|(name, u)| (name.to_string(), u))));
        if let Some((x, observations)) = &t.test {
            truth.push(("test_x".to_string(), x));
            truth.extend(tables_of(observations, "test_"));
        }
        if !truth.is_empty() {
            write(&self.file("truth.safetensors"), &truth)?;
        }
        dataset.names.iter().try_for_each(|list| names::write(&self.file(NAMES), list))?;
        self.write_config(config)?;
        self.making.as_ref().map_or(Ok(()), |making| making.finish())
    }

    /// Writes the resolved configuration.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        files::write_atomic(&self.file("config.toml"), config.to_toml()?.as_bytes())
    }

    /// Reads back what [`RunDir::write_dataset`] wrote.
    pub fn dataset(&self) -> Result<Dataset> {
        let mut file = TensorFile::open(&self.file("observations.safetensors"), "y")?;
        let observations = observations_of(&mut file, "")?;
        let names = names::read(&self.file(NAMES), observations.n())?;
        let path = self.file("truth.safetensors");
        if !path.exists() {
            return Ok(Dataset { observations, truth: Truth::default(), warnings: Vec::new(), read: true, names });
        }
        let mut file = TensorFile::open(&path, "x")?;
        let x = optional(&mut file, "x")?;
        let [u1, u2, u3] = U.map(|name| optional(&mut file, name));
        let u = match (u1?, u2?, u3?) {
            (Some(a), Some(b), Some(c)) => Some([a, b, c]),
            _ => None,
        };
        let test = match optional(&mut file, "test_x")? {
            Some(x) => Some((x, observations_of(&mut file, "test_")?)),
            None => None,
        };
        Ok(Dataset { observations, truth: Truth { x, u, test }, warnings: Vec::new(), read: true, names })
    }

    /// Writes the finished lap `lap` atomically: into a temporary directory, which is then renamed.
    pub fn write_lap(&self, lap: usize, layout: &Layout, state: &State, config: &Config) -> Result<()> {
        let meta = weights_meta(config, lap);
        let host = |t| diffem::network::to_host(t);
        files::replace_dir(&self.lap(lap), |dir| {
            write_rows(&dir.join("reconstructions.safetensors"), &[("x", &state.x)])?;
            if lap > 0 {
                let weights = checkpoint::encode_weights(layout, &host(&state.optim.weights)?, &meta)?;
                files::write_atomic(&dir.join("model.safetensors"), &weights)?;
                let average = checkpoint::encode_weights(layout, &host(&state.optim.average)?, &meta)?;
                files::write_atomic(&dir.join("ema.safetensors"), &average)?;
                files::write_atomic(
                    &dir.join("frame.safetensors"),
                    &checkpoint::encode_standardizer(&state.standardizer)?,
                )?;
                files::write_atomic(&dir.join("state.safetensors"), &diffem::em::encode_state(state, config)?)?;
            }
            files::write_atomic(&dir.join("DONE"), b"")
        })
    }

    /// Writes the prior of a Gaussian start.
    pub fn write_start(&self, prior: &InitialPrior) -> Result<()> {
        files::write_atomic(&self.file("start.safetensors"), &diffem::em::encode_start(prior)?)
    }

    /// The prior of a Gaussian start for signals of length `d`; `None` if none was written.
    pub fn start(&self, d: usize) -> Result<Option<InitialPrior>> {
        let path = self.file("start.safetensors");
        if !path.exists() {
            return Ok(None);
        }
        let prior = diffem::em::decode_start(&files::read(&path)?, d);
        prior.map(Some).with_context(|| format!("{}: delete it, and it will be made again", path.display()))
    }

    /// Path of the reconstructions of lap `lap` while its E-step runs.
    pub(super) fn e_step(&self, lap: usize) -> PathBuf {
        self.file(&format!("e-step-{lap:03}.safetensors"))
    }

    /// Deletes the files that a lap needs only until it is finished.
    pub fn clear_lap(&self, lap: usize) -> Result<()> {
        [self.file("state.safetensors"), self.e_step(lap)].iter().try_for_each(|path| files::remove_if_there(path))
    }

    /// Saves a state within a lap. The reconstructions that it counts as done reach the disk first.
    pub fn write_state(&self, state: &State, config: &Config) -> Result<()> {
        if state.done > 0 {
            files::sync(&self.e_step(state.lap))?;
        }
        files::write_atomic(&self.file("state.safetensors"), &diffem::em::encode_state(state, config)?)
    }

    /// The finished laps in ascending order.
    pub fn laps(&self) -> Result<Vec<usize>> {
        let entries = std::fs::read_dir(&self.path).with_context(|| format!("cannot list {}", self.path.display()))?;
        let lap = |entry: std::io::Result<std::fs::DirEntry>| -> Option<usize> {
            let entry = entry.ok()?;
            let lap = entry.file_name().to_str()?.strip_prefix("lap-")?.parse().ok()?;
            entry.path().join("DONE").exists().then_some(lap)
        };
        let mut laps: Vec<usize> = entries.filter_map(lap).collect();
        laps.sort_unstable();
        Ok(laps)
    }

    /// The most advanced saved state; `None` if there is none yet.
    pub fn latest_state(
        &self,
        config: &Config,
        parameters: usize,
        device: &burn::tensor::Device,
    ) -> Result<Option<State>> {
        let mut candidates: Vec<PathBuf> = self
            .laps()?
            .last()
            .filter(|lap| **lap > 0)
            .map(|lap| self.lap(*lap).join("state.safetensors"))
            .into_iter()
            .collect();
        candidates.extend(Some(self.file("state.safetensors")).filter(|p| p.exists()));
        let mut best: Option<State> = None;
        for path in candidates {
            let mut state = read_state(&path, config, parameters, device)?;
            state.x = self.reconstructions(state.lap - 1)?;
            self.check_rows(&state, config.signal_len()).with_context(|| path.display().to_string())?;
            if best.as_ref().is_none_or(|b| progress_of(&state) > progress_of(b)) {
                best = Some(state);
            }
        }
        Ok(best)
    }

    /// Returns an error if the numbers of rows and columns in `state` do not match this run's observations.
    fn check_rows(&self, state: &State, d: usize) -> Result<()> {
        let path = self.file("observations.safetensors");
        let n = TensorFile::open(&path, "y")?.rows_of("y")?.0;
        if (state.x.n(), state.x.d()) != (n, d) || state.done > n {
            bail!(
                "it belongs to reconstructions [{}, {}] and {} holds {n} observations of signals of length {d}; put the run's \
                 own files back",
                state.x.n(),
                state.x.d(),
                path.display()
            );
        }
        Ok(())
    }

    /// Reconstructions of lap `lap`, `[n, d]`.
    pub fn reconstructions(&self, lap: usize) -> Result<Samples> {
        let path = self.lap(lap).join("reconstructions.safetensors");
        crate::data::observations::load_signals(&path, "x", &Rows::of(None))
    }
}

/// Sort key by which a later state of a run compares greater.
pub fn progress_of(state: &State) -> (usize, bool, usize, usize) {
    (state.lap, state.phase == Phase::EStep, state.step, state.done)
}

fn weights_meta(config: &Config, lap: usize) -> BTreeMap<&'static str, serde_json::Value> {
    BTreeMap::from([("lap", serde_json::json!(lap)), ("config", serde_json::json!(config))])
}

/// Reads a saved state of the run with this configuration and a network of `parameters` weights.
pub fn read_state(path: &Path, config: &Config, parameters: usize, device: &burn::tensor::Device) -> Result<State> {
    let bytes = files::read(path)?;
    let decode = || -> Result<State> {
        // The configuration is compared first, because its message names the setting that differs and not
        // only a shape.
        let (_, Of { run }) = checkpoint::decode::<Of>("state", &bytes).context(DAMAGED)?;
        same_run(&run, config)?;
        Ok(diffem::em::decode_state::<Config>(&bytes, parameters, config.signal_len(), device)?.0)
    };
    decode().with_context(|| path.display().to_string())
}

/// The part of a state's metadata that identifies the run it belongs to.
#[derive(Deserialize)]
struct Of {
    run: Config,
}

/// The averaged weights of a lap directory, and the metadata `M` stored with them, such as the configuration
/// they were trained with.
pub fn read_weights<M: DeserializeOwned>(dir: &Path, layout: &Layout) -> Result<(Vec<f32>, M)> {
    let path = dir.join("ema.safetensors");
    let bytes = files::read(&path)?;
    let advice = "cannot use these weights; restore the run's files, or choose another lap";
    checkpoint::decode_weights(layout, &bytes).with_context(|| format!("{}: {advice}", path.display()))
}

fn tables_of<'o>(observations: &'o Observations, prefix: &str) -> Vec<(String, &'o Samples)> {
    let y = std::iter::once((format!("{prefix}y"), &observations.y));
    y.chain(observations.a.iter().map(|a| (format!("{prefix}a"), a))).collect()
}

fn optional(file: &mut TensorFile, name: &str) -> Result<Option<Samples>> {
    file.has(name).then(|| file.rows(name)).transpose()
}

fn observations_of(file: &mut TensorFile, prefix: &str) -> Result<Observations> {
    Ok(Observations { y: file.rows(&format!("{prefix}y"))?, a: optional(file, &format!("{prefix}a"))? })
}

fn write(path: &Path, tables: &[(String, &Samples)]) -> Result<()> {
    write_rows(path, &tables.iter().map(|(name, x)| (name.as_str(), *x)).collect::<Vec<_>>())
}
