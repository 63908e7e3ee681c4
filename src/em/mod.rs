//! Expectation-maximisation: reconstruct every observation with the current posterior (E-step), train the posterior on
//! the reconstructions re-corrupted afresh (M-step), repeat (DiffEM, arXiv 2510.12691, algorithm 1).
//!
//! No file, clock or terminal is touched here. An [`Observer`] is told what happened and may stop the run; [`State`] is
//! consistent at every event, so saving it there and continuing later gives the same bytes as never stopping.

mod config;
mod e_step;
mod m_step;
mod monitor;
mod run;
mod start;

pub use config::{EStepConfig, EmConfig, MStepConfig, MonitorConfig, Recorruption, StartConfig};
pub use e_step::{Draws, EStep, Row};
pub use m_step::MStep;
pub use monitor::MonitorRecord;
pub use run::{Em, Event, LapRecord, Observer, Phase, State};
pub use start::{StartPrior, corrupted_start, corrupted_start_into, gaussian_start, most_covariance};
