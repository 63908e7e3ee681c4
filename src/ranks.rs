//! Ranks: processes, on one machine or many, that work on one run together.
//!
//! Every rank holds the whole state of the run and takes its share of the work: shards of observations in the E-step,
//! micro-batches in the M-step. Draws are functions of their observation alone, and the gradients of the micro-batches are
//! added in the order in which a single process adds them, so that a run has the same bits for every number of ranks.
//!
//! The sum is dealt as well: rank s receives the s-th slice of every micro-batch's gradient, adds them in order, and all
//! ranks collect the slices. With one micro-batch per rank this sends two gradients per rank and step, whatever the number
//! of ranks, which is as little as any sum of whole gradients can.

use crate::error::{Error, Result};
use crate::parallel;
use crate::samples::Samples;
use std::ops::Range;

/// The connection of a process to the others of its run. Every rank makes the same calls in the same order; each call
/// waits for all. A connection that is lost ends the process.
pub trait Ranks: Send + Sync {
    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks, 1 or more.
    fn count(&self) -> usize;

    /// Fills `all` with the numbers of all ranks in order: `mine` is this rank's share, of `counts[rank]` numbers.
    fn gather(&self, mine: &[f32], counts: &[usize], all: &mut [f32]);

    /// Sends consecutive pieces of `mine`, `to[r]` numbers to rank r, and fills `all` with what the ranks send here, in
    /// order, `from[r]` numbers by rank r.
    fn exchange(&self, mine: &[f32], to: &[usize], from: &[usize], all: &mut [f32]);

    /// Replaces `values` by those of rank 0.
    fn broadcast(&self, values: &mut [f32]);
}

/// A run of one process.
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn count(&self) -> usize {
        1
    }

    fn gather(&self, mine: &[f32], _counts: &[usize], all: &mut [f32]) {
        all.copy_from_slice(mine);
    }

    fn exchange(&self, mine: &[f32], _to: &[usize], _from: &[usize], all: &mut [f32]) {
        all.copy_from_slice(mine);
    }

    fn broadcast(&self, _values: &mut [f32]) {}
}

/// Number of values that are broadcast at a time.
const PIECE: usize = 1 << 24;
/// Number of values that are exchanged at a time: a gigabyte, and less than MPI can count.
const EXCHANGED: usize = 1 << 28;
/// Number of values that a worker adds at a time.
const ADDED: usize = 1 << 14;

/// The share of `rank` when `n` things are dealt to `count` ranks in consecutive blocks, whose sizes differ by at most 1.
pub fn share_of(n: usize, count: usize, rank: usize) -> Range<usize> {
    rank * n / count..(rank + 1) * n / count
}

/// Sizes of the shares of all of `count` ranks, see [`share_of`].
fn shares(n: usize, count: usize) -> Vec<usize> {
    (0..count).map(|rank| share_of(n, count, rank).len()).collect()
}

impl dyn Ranks + '_ {
    /// This rank's share of `n` things.
    pub fn share(&self, n: usize) -> Range<usize> {
        share_of(n, self.count(), self.rank())
    }

    /// The number of every rank.
    pub fn all(&self, mine: f32) -> Vec<f32> {
        let mut all = vec![0.0; self.count()];
        self.gather(&[mine], &vec![1; self.count()], &mut all);
        all
    }

    /// Whether any rank says yes.
    pub fn any(&self, yes: bool) -> bool {
        self.all(if yes { 1.0 } else { 0.0 }).contains(&1.0)
    }

    /// `result` where all ranks succeed.
    ///
    /// # Errors
    /// That of this rank, or [`Error::OtherRank`] where others fail.
    pub fn agree<T>(&self, result: Result<T>) -> Result<T> {
        let failed = self.all(if result.is_err() { 1.0 } else { 0.0 }).iter().position(|&failed| failed == 1.0);
        match failed {
            Some(rank) => result.and(Err(Error::OtherRank(rank))),
            None => result,
        }
    }

    /// The number of rank 0, to the bit.
    pub fn first(&self, value: f64) -> f64 {
        // Integers below 2^16 are exact in 32 bits.
        let bits = value.to_bits();
        let mut parts = [48, 32, 16, 0].map(|shift| (bits >> shift & 0xffff) as f32);
        self.broadcast(&mut parts);
        f64::from_bits(parts.iter().fold(0, |bits, &part| bits << 16 | part as u64))
    }

    /// Replaces the rows of a table by those of rank 0.
    pub fn share_rows(&self, rows: &mut Samples, range: Range<usize>) {
        if self.count() > 1 {
            let d = rows.d();
            let values = &mut rows.as_mut_slice()[range.start * d..range.end * d];
            values.chunks_mut(PIECE).for_each(|piece| self.broadcast(piece));
        }
    }

    /// The values of all ranks in order, `counts[rank]` by each. A process alone keeps its own without a copy.
    pub fn collected(&self, mine: Vec<f32>, counts: &[usize]) -> Vec<f32> {
        if self.count() == 1 {
            return mine;
        }
        let mut all = vec![0.0; counts.iter().sum()];
        self.gather(&mine, counts, &mut all);
        all
    }

    /// The values of all ranks in order, where each has those of its share of `n` things.
    pub fn collect(&self, mine: Vec<f32>, n: usize) -> Vec<f32> {
        self.collected(mine, &shares(n, self.count()))
    }
}

