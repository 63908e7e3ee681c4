//! A reader of bytes that are made piece by piece, so that only one piece is in memory.

use std::io::{Read, Result};

/// Gives the bytes of the pieces that `next` makes, until one is empty.
pub struct Pieces<F> {
    next: F,
    ready: Vec<u8>,
    /// How many bytes of `ready` were given.
    given: usize,
}

impl<F: FnMut() -> Result<Vec<u8>>> Pieces<F> {
    /// Makes no piece before it is asked for.
    pub fn new(next: F) -> Self {
        Self { next, ready: Vec::new(), given: 0 }
    }
}

impl<F: FnMut() -> Result<Vec<u8>>> Read for Pieces<F> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.given == self.ready.len() {
            (self.ready, self.given) = ((self.next)()?, 0);
        }
        let count = out.len().min(self.ready.len() - self.given);
        out[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
