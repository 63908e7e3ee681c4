//! M-step: train D on (x, y'), x a reconstruction, y' ~ Q(. | x) drawn afresh, by denoising:
//! minimize E λ(σ) mean_d (D(x + σ z, σ, c(y', a')) - x)², t ~ Beta, σ = σ(t), z ~ N(0, I).
//!
//! A mini-batch is cut into micro-batches of fixed size; each has its own graph and worker, and their gradients are
//! added in order. The order of observations, the corruption and the noise are functions of (seed, lap, step, row).

use super::config::{MStepConfig, Recorruption};
use super::e_step::gain;
use crate::conditioning::{Conditioning, Measurement};
use crate::denoiser::{Preconditioned, to_tensor};
use crate::image::ImageShape;
use crate::kernels;
use crate::method::{Masked, write_seen};
use crate::network::{Network, flatten_gradients, unflatten};
use crate::noise::{Key, Purpose, Stream};
use crate::observations::Observations;
use crate::optim::{OptimState, Update};
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// Training of one lap.
pub struct MStep<'a, N> {
    /// The architecture, outside autodiff; its weights are not used.
    pub network: &'a N,
    /// Noise levels and loss weight.
    pub schedule: &'a Schedule,
    /// The channel that re-corrupts, and how its observations enter the denoiser.
    pub conditioning: Conditioning<'a>,
    /// Reconstructions to train on, `[n, d]`.
    pub x: &'a Samples,
    /// Settings.
    pub config: &'a MStepConfig,
    /// Seed of the run.
    pub seed: u64,
    /// Lap, from 1.
    pub lap: usize,
    /// Where to train.
    pub device: &'a Device,
    /// The rows of `x` that are trained on; batches name them by their place here.
    rows: Vec<usize>,
    order: Order,
    /// OperatorStructure of the images that are mirrored.
    flip: Option<ImageShape>,
    /// What the rows of `x` are reconstructions of, for methods that train on it.
    observed: Option<&'a Observations>,
}

/// The permutations of the epoch under way.
struct Order {
    key: Key,
    epoch: Option<(usize, Vec<usize>)>,
}

impl Order {
    /// Index of the observation at `position` in the endless sequence of shuffled epochs.
    fn at(&mut self, position: usize, n: usize) -> usize {
        let epoch = position / n;
        let current = match self.epoch.take() {
            Some((e, order)) if e == epoch => order,
            _ => self.key.stream(epoch, 0).permutation(n),
        };
        let index = current[position % n];
        self.epoch = Some((epoch, current));
        index
    }
}

/// The host side of a micro-batch.
struct Batch {
    x: Samples,
    x_t: Samples,
    features: Samples,
    sigma: Vec<f64>,
    measurements: Vec<Measurement>,
    /// Weight of each value's squared error, where it is not λ(σ) for all of a row.
    weight: Option<Samples>,
}

impl<'a, N: Network> MStep<'a, N> {
    /// Training on the reconstructions `x` in lap `lap`.
    #[allow(clippy::too_many_arguments)] // each is a different thing the formula needs
    pub fn new(
        network: &'a N,
        schedule: &'a Schedule,
        conditioning: Conditioning<'a>,
        x: &'a Samples,
        config: &'a MStepConfig,
        seed: u64,
        lap: usize,
        device: &'a Device,
    ) -> Self {
        let order = Order { key: Key::new(seed, Purpose::Shuffle, lap), epoch: None };
        Self {
            network,
            schedule,
            conditioning,
            x,
            config,
            seed,
            lap,
            device,
            rows: (0..x.n()).collect(),
            order,
            flip: None,
            observed: None,
        }
    }

    /// Trains on these rows of x only; 1 or more.
    pub fn on_rows(mut self, rows: Vec<usize>) -> Self {
        self.rows = rows;
        self
    }

    /// Mirrors every second image, by chance, before it is corrupted; `None` mirrors nothing.
    pub fn flipping(mut self, shape: Option<ImageShape>) -> Self {
        self.flip = shape;
        self
    }