/// Adds vectors of all ranks. It keeps its buffers, because new ones for every sum would cost as much as adding.
#[derive(Default)]
pub struct Adder {
    sent: Vec<f32>,
    parts: Vec<f32>,
    sum: Vec<f32>,
}

impl Adder {
    /// Sum of `n` vectors of length `len` in their order, from zero. `mine` are those of this rank's share.
    pub fn sum<V: AsRef<[f32]>>(&mut self, ranks: &dyn Ranks, mine: &[V], n: usize, len: usize) -> Vec<f32> {
        let (block, mut all) = ((EXCHANGED / n.max(1)).max(1), vec![0.0; len]);
        for from in (0..len).step_by(block) {
            let range = from..len.min(from + block);
            self.add(ranks, mine, n, range.clone());
            ranks.gather(&self.sum, &shares(range.len(), ranks.count()), &mut all[range]);
        }
        all
    }

    /// Adds this rank's share of the values `range`.
    fn add<V: AsRef<[f32]>>(&mut self, ranks: &dyn Ranks, mine: &[V], n: usize, range: Range<usize>) {
        let (count, len) = (ranks.count(), range.len());
        let sent = match mine {
            // The slices of one vector lie side by side already.
            [vector] => &vector.as_ref()[range],
            _ => {
                self.sent.clear();
                for rank in 0..count {
                    let slice = share_of(len, count, rank);
                    let slice = range.start + slice.start..range.start + slice.end;
                    mine.iter().for_each(|vector| self.sent.extend_from_slice(&vector.as_ref()[slice.clone()]));
                }
                &self.sent
            }
        };
        let own = ranks.share(len).len();
        let to: Vec<usize> = shares(len, count).into_iter().map(|share| mine.len() * share).collect();
        let from: Vec<usize> = shares(n, count).into_iter().map(|share| share * own).collect();
        self.parts.resize(n * own, 0.0);
        ranks.exchange(sent, &to, &from, &mut self.parts);
        self.sum.resize(own, 0.0);
        let parts = &self.parts;
        parallel::for_each_chunk_mut(&mut self.sum, ADDED, |piece, out| {
            out.fill(0.0);
            for part in 0..n {
                let values = &parts[part * own + piece * ADDED..][..out.len()];
                out.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_in_order() {
        for (n, count) in [(0, 3), (2, 4), (7, 3), (16, 16), (1500, 7)] {
            let shares: Vec<usize> = (0..count).flat_map(|rank| share_of(n, count, rank)).collect();
            assert_eq!(shares, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_rank_adds_in_order_and_keeps_its_numbers() {
        let (ranks, mut adder): (&dyn Ranks, _) = (&Alone, Adder::default());
        for _ in 0..2 {
            let vectors = [vec![1e8, -0.0], vec![1.0, -0.0], vec![-1e8, 0.5]];
            assert_eq!(adder.sum(ranks, &vectors, 3, 2), [0.0, 0.5]);
        }
        for value in [0.1, -f64::MAX, f64::MIN_POSITIVE, f64::INFINITY] {
            assert_eq!(ranks.first(value).to_bits(), value.to_bits());
        }
    }
}
