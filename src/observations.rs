//! Observations y and the parameters a of their operators.

use crate::channel::Channel;
use crate::check::{self, Inspection, Survey};
use crate::error::{Error, Result, Warning};
use crate::noise::{Key, Purpose};
use crate::parallel;
use crate::samples::Samples;

/// `n` observations y ~ Q(. | x, a) with their known operator parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    /// Observations, `[n, m]`.
    pub y: Samples,
    /// Operator parameters, `[n, k]`; `None` when the channel has no parameters (k = 0).
    pub a: Option<Samples>,
}

impl Observations {
    /// Pairs `y [n, m]` and `a [n, k]`, checks them, and sets to 0 what the operators hide in `y`.
    ///
    /// # Errors
    /// Shapes that do not fit the channel; a mask with other values than 0 and 1, or an inverted one; a number that is
    /// not finite where the operator shows the signal. Where the operator hides it, any number will do.
    pub fn new(channel: &dyn Channel, y: Samples, a: Option<Samples>) -> Result<Self> {
        let mut observations = Self { y, a };
        observations.check(channel)?;
        check::clean(channel, &mut observations.y, observations.a.as_ref())?;
        Ok(observations)
    }

    /// The checks of [`Observations::new`] and those that `inspection` asks for; returns what is odd as well.
    ///
    /// # Errors
    /// As [`Observations::new`]; for training also observations that show nothing or have no spread.
    pub fn inspected(mut self, channel: &dyn Channel, inspection: &Inspection) -> Result<(Self, Vec<Warning>)> {
        self.check(channel)?;
        let warnings = check::inspect(channel, &mut self.y, self.a.as_ref(), inspection)?;
        Ok((self, warnings))
    }

    /// What the observations hold, in numbers, and what is odd about these: missing values, constant values, repeated
    /// rows and the noise. `None` where an observation has no values.
    pub fn survey(&self, channel: &dyn Channel, inspection: &Inspection) -> Option<Survey> {
        check::survey(channel, (&self.y, self.a.as_ref()), inspection)
    }

    /// Checks the shapes against the channel; the error names what was expected.
    pub fn check(&self, channel: &dyn Channel) -> Result<()> {
        let (n, m, k) = (self.y.n(), channel.observation_len(), channel.operator_len());
        if self.y.d() != m {
            return Err(Error::shape("observations y", format!("[n, {m}]"), format!("[{n}, {}]", self.y.d())));
        }
        match (&self.a, k) {
            (None, 0) => Ok(()),
            (Some(a), _) if a.d() == k && a.n() == n => Ok(()),
            (None, _) => Err(Error::shape("operators a", format!("[{n}, {k}]"), "nothing")),
            (Some(a), _) => Err(Error::shape("operators a", format!("[{n}, {k}]"), format!("[{}, {}]", a.n(), a.d()))),
        }
    }

    /// The observations at the resolution of the signal, `[n, d]`, of a channel that [lifts](Channel::lifts) them.
    pub fn lifted(&self, channel: &dyn Channel) -> Samples {
        let mut images = Samples::zeros(self.y.n(), channel.signal_len());
        (0..images.n()).for_each(|i| channel.lift(self.y.row(i), images.row_mut(i)));
        images
    }

    /// `n` observations that show nothing, those of [`crate::channel::Unobserved`].
    pub fn nothing(n: usize) -> Self {
        Self { y: Samples::zeros(n, 0), a: None }
    }

    /// Observes every row of `x [n, d]` once with fresh operators and noise, a function of `seed` alone.
    pub fn observe(channel: &dyn Channel, x: &Samples, seed: u64) -> Self {
        Self::simulate(channel, x, Key::new(seed, Purpose::Observe, 0), 0)
    }

    /// Observes every row of `x [n, d]` with fresh operators and noise, keyed by (key, row, `step`).
    pub fn simulate(channel: &dyn Channel, x: &Samples, key: Key, step: usize) -> Self {
        Self::simulate_from(channel, x, 0, key, step)
    }

    /// [`Observations::simulate`] for a part of the signals: the rows of `x` are signals `first`,
    /// `first + 1` and so on.
    pub fn simulate_from(channel: &dyn Channel, x: &Samples, first: usize, key: Key, step: usize) -> Self {
        let (m, k, n) = (channel.observation_len(), channel.operator_len(), x.n());
        if m + k == 0 {
            return Self::nothing(n);
        }
        let mut ya = vec![0.0f32; n * (m + k)];
        const ROWS: usize = 256;
        parallel::for_each_chunk_mut(&mut ya, ROWS * (m + k), |chunk, rows| {
            for (r, row) in rows.chunks_exact_mut(m + k).enumerate() {
                let i = chunk * ROWS + r;
                let (y, a) = row.split_at_mut(m);
                let mut stream = key.stream(first + i, step);
                channel.corrupt(x.row(i), &mut stream, a, y);
            }
        });
        let part = |from: usize, len: usize| {
            Samples::new(ya.chunks_exact(m + k).flat_map(|r| r[from..from + len].iter().copied()).collect(), len)
        };
        Self { y: part(0, m), a: (k > 0).then(|| part(m, k)) }
    }

    /// Number of observations n.
    pub fn n(&self) -> usize {
        self.y.n()
    }

    /// Operator parameters of observation `i`, length k.
    pub fn operator(&self, i: usize) -> &[f32] {
        self.a.as_ref().map_or(&[], |a| a.row(i))
    }

    /// The first `n` observations.
    pub fn first(&self, n: usize) -> Self {
        Self { y: self.y.first(n), a: self.a.as_ref().map(|a| a.first(n)) }
    }

    /// The observations at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self { y: self.y.select(indices), a: self.a.as_ref().map(|a| a.select(indices)) }
    }

    /// Rows (y, a) side by side, `[n, m + k]`: samples of the joint distribution, in which two sets of
    /// observations can be compared.
    pub fn joint(&self) -> Samples {
        let d = self.y.d() + self.a.as_ref().map_or(0, Samples::d);
        let data = (0..self.n()).flat_map(|i| self.y.row(i).iter().chain(self.operator(i)).copied()).collect();
        Samples::new(data, d)
    }
}
