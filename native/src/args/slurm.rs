//! The job script of a run on a cluster.

use super::shared::Settings;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How the ranks of a job are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// Slurm's own, through PMIx
    #[default]
    Srun,
    /// That of the MPI library
    Mpirun,
}

/// `diffem slurm`
///
/// The script goes to standard output; nothing is submitted. The job begins the run or resumes it. Before its time limit
/// it saves the run and puts itself into the queue again, until all laps are done. The program must be built with
/// `--features mpi` for more than one rank.
#[derive(Args, Debug)]
pub struct Slurm {
    /// Run directory, on a file system that all nodes share
    pub run: PathBuf,
    /// A preset or a TOML file with which the job begins the run; not needed for a run that exists
    #[arg(long, value_name = "PRESET|FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
    /// Your own observations, as `train` takes them
    #[arg(long, value_name = "FILE")]
    pub observations: Option<PathBuf>,
    /// Processes that work on the run together
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub ranks: usize,
    /// Processor cores per rank
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub cpus_per_task: usize,
    /// GPUs per rank, 0 or 1
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub gpus_per_task: usize,
    /// Time limit of the job, as sbatch takes it
    #[arg(long, default_value = "4:00:00", value_name = "TIME")]
    pub time: String,
    /// Seconds before the time limit at which the run is saved
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub margin: usize,
    /// Partition of the cluster
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// How the ranks are started
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    pub launcher: Launcher,
}
