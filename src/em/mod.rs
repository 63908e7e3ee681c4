//! Expectation-maximization: reconstruct every observation with the current posterior (E-step), train the posterior on
//! the reconstructions re-corrupted afresh (M-step), repeat (DiffEM, arXiv 2510.12691, algorithm 1).
//!
//! No file, clock or terminal is touched here. An [`Observer`] is told what happened and may stop the run; [`State`] is
//! consistent at every event, so saving it there and continuing later gives the same bytes as never stopping.

mod config;
mod e_step;
mod init;
mod m_step;
mod monitor;
mod run;

pub use config::{EStepConfig, EmConfig, InitConfig, MStepConfig, MonitorConfig, Recorruption};
pub use e_step::{Draws, EStep, Row};
pub use init::{InitialPrior, corrupted_init, corrupted_init_into, gaussian_init, most_covariance};
pub use m_step::MStep;
pub use monitor::MonitorRecord;
pub use run::{Em, Event, LapRecord, Observer, Phase, State};
