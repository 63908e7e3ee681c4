//! # diffem
//!
//! Diffusion models trained from corrupted observations only (DiffEM, arXiv 2510.12691).
//!
//! A signal x is seen only through a known channel, y ~ Q(. | x, a), with parameters a that may differ from observation to
//! observation. A conditional denoiser D(x_t, σ, y, a) = E[x | x_t, y] drives a sampler; what it samples is the posterior
//! q(x | y). It is trained by expectation-maximization:
//!
//! ```text
//! start   X⁰_i from a Gaussian fitted to the observations by exact EM
//! lap k   M-step: train D on (x, y'), x from X^(k-1), y' ~ Q(. | x) drawn afresh for every mini-batch
//!         E-step: X^k_i ~ q(. | y_i, a_i) for every observation i
//! ```
//!
//! | concept | here |
//! |---|---|
//! | corruption | [`channel::Channel`], [`channel::LinearChannel`], [`Observations`] |
//! | noise levels | [`schedule::Schedule`] |
//! | denoiser | [`denoiser::Denoiser`], [`denoiser::Preconditioned`], [`conditioning::Conditioning`] |
//! | sampler | [`sampler::Sampler`], [`sampler::sample`] |
//! | the laps | [`em::Em`], [`em::EStep`], [`em::MStep`], [`em::Observer`] |
//! | scores | [`metric`] |
//! | made data | [`synthetic`] |
//! | a trained posterior in one file | [`posterior`] |
//! | backends held to one another | [`conformance`] |
//!
//! The core knows no files, clocks or terminals. Every random number is a function of (seed, purpose, lap, index, step), so
//! a run is a function of its configuration and seed, for any number of threads.
//!
//! ```
//! use burn::tensor::Device;
//! use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
//! use diffem::conditioning::{ConditioningConfig, feature_len};
//! use diffem::em::*;
//! use diffem::network::{MlpConfig, flatten};
//! use diffem::noise::{Key, Purpose};
//! use diffem::{InMemory, Observations, Samples, schedule::Schedule};
//! use std::ops::ControlFlow;
//!
//! // 200 points on a circle, each seen through one random projection with noise.
//! let circle = (0..200).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect();
//! let channel = ChannelConfig(vec![ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.05 }.into()]).build(2)?;
//! let observations = Observations::simulate(&channel, &Samples::new(circle, 2), Key::new(0, Purpose::Observe, 0), 0);
//!
//! let (device, schedule, conditioning) = (Device::flex(), Schedule::default(), ConditioningConfig::default());
//! let network = MlpConfig { width: 32, depth: 2, embedding: 16 }.init(2, feature_len(&channel, &conditioning), 0, &device);
//! let (em, m_step) = (EmConfig { laps: 1, ..Default::default() }, MStepConfig { steps: 20, batch: 64, ..Default::default() });
//! let run = Em {
//!     network: &network, schedule: &schedule, channel: &channel, image: None, conditioning: &conditioning,
//!     observations: &observations,
//!     em: &em, m_step: &m_step, e_step: &EStepConfig::default(), monitor: &MonitorConfig::default(), seed: 0, device: &device,
//!     tables: &InMemory,
//! };
//! let (x0, _) = gaussian_init(&channel, &observations, 1.0, 16, 0)?;
//! let mut state = run.begin(x0, flatten(&network), None)?;
//! run.run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(()))?;
//! assert_eq!((state.x.n(), state.x.d()), (200, 2));
//! # Ok::<(), diffem::Error>(())
//! ```
#![warn(missing_docs)]

pub mod baseline;
pub mod channel;
pub mod checkpoint;
pub mod conditioning;
pub mod conformance;
pub mod dct;
pub mod denoiser;
pub mod em;
pub mod error;
pub mod gaussian;
pub mod image;
mod kernels;
pub mod method;
pub mod metric;
pub mod network;
pub mod noise;
mod observations;
pub mod optim;
mod parallel;
pub mod posterior;
pub mod sampler;
mod samples;
pub mod schedule;
mod scratch;
pub mod synthetic;

pub use error::{Error, Result};
pub use observations::Observations;
pub use parallel::keep_freed_memory;
pub use samples::{Buffer, InMemory, Samples, Store};