    /// Trains on the observations `seen`, one a row of x, and not on these, by Ambient Diffusion.
    pub fn on_observations(mut self, seen: Option<&'a Observations>) -> Self {
        self.observed = seen;
        self
    }

    /// Takes optimizer step number `step` of the lap; returns the mini-batch's loss, on the device.
    pub fn step(&mut self, state: &mut OptimState, step: usize) -> Tensor<1> {
        let MStepConfig { batch, micro_batch, .. } = *self.config;
        let rows: Vec<usize> = (0..batch).map(|r| self.order.at(step * batch + r, self.rows.len())).collect();
        // Plain parameters: every micro-batch makes its own leaves from them, so that the graphs share no node (burn
        // locks graphs that do) and can be differentiated at the same time.
        let network = unflatten(self.network.clone(), &state.weights);
        let this: &Self = self;
        let piece = |i: usize| {
            let rows = &rows[i * micro_batch..batch.min((i + 1) * micro_batch)];
            let stream = Key::new(this.seed, Purpose::Dropout, this.lap).stream(i, step);
            let batch = match this.observed {
                Some(seen) => this.draw_further(seen, rows, step, i * micro_batch),
                None => this.draw(rows, step, i * micro_batch),
            };
            this.gradient(network.clone().train(), &batch, stream)
        };
        let pieces = batch.div_ceil(micro_batch);
        let parts: Vec<(Tensor<1>, Tensor<1>)> = kernels::map_shards(self.device, pieces, piece);
        let (losses, gradients): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let c = self.config;
        let learning_rate = self.learning_rate(state.updates);
        state.update(gradients, Update { learning_rate, clip_norm: c.clip_norm, average_decay: c.ema });
        losses.into_iter().reduce(|sum, loss| sum + loss).unwrap_or_else(|| Tensor::zeros([1], self.device))
    }

    /// Learning rate after `updates` updates.
    pub fn learning_rate(&self, updates: usize) -> f64 {
        let c = self.config;
        c.decay.rate(c.learning_rate, c.final_learning_rate, updates, c.steps)
    }

    /// Hides more of the observations `rows` of `seen` and noises what is left.
    fn draw_further(&self, seen: &Observations, rows: &[usize], step: usize, first: usize) -> Batch {
        let (conditioning, n, d) = (self.conditioning, rows.len(), self.x.d());
        let (corrupt, loss) =
            (Key::new(self.seed, Purpose::Corrupt, self.lap), Key::new(self.seed, Purpose::Loss, self.lap));
        let places = self.places(rows);
        let x = conditioning.standardizer.standardize(&seen.y.select(&places));
        let [mut x_t, mut features, mut weight] = std::array::from_fn(|_| Samples::zeros(n, d));
        let (mut all, mut sigma) = (vec![0.0; d], Vec::with_capacity(n));
        for (row, &i) in places.iter().enumerate() {
            let mut a = seen.operator(i).to_vec();
            write_seen(conditioning.channel, &a, &mut all);
            conditioning.config.ambient.hide(&mut a, &mut corrupt.stream(first + row, step));
            write_seen(conditioning.channel, &a, features.row_mut(row));
            let mut stream = loss.stream(first + row, step);
            let s = self.schedule.sigma(self.schedule.draw_time(&mut stream));
            x_t.row_mut(row).iter_mut().zip(x.row(row)).for_each(|(t, x)| *t = x + s as f32 * stream.normal());
            let [shown, hidden] = [self.schedule.loss_weight(s), self.schedule.sigma_data.powi(-2)];
            for ((weight, all), kept) in weight.row_mut(row).iter_mut().zip(&all).zip(features.row(row)) {
                *weight = all * if *kept == 1.0 { shown } else { hidden } as f32;
            }
            sigma.push(s);
        }
        Batch { x, x_t, features, sigma, measurements: Vec::new(), weight: Some(weight) }
    }

