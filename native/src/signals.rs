//! Ctrl-C and SIGTERM: long-running work asks whether it should stop, saves its state and ends.

use anyhow::Result;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first signal, after which the work saves its state at its next event and ends.
static STOP: AtomicBool = AtomicBool::new(false);

/// Exit code of a process that was stopped by Ctrl-C or SIGTERM.
pub const EXIT_STOPPED: u8 = 130;

/// How work that a signal may stop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The work is done.
    Finished,
    /// The work was stopped by a signal, and its state was saved.
    Stopped,
}

/// Makes Ctrl-C and SIGTERM stop the work at its next event. A second signal ends the process at once. One
/// handler serves all runs of a process.
pub fn catch_signals() -> Result<()> {
    static CAUGHT: OnceLock<()> = OnceLock::new();
    if CAUGHT.set(()).is_err() {
        return Ok(());
    }
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(EXIT_STOPPED.into());
        }
    })?;
    Ok(())
}

/// Makes SIGUSR1 stop the work as well: mpirun passes it on to all ranks, while it ends them a second after Ctrl-C.
#[cfg(all(feature = "mpi", unix))]
pub fn catch_forwarded() -> Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    extern "C" fn stop(_: nix::libc::c_int) {
        STOP.store(true, Ordering::SeqCst);
    }
    let action = SigAction::new(SigHandler::Handler(stop), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler only stores a flag, which is allowed in a signal handler.
    unsafe { sigaction(Signal::SIGUSR1, &action)? };
    Ok(())
}

/// Nothing passes signals on to a process without ranks.
#[cfg(not(all(feature = "mpi", unix)))]
pub fn catch_forwarded() -> Result<()> {
    Ok(())
}

/// Whether a signal has asked to stop.
pub fn stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}
