//! Ranks that are threads of one process.

use diffem::Ranks;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// One thread among `count`; messages from each other thread arrive on a channel of their own.
struct Thread {
    rank: usize,
    to: Vec<Sender<Vec<f32>>>,
    from: Vec<Mutex<Receiver<Vec<f32>>>>,
}

impl Thread {
    fn receive(&self, rank: usize) -> Vec<f32> {
        self.from[rank].lock().unwrap().recv().expect("the other rank still runs")
    }

    fn send(&self, rank: usize, values: &[f32]) {
        self.to[rank].send(values.to_vec()).expect("the other rank still runs");
    }
}

impl Ranks for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.to.len()
    }

    fn gather(&self, mine: &[f32], counts: &[usize], all: &mut [f32]) {
        assert_eq!(mine.len(), counts[self.rank]);
        let sent = mine.repeat(self.count());
        self.exchange(&sent, &vec![mine.len(); self.count()], counts, all);
    }

    fn exchange(&self, mine: &[f32], to: &[usize], from: &[usize], all: &mut [f32]) {
        assert_eq!((mine.len(), all.len()), (to.iter().sum(), from.iter().sum()));
        let mut at = 0;
        for (rank, count) in to.iter().enumerate() {
            self.send(rank, &mine[at..at + count]);
            at += count;
        }
        let received: Vec<f32> = (0..self.count()).flat_map(|rank| self.receive(rank)).collect();
        all.copy_from_slice(&received);
    }

    fn broadcast(&self, values: &mut [f32]) {
        if self.rank == 0 {
            (0..self.count()).for_each(|rank| self.send(rank, values));
        }
        values.copy_from_slice(&self.receive(0));
    }
}

/// Runs `work` on `count` ranks and returns what each made.
pub fn on_ranks<T: Send>(count: usize, work: impl Fn(Arc<dyn Ranks>) -> T + Sync) -> Vec<T> {
    let pairs: Vec<Vec<_>> = (0..count).map(|_| (0..count).map(|_| channel()).collect()).collect();
    let to = |rank: usize| pairs[rank].iter().map(|(to, _)| to.clone()).collect();
    let senders: Vec<Vec<_>> = (0..count).map(to).collect();
    let mut from: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for row in pairs {
        row.into_iter().zip(&mut from).for_each(|((_, receiver), from)| from.push(Mutex::new(receiver)));
    }
    let threads = senders.into_iter().zip(from).enumerate();
    let threads = threads.map(|(rank, (to, from))| Arc::new(Thread { rank, to, from }) as Arc<dyn Ranks>);
    let (threads, work): (Vec<_>, _) = (threads.collect(), &work);
    std::thread::scope(|scope| {
        let running: Vec<_> = threads.into_iter().map(|ranks| scope.spawn(move || work(ranks))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
