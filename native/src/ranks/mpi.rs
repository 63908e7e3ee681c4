//! Ranks connected by MPI. Only the main thread calls it, and an error of MPI ends all ranks, which is its default.

use super::started::{Traffic, started};
use anyhow::{Result, ensure};
use diffem::Ranks;
use mpi_sys::*;
use std::ffi::c_int;
use std::ptr::{from_mut, null_mut};
use std::sync::Arc;
use std::time::Instant;

/// Membership in MPI's world; the last work of a process is to leave it.
pub struct Universe(());

impl Drop for Universe {
    fn drop(&mut self) {
        // SAFETY: MPI was started, and nothing calls it after this.
        unsafe { MPI_Finalize() };
    }
}

/// The ranks of MPI's world.
struct Mpi {
    rank: usize,
    count: usize,
    traffic: &'static Traffic,
}

/// Starts MPI; returns the ranks and the number of this one on its machine.
pub fn join(traffic: &'static Traffic) -> Result<(Universe, Arc<dyn Ranks>, usize)> {
    let (mut level, mut rank, mut count, mut local) = (0, 0, 0, 0);
    // SAFETY: MPI is started once and before any other call; all pointers are to variables of this function.
    unsafe {
        MPI_Init_thread(null_mut(), null_mut(), RSMPI_THREAD_FUNNELED, from_mut(&mut level));
        MPI_Comm_rank(RSMPI_COMM_WORLD, from_mut(&mut rank));
        MPI_Comm_size(RSMPI_COMM_WORLD, from_mut(&mut count));
        let mut machine = RSMPI_COMM_WORLD;
        MPI_Comm_split_type(RSMPI_COMM_WORLD, RSMPI_COMM_TYPE_SHARED, rank, RSMPI_INFO_NULL, from_mut(&mut machine));
        MPI_Comm_rank(machine, from_mut(&mut local));
    }
    let universe = Universe(());
    let asked = started();
    ensure!(
        count as usize == asked,
        "{asked} processes were started and MPI knows of {count}: start them with the mpirun or srun of the MPI library that \
         this program was built with"
    );
    Ok((universe, Arc::new(Mpi { rank: rank as usize, count: count as usize, traffic }), local as usize))
}

/// Ends all ranks at once.
pub fn abort(code: i32) -> ! {
    // SAFETY: the call has no requirements.
    unsafe { MPI_Abort(RSMPI_COMM_WORLD, code) };
    std::process::abort()
}

/// A count of values as MPI takes it. Callers stay below 2^31 values per call.
fn int(count: usize) -> c_int {
    c_int::try_from(count).expect("fewer than 2^31 values")
}

/// Counts and displacements of consecutive pieces of `len` values in all.
fn pieces(counts: &[usize], ranks: usize, len: usize) -> (Vec<c_int>, Vec<c_int>) {
    assert!(counts.len() == ranks && counts.iter().sum::<usize>() == len, "pieces that fill the values");
    let displacement = |at: &mut usize, count: &usize| {
        let from = *at;
        *at += count;
        Some(int(from))
    };
    (counts.iter().map(|&count| int(count)).collect(), counts.iter().scan(0, displacement).collect())
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn gather(&self, mine: &[f32], counts: &[usize], all: &mut [f32]) {
        assert_eq!(mine.len(), counts[self.rank]);
        let (began, (counts, from)) = (Instant::now(), pieces(counts, self.count, all.len()));
        // SAFETY: `mine` has the length that is sent, and the pieces of all ranks lie within `all`.
        unsafe {
            MPI_Allgatherv(
                mine.as_ptr().cast(),
                int(mine.len()),
                RSMPI_FLOAT,
                all.as_mut_ptr().cast(),
                counts.as_ptr(),
                from.as_ptr(),
                RSMPI_FLOAT,
                RSMPI_COMM_WORLD,
            )
        };
        self.traffic.add(size_of_val(mine) * (self.count - 1), began);
    }

    fn exchange(&self, mine: &[f32], to: &[usize], from: &[usize], all: &mut [f32]) {
        let (began, sent) = (Instant::now(), (mine.len() - to[self.rank]) * size_of::<f32>());
        let (to, to_at) = pieces(to, self.count, mine.len());
        let (from, from_at) = pieces(from, self.count, all.len());
        // SAFETY: the pieces that are sent lie within `mine`, and those of all ranks within `all`.
        unsafe {
            MPI_Alltoallv(
                mine.as_ptr().cast(),
                to.as_ptr(),
                to_at.as_ptr(),
                RSMPI_FLOAT,
                all.as_mut_ptr().cast(),
                from.as_ptr(),
                from_at.as_ptr(),
                RSMPI_FLOAT,
                RSMPI_COMM_WORLD,
            )
        };
        self.traffic.add(sent, began);
    }

    fn broadcast(&self, values: &mut [f32]) {
        let (began, count) = (Instant::now(), int(values.len()));
        // SAFETY: `values` has the length that is sent or received.
        unsafe { MPI_Bcast(values.as_mut_ptr().cast(), count, RSMPI_FLOAT, 0, RSMPI_COMM_WORLD) };
        let sent = if self.rank == 0 { size_of_val(values) * (self.count - 1) } else { 0 };
        self.traffic.add(sent, began);
    }
}
