//! The place of this process among the ranks of its run: processes that `mpirun` or `srun` started together.
//!
//! A part of the work that may fail on one rank ends with [`World::agree`], so that all ranks go on or all end. Between two
//! such points ranks only compute; an error or a panic there ends the job at once.

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(not(feature = "mpi"))]
#[path = "without.rs"]
mod mpi;
mod started;

use crate::{device, signals};
use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use diffem::network::{flatten, to_host};
use diffem::ranks::Alone;
use diffem::{Posterior, Ranks};
use started::{Traffic, leave_it_to_the_first, started};
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

pub use mpi::Universe;

/// How long a rank waits for a file of rank 0 to appear: file systems of a network show it late.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ranks of this run, as seen by one of them.
pub struct World {
    ranks: Arc<dyn Ranks>,
    /// Number of this rank among those of its machine.
    local: usize,
    /// What it sent, and how long it waited for others.
    traffic: &'static Traffic,
}

static TRAFFIC: Traffic = Traffic::new();
static WORLD: OnceLock<World> = OnceLock::new();

/// An error that all ranks know of; rank 0 prints it.
#[derive(Debug)]
pub struct Agreed(String);

impl std::fmt::Display for Agreed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Agreed {}

/// The world of this process: that of [`join`], or itself alone.
pub fn world() -> &'static World {
    WORLD.get_or_init(|| World { ranks: Arc::new(Alone), local: 0, traffic: &TRAFFIC })
}

/// Joins the other ranks, where this process was started with others. The universe is left when the value is dropped.
///
/// # Errors
/// A build without MPI.
pub fn join() -> Result<Option<Universe>> {
    if started() == 1 {
        return Ok(None);
    }
    let (universe, ranks, local) = mpi::join(&TRAFFIC)?;
    signals::catch_forwarded()?;
    let _ = WORLD.set(World { ranks, local, traffic: &TRAFFIC });
    Ok(Some(universe))
}

/// Ends all ranks at once with exit code `code`.
pub fn abort(code: i32) -> ! {
    mpi::abort(code)
}

impl World {
    /// The connection to the other ranks.
    pub fn ranks(&self) -> Arc<dyn Ranks> {
        self.ranks.clone()
    }

    /// Number of ranks.
    pub fn count(&self) -> usize {
        self.ranks.count()
    }

    /// Whether this rank writes and speaks: rank 0, or a process alone.
    pub fn leads(&self) -> bool {
        self.ranks.rank() == 0
    }

    /// Bytes that this rank sent, and seconds that it sent and waited.
    pub fn traffic(&self) -> (u64, f64) {
        self.traffic.sums()
    }

    /// Whether a signal has asked any rank to stop.
    pub fn stopping(&self) -> bool {
        self.ranks.any(signals::stopping())
    }

    /// The text of every rank.
    fn texts(&self, mine: &str) -> Vec<String> {
        let counts: Vec<usize> = self.ranks.all(mine.len() as f32).iter().map(|&len| len as usize).collect();
        let mut all = vec![0.0; counts.iter().sum()];
        // A byte is exact as a number of 32 bits.
        self.ranks.gather(&mine.bytes().map(f32::from).collect::<Vec<_>>(), &counts, &mut all);
        let mut bytes = all.iter().map(|&byte| byte as u8);
        let text =
            |&count: &usize| String::from_utf8_lossy(&bytes.by_ref().take(count).collect::<Vec<_>>()).into_owned();
        counts.iter().map(text).collect()
    }

    /// `result` where all ranks succeed; otherwise an error that rank 0 prints, with the messages of all ranks.
    pub fn agree<T>(&self, result: Result<T>) -> Result<T> {
        if self.count() == 1 {
            return result;
        }
        let message = |error: &anyhow::Error| match error.downcast_ref::<diffem::Error>() {
            // The rank that could not go on says more.
            Some(diffem::Error::OtherRank(_)) => " ".into(),
            _ => format!("{error:#}"),
        };
        let texts = self.texts(&result.as_ref().err().map_or(String::new(), message));
        if texts.iter().all(String::is_empty) {
            return result;
        }
        Err(Agreed(summary(&texts)).into())
    }

