//! Short-lived memory for work on single signals, which an M-step does for every example.

/// Scratch memory of this length or less is on the stack.
const SMALL: usize = 64;

/// Calls `work` with `len` zeros.
pub(crate) fn with_scratch<T: Copy + Default, R>(len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    if len <= SMALL { work(&mut [T::default(); SMALL][..len]) } else { work(&mut vec![T::default(); len]) }
}
