//! One pass over the values of observations.

use crate::channel::Channel;
use crate::parallel;
use crate::samples::Samples;

/// Rows that one worker counts at a time.
const ROWS: usize = 256;
/// Standard deviations within which a value can be noise: no run ever draws one beyond.
const NOISE: f64 = 8.0;

/// Finite values that belong together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub count: usize,
    pub least: f32,
    pub greatest: f32,
    sum: f64,
    squares: f64,
}

impl Span {
    pub const NONE: Self = Self { count: 0, least: f32::INFINITY, greatest: f32::NEG_INFINITY, sum: 0.0, squares: 0.0 };

    /// All of `values`, which are finite.
    pub fn of(values: &[f32]) -> Self {
        let mut span = Self::NONE;
        values.iter().for_each(|v| span.add(*v));
        span
    }

    fn add(&mut self, v: f32) {
        self.count += 1;
        (self.least, self.greatest) = (self.least.min(v), self.greatest.max(v));
        self.sum += f64::from(v);
        self.squares += f64::from(v) * f64::from(v);
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        (self.least, self.greatest) = (self.least.min(other.least), self.greatest.max(other.greatest));
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// True for one or more equal values.
    pub fn is_constant(&self) -> bool {
        self.least == self.greatest
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    pub fn std(&self) -> f64 {
        (self.squares / self.count as f64 - self.mean().powi(2)).max(0.0).sqrt()
    }
}

/// What the rows of observations hold; a place is (row, column).
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Values where the signal is seen.
    pub seen: Span,
    /// Values where it is hidden.
    pub hidden: Span,
    /// True where the operator hides any value.
    pub masked: bool,
    /// Largest standard deviation of the noise that hidden values consist of.
    noise: f64,
    /// First number that is not finite where the signal is seen, and how many there are.
    pub broken: Option<(usize, usize)>,
    pub broken_count: usize,
    /// How many numbers are not finite where the signal is hidden.
    pub lost: usize,
    /// First value that cannot be noise where the signal is hidden, and how many there are.
    pub beyond: Option<(usize, usize)>,
    pub beyond_count: usize,
    /// First row in which nothing is seen, and how many there are.
    pub blank: Option<usize>,
    pub blank_count: usize,
    /// Values of every column where it is seen.
    pub columns: Vec<Span>,
    /// Least and greatest number of values that a row shows.
    pub shown: [usize; 2],
}

impl Tally {
    /// Counts the values of `y [n, m]`, n and m > 0.
    pub fn of(channel: &dyn Channel, y: &Samples, a: Option<&Samples>) -> Self {
        let parts = parallel::map(y.n().div_ceil(ROWS), |part| {
            let mut tally = Self::empty(y.d());
            let mut hidden = Hidden::new(channel);
            for i in part * ROWS..y.n().min((part + 1) * ROWS) {
                tally.add(i, y.row(i), hidden.of(operator(a, i)));
            }
            tally
        });
        let mut whole = Self::empty(y.d());
        parts.iter().for_each(|part| whole.merge(part));
        whole.columns.iter().for_each(|column| whole.seen.merge(column));
        whole
    }

    fn empty(m: usize) -> Self {
        Self {
            seen: Span::NONE,
            hidden: Span::NONE,
            masked: false,
            noise: 0.0,
            broken: None,
            broken_count: 0,
            lost: 0,
            beyond: None,
            beyond_count: 0,
            blank: None,
            blank_count: 0,
            columns: vec![Span::NONE; m],
            shown: [usize::MAX, 0],
        }
    }

    fn add(&mut self, i: usize, y: &[f32], hidden: &[f64]) {
        let mut shown = 0;
        for (j, (&v, &noise)) in y.iter().zip(hidden).enumerate() {
            if noise.is_infinite() {
                shown += 1;
                if v.is_finite() {
                    self.columns[j].add(v);
                } else {
                    self.broken.get_or_insert((i, j));
                    self.broken_count += 1;
                }
                continue;
            }
            self.noise = self.noise.max(noise);
            if v.is_finite() {
                self.hidden.add(v);
                if is_beyond(v, noise) {
                    self.beyond.get_or_insert((i, j));
                    self.beyond_count += 1;
                }
            } else {
                self.lost += 1;
            }
        }
        self.masked |= shown < y.len();
        self.shown = [self.shown[0].min(shown), self.shown[1].max(shown)];
        if shown == 0 {
            self.blank.get_or_insert(i);
            self.blank_count += 1;
        }
    }

    /// True where what is seen is no more than the noise that a missing value has.
    pub fn sees_noise(&self) -> bool {
        self.noise > 0.0 && !is_beyond(self.seen.least, self.noise) && !is_beyond(self.seen.greatest, self.noise)
    }

    fn merge(&mut self, later: &Self) {
        self.hidden.merge(&later.hidden);
        self.masked |= later.masked;
        self.noise = self.noise.max(later.noise);
        self.broken = self.broken.or(later.broken);
        self.broken_count += later.broken_count;
        self.lost += later.lost;
        self.beyond = self.beyond.or(later.beyond);
        self.beyond_count += later.beyond_count;
        self.blank = self.blank.or(later.blank);
        self.blank_count += later.blank_count;
        self.columns.iter_mut().zip(&later.columns).for_each(|(column, other)| column.merge(other));
        self.shown = [self.shown[0].min(later.shown[0]), self.shown[1].max(later.shown[1])];
    }
}

/// Sets to 0 what the operators hide in `y` and what cannot be noise.
pub(super) fn clear(channel: &dyn Channel, y: &mut Samples, a: Option<&Samples>) {
    let mut hidden = Hidden::new(channel);
    for i in 0..y.n() {
        let noise = hidden.of(operator(a, i));
        for (v, &noise) in y.row_mut(i).iter_mut().zip(noise) {
            if noise.is_finite() && (!v.is_finite() || is_beyond(*v, noise)) {
                *v = 0.0;
            }
        }
    }
}

fn is_beyond(v: f32, noise: f64) -> bool {
    f64::from(v).abs() > NOISE * noise
}

pub(super) fn operator(a: Option<&Samples>, i: usize) -> &[f32] {
    a.map_or(&[], |a| a.row(i))
}

/// What an operator hides, see [`Channel::write_hidden`].
pub(super) struct Hidden<'a> {
    channel: &'a dyn Channel,
    signal: Vec<f64>,
    hidden: Vec<f64>,
    /// Where all observations share their operator.
    shared: bool,
}

impl<'a> Hidden<'a> {
    pub fn new(channel: &'a dyn Channel) -> Self {
        let (signal, mut hidden) = (vec![f64::INFINITY; channel.signal_len()], vec![0.0; channel.observation_len()]);
        let shared = channel.operator_len() == 0;
        if shared {
            channel.write_hidden(&[], &signal, &mut hidden);
        }
        Self { channel, signal, hidden, shared }
    }

    pub fn of(&mut self, a: &[f32]) -> &[f64] {
        if !self.shared {
            self.channel.write_hidden(a, &self.signal, &mut self.hidden);
        }
        &self.hidden
    }
}
