//! What a process can tell about its ranks without MPI, and the count of what it sends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
#[cfg(feature = "mpi")]
use std::time::Instant;

/// Sums over the life of the process.
pub struct Traffic {
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Traffic {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { bytes: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) }
    }

    /// Adds a call that sent `bytes` and lasted since `began`.
    #[cfg(feature = "mpi")]
    pub fn add(&self, bytes: usize, began: Instant) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.nanoseconds.fetch_add(began.elapsed().as_nanos() as u64, Relaxed);
    }

    /// Bytes sent, and seconds of calls.
    pub fn sums(&self) -> (u64, f64) {
        (self.bytes.load(Relaxed), self.nanoseconds.load(Relaxed) as f64 * 1e-9)
    }
}

/// The first of the environment's variables `names` that is a number.
fn number(names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| std::env::var(name).ok().and_then(|value| value.parse().ok()))
}

/// Number of ranks that this process was started with; 1 where it was started alone.
pub fn started() -> usize {
    // Open MPI and MPICH say it themselves. Slurm's own start through PMIx says only the rank; its other variables exist
    // in scripts as well, where a process is alone.
    let slurm = || number(&["PMIX_RANK"]).and_then(|_| number(&["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]));
    number(&["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]).or_else(slurm).unwrap_or(1)
}

/// Lets only one of several processes go on to fail. Starters end all processes when the first one has failed, so the others
/// wait until it has spoken.
pub fn leave_it_to_the_first() {
    if number(&["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"]).unwrap_or(0) != 0 {
        std::thread::sleep(Duration::from_secs(1));
        std::process::exit(2);
    }
}
