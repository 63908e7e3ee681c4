//! Expectation-maximization reconstructs every observation with the current posterior (E-step), trains the
//! posterior on freshly re-corrupted reconstructions (M-step), and repeats (DiffEM, arXiv 2510.12691,
//! algorithm 1).
//!
//! A lap is one iteration of EM: an M-step, then an E-step. [`Em`] checks the settings and builds a [`Run`]; a [`Trainer`] is a
//! run whose [`State`] the caller keeps.
//!
//! This module touches no file, clock or terminal. An [`Observer`] receives every event and may stop the run;
//! [`State`] is consistent at every event, so a run that is saved there and continued later gives the same
//! bytes as one that never stops.

mod builder;
mod comparison;
mod config;
mod e_step;
mod hidden;
mod init;
mod likelihood;
mod m_step;
mod monitor;
mod noise_level;
mod reconstruct;
mod relaxation;
mod run;
mod saved;
mod state;
mod trainer;

pub use crate::method::{Operators, Recorruption};
pub use builder::Em;
pub use config::{EStepConfig, EmConfig, MStepConfig, MonitorConfig};
pub use e_step::EStep;
pub use init::{GaussianInit, InitConfig, InitialPrior, corrupted_init, corrupted_init_into, most_covariance};
pub use m_step::MStep;
pub use monitor::MonitorRecord;
pub use noise_level::estimate_noise;
pub use run::Run;
pub use saved::{decode_start, decode_state, encode_start, encode_state};
pub use state::{Event, LapRecord, Observer, Phase, State};
pub use trainer::Trainer;