    /// Does `work` on rank 0, while the other ranks wait.
    ///
    /// # Errors
    /// Rank 0 fails.
    pub fn by_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        self.agree(if self.leads() { work().map(Some) } else { Ok(None) })
    }

    /// Returns an error unless `text`, which describes `what`, is the same on all ranks.
    pub fn same(&self, what: &str, text: &str) -> Result<()> {
        let texts = self.texts(text);
        let Some(rank) = texts.iter().position(|other| *other != texts[0]) else { return Ok(()) };
        let lines = texts[0].lines().map(Some).chain(std::iter::repeat(None));
        let others = texts[rank].lines().map(Some).chain(std::iter::repeat(None));
        let differing = lines.zip(others).find(|(a, b)| a != b || a.is_none());
        let line = |line: Option<&str>| line.map_or("nothing".to_string(), |line| format!("`{line}`"));
        let (of_first, of_other) = differing.map_or((None, None), |pair| pair);
        let found = format!("{} on rank 0 and {} on rank {rank}", line(of_first), line(of_other));
        Err(Agreed(format!("the ranks differ in {what}: {found}; start all with the same program and command")).into())
    }

    /// Returns an error unless this program and its command are the same on all ranks, but for the number of threads.
    pub fn same_command(&self) -> Result<()> {
        self.same("the version", env!("CARGO_PKG_VERSION"))?;
        self.same("the command", &command(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())))
    }

    /// `posterior` with its draws dealt to all ranks.
    ///
    /// # Errors
    /// Ranks that have read other weights.
    pub fn deal(&self, posterior: Posterior) -> Result<Posterior> {
        if self.count() > 1 {
            let weights = self.agree(to_host(&flatten(posterior.network())).map_err(Into::into))?;
            let mut hash = DefaultHasher::new();
            weights.iter().for_each(|weight| hash.write_u32(weight.to_bits()));
            self.same("the weights that they read", &format!("{:016x}", hash.finish()))?;
        }
        Ok(posterior.over(self.ranks()))
    }

    /// Returns an error unless all ranks see the directory `dir` of rank 0.
    pub fn shares(&self, dir: &Path) -> Result<()> {
        if self.count() == 1 {
            return Ok(());
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // A name that nobody has asked for yet is in no cache.
        let mark = dir.join(format!(".tmp-ranks-{:.0}", self.ranks.first(since.as_nanos() as f64)));
        let made = || std::fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()));
        self.by_first(made)?;
        let began = Instant::now();
        while !mark.exists() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (rank, host) = (self.ranks.rank(), host());
        let seen = if mark.exists() {
            Ok(())
        } else {
            let dir = dir.display();
            Err(anyhow!(
                "rank {rank} on {host} does not see {dir} of rank 0; put the run on a file system that all share"
            ))
        };
        let seen = self.agree(seen);
        if self.leads() {
            let _ = std::fs::remove_file(&mark);
        }
        seen
    }

    /// Opens the device `name`. Where a machine has several of a kind, a rank takes that of its number on its machine.
    pub fn open_device(&self, name: &str) -> Result<(String, Device)> {
        let (label, opened) = device::open(name)?;
        match label.split_once(':') {
            Some((kind, _)) if self.local > 0 && !name.contains(':') => {
                let count = device::BACKENDS.iter().find(|backend| backend.name == kind).map_or(1, |b| b.count());
                device::open(&format!("{kind}:{}", self.local % count.max(1)))
            }
            _ => Ok((label, opened)),
        }
    }
}

/// The words of a command line on a line each, without the number of threads, in which ranks may differ.
fn command(words: impl Iterator<Item = String>) -> String {
    let mut kept = Vec::new();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--threads" => drop(words.next()),
            threads if threads.starts_with("--threads=") => {}
            _ => kept.push(word),
        }
    }
    kept.join("\n")
}

/// One message for what went wrong on the ranks; an empty text is no failure, and a blank one says nothing.
fn summary(texts: &[String]) -> String {
    let mut told: Vec<(&str, Vec<usize>)> = Vec::new();
    for (rank, text) in texts.iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        match told.iter_mut().find(|(other, _)| other == text) {
            Some((_, ranks)) => ranks.push(rank),
            None => told.push((text, vec![rank])),
        }
    }
    let of = |(text, ranks): &(&str, Vec<usize>)| match ranks.as_slice() {
        ranks if ranks.contains(&0) => text.to_string(),
        [rank] => format!("rank {rank}: {text}"),
        [rank, ..] => format!("rank {rank} and {} more: {text}", ranks.len() - 1),
        [] => String::new(),
    };
    told.iter().map(of).collect::<Vec<_>>().join("\n")
}

/// Name of this machine.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or("its machine".into(), |name| name.trim().to_string())
}

/// Returns an error where several processes were started, for a command that works in one.
pub fn one_process() -> Result<()> {
    let count = started();
    if count > 1 {
        leave_it_to_the_first();
        bail!("{count} processes were started for a command that works in one; leave out mpirun or srun");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_told_once_with_its_ranks() {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        assert_eq!(summary(&texts(&["bad", "bad", "bad"])), "bad");
        assert_eq!(summary(&texts(&["", "no room", "no room", " "])), "rank 1 and 1 more: no room");
        assert_eq!(summary(&texts(&["", "no room", "", "no file"])), "rank 1: no room\nrank 3: no file");
    }

    #[test]
    fn commands_are_the_same_but_for_their_threads() {
        let of = |text: &str| command(text.split(' ').map(String::from));
        assert_eq!(of("sample RUN --threads 4 --out x.npz"), of("sample RUN --threads=1 --out x.npz"));
        assert_ne!(of("sample RUN --seed 1"), of("sample RUN --seed 2"));
    }

    #[test]
    fn a_process_alone_leads_and_agrees_with_itself() {
        let world = world();
        assert!(world.leads() && world.count() == 1 && world.same("x", "text").is_ok());
        assert_eq!(world.agree::<()>(Err(anyhow!("bad"))).unwrap_err().to_string(), "bad");
        assert_eq!(world.by_first(|| Ok(1)).unwrap(), Some(1));
        assert_eq!(world.texts("Grüße"), ["Grüße"]);
    }
}
