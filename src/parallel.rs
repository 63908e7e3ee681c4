//! Parallel loops: threads natively, a plain loop in wasm. The caller cuts work into pieces that do
//! not depend on the number of threads, and results are returned in order, so the thread count
//! never changes a bit. Where nothing can run at the same time, no thread is woken for the work of another.

use crate::error::Result;
use crate::samples::Samples;
#[cfg(not(target_arch = "wasm32"))]
use rayon::prelude::*;
use std::ops::Range;

/// Returns `[f(0), ..., f(n - 1)]`.
pub fn map<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(not(target_arch = "wasm32"))]
    if n > 1 && workers() > 1 {
        return (0..n).into_par_iter().map(f).collect();
    }
    (0..n).map(f).collect()
}

/// Calls `first` on this thread and `second`, if there is one, on another at the same time.
pub fn beside<A, B: Send>(first: impl FnOnce() -> A, second: Option<impl FnOnce() -> B + Send>) -> (A, Option<B>) {
    let Some(second) = second else { return (first(), None) };
    #[cfg(not(target_arch = "wasm32"))]
    return std::thread::scope(|scope| {
        let second = scope.spawn(second);
        let result = first();
        (result, Some(second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    });
    #[cfg(target_arch = "wasm32")]
    (first(), Some(second()))
}

/// Calls `f(i, chunk)` for the consecutive chunks of `size` values of `data`; the last may be shorter.
pub fn for_each_chunk_mut<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    #[cfg(not(target_arch = "wasm32"))]
    if data.len() > size && workers() > 1 {
        return data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
    data.chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
}

/// Lets this process keep up to 64 MB of freed memory per thread for later allocations; a program calls it
/// before anything else. Layers constantly free and allocate the same large buffers, and memory that glibc
/// returned to the system would have to be mapped again page by page, which took a tenth of a U-Net's
/// training step. This does nothing with another C library.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only stores two numbers, and ignores those that it does not accept.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
        // Setting one parameter ends glibc's own adjustment of both; 32 MB is where that adjustment stops.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
    }
}

/// Writes the rows of `out` from consecutive shards of `size` rows: `f(range)` returns the rows of a range.
/// Only a few shards are in memory at a time, and the first error ends the loop.
pub fn fill_rows(
    out: &mut Samples,
    size: usize,
    f: impl Fn(Range<usize>) -> Result<Vec<f32>> + Sync + Send,
) -> Result<()> {
    let (n, d, group) = (out.n(), out.d(), size * workers() * 4);
    for start in (0..n).step_by(group) {
        let end = n.min(start + group);
        let shard = |i: usize| f(start + i * size..end.min(start + (i + 1) * size));
        let rows: Vec<Vec<f32>> = map((end - start).div_ceil(size), shard).into_iter().collect::<Result<_>>()?;
        out.put(start, &Samples::new(rows.concat(), d));
    }
    Ok(())
}

/// [`fill_rows`] for rows that are computed one by one: `f(i)` returns row i.
pub fn fill_each_row(
    out: &mut Samples,
    size: usize,
    f: impl Fn(usize) -> Result<Vec<f32>> + Sync + Send,
) -> Result<()> {
    fill_rows(out, size, |range| Ok(range.map(&f).collect::<Result<Vec<_>>>()?.concat()))
}

/// Number of workers that [`map`] can use at once.
pub fn workers() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    return rayon::current_num_threads();
    #[cfg(target_arch = "wasm32")]
    return 1;
}
