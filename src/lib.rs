//! # diffem
//!
//! Diffusion models trained from corrupted observations only (DiffEM, arXiv 2510.12691).
//!
//! * **Channel**: how a signal x becomes an observation, y ~ Q(. | x, a), with known parameters a that may differ from
//!   observation to observation ([`channel`]).
//! * **Run**: expectation-maximization in laps. An M-step trains the network on the reconstructions, corrupted afresh; an
//!   E-step reconstructs every observation with the new network ([`Em`]). No clean signal is ever seen.
//! * **Posterior**: what is learned, q(x | y), ready to sample for observations old and new ([`Posterior`]).
//!
//! ```
//! use burn::tensor::Device;
//! use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
//! use diffem::{Em, Observations, Samples, network::MlpConfig};
//!
//! let channel = ChannelConfig::from([ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.05.into() }.into()]).build(2)?;
//! let circle = Samples::new((0..512).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect(), 2);
//! let [seen, new] = [0, 1].map(|seed| Observations::observe(&channel, &circle, seed));
//! let network = MlpConfig { width: 64, depth: 2, embedding: 16 };
//! let mut run = Em::new(channel, seen).network(network).laps(2).steps(50).seed(0).build(&Device::flex())?;
//! run.run(|event| println!("{event}"))?;
//! let draws = run.posterior()?.sample(&new, 16)?; // 16 per observation, side by side
//! assert_eq!((draws.n(), draws.d()), (512 * 16, 2));
//! # Ok::<(), diffem::Error>(())
//! ```
//!
//! | room | what it holds |
//! |---|---|
//! | [`channel`] | corruptions and their linear-Gaussian form, [`Observations`] |
//! | [`gaussian`] | Gaussians in closed form, exact EM |
//! | [`schedule`], [`denoiser`], [`sampler`] | noise levels, E\[x given x_t, y\], samplers |
//! | [`network`] | built-in networks; a [`network::NetworkSpec`] of your own |
//! | [`conditioning`] | how an observation enters the denoiser |
//! | [`method`] | DiffEM, EM-MMPS, Ambient Diffusion |
//! | [`em`] | laps, their two steps, the start, held-out scores |
//! | [`posterior`] | sampling, and a posterior in one file |
//! | [`ranks`] | one run on several processes or machines |
//! | [`metric`], [`baseline`], [`synthetic`] | scores, classical restoration, made data |
//! | [`conformance`] | backends held to one another |
//!
//! The core knows no files, clocks or terminals. Every random number is a function of (seed, purpose, lap, index, step), so
//! a run is a function of its configuration and seed, for any number of threads.
#![warn(missing_docs)]

pub mod baseline;
pub mod basis;
pub mod channel;
mod check;
pub mod checkpoint;
pub mod conditioning;
pub mod conformance;
pub mod denoiser;
pub mod em;
pub mod error;
pub mod gaussian;
pub mod guide;
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
pub mod ranks;
pub mod sampler;
mod samples;
pub mod schedule;
mod scratch;
pub mod synthetic;
pub mod transfer;

pub use check::{Inspection, Noise, Repeated, Survey};
pub use em::Em;
pub use error::{Error, Result, Warning};
pub use observations::Observations;
pub use parallel::keep_freed_memory;
pub use posterior::Posterior;
pub use ranks::Ranks;
pub use samples::{Buffer, InMemory, Samples, Store};