    /// Corrupts and noises the reconstructions `rows`; `first` is the first one's place in the mini-batch.
    fn draw(&self, rows: &[usize], step: usize, first: usize) -> Batch {
        let (conditioning, n, d) = (self.conditioning, rows.len(), self.x.d());
        let channel = conditioning.channel;
        let (corrupt, loss) =
            (Key::new(self.seed, Purpose::Corrupt, self.lap), Key::new(self.seed, Purpose::Loss, self.lap));
        let (signals, x) = self.signals(rows, step, first);
        let (mut x_t, mut features) = (Samples::zeros(n, d), Samples::zeros(n, conditioning.feature_len()));
        let (mut y, mut a) = (vec![0.0; channel.observation_len()], vec![0.0; channel.operator_len()]);
        let (mut sigma, mut measurements) = (Vec::with_capacity(n), Vec::new());
        for (row, &i) in rows.iter().enumerate() {
            let mut stream = match self.config.recorruption {
                Recorruption::EveryBatch => corrupt.stream(first + row, step),
                Recorruption::EveryLap => corrupt.stream(i, 0),
            };
            channel.draw_operator(&mut stream, &mut a);
            channel.observe(signals.row(row), &a, &mut stream, &mut y);
            measurements.extend(conditioning.condition(&y, &a, features.row_mut(row)));
            let mut stream = loss.stream(first + row, step);
            let s = self.schedule.sigma(self.schedule.draw_time(&mut stream));
            x_t.row_mut(row).iter_mut().zip(x.row(row)).for_each(|(t, x)| *t = x + s as f32 * stream.normal());
            sigma.push(s);
        }
        Batch { x, x_t, features, sigma, measurements, weight: None }
    }

    fn places(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|row| self.rows[*row]).collect()
    }

    /// The reconstructions `rows`, as they are and in the standardizer's coordinates.
    fn signals(&self, rows: &[usize], step: usize, first: usize) -> (Samples, Samples) {
        let mut signals = self.x.select(&self.places(rows));
        if let Some(shape) = self.flip {
            let key = Key::new(self.seed, Purpose::Flip, self.lap);
            for row in (0..rows.len()).filter(|row| key.stream(first + row, step).uniform() < 0.5) {
                signals.row_mut(row).chunks_exact_mut(shape.width).for_each(<[f32]>::reverse);
            }
        }
        let standardized = self.conditioning.standardizer.standardize(&signals);
        (signals, standardized)
    }

    /// Loss of a micro-batch (its share of the mini-batch mean) and the gradient `[P]`.
    fn gradient(&self, network: N, batch: &Batch, stream: Stream) -> (Tensor<1>, Tensor<1>) {
        let device = self.device.clone().autodiff();
        let n = batch.x.n();
        let scale = 1.0 / (self.config.batch * batch.x.d()) as f64;
        let weight = match &batch.weight {
            Some(weight) => to_tensor(weight, &device) * scale,
            None => {
                let weight = batch.sigma.iter().map(|&s| (self.schedule.loss_weight(s) * scale) as f32);
                Tensor::<2>::from_data(TensorData::new(weight.collect::<Vec<_>>(), [n, 1]), &device)
            }
        };
        let [x, x_t, features] = [&batch.x, &batch.x_t, &batch.features].map(|s| to_tensor(s, &device));
        let denoised = if batch.weight.is_some() {
            let masked = Masked { network: &network, schedule: self.schedule, seen: features };
            masked.forward_training(x_t, &batch.sigma, stream)
        } else {
            let gain = gain(&batch.measurements, |i| batch.sigma[i], self.schedule, self.conditioning, &device);
            let denoiser = Preconditioned { network: &network, schedule: self.schedule };
            denoiser.forward_training(x_t, &batch.sigma, features, gain.as_ref(), stream)
        };
        let error = denoised - x;
        let loss = (error.square() * weight).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        (loss.inner(), flatten_gradients(&network, gradients))
    }
}
