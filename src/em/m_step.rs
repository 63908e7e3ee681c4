//! M-step: trains D by denoising on (x, y'), where x is a reconstruction and y' ~ Q(. | x) is drawn afresh.
//! It minimizes E λ(σ) mean_d (D(x + σ z, σ, c(y', a')) - x)², t ~ Beta, σ = σ(t), z ~ N(0, I); a method may
//! weight the errors otherwise.
//!
//! A mini-batch is split into micro-batches of fixed size; each has its own graph and worker, and their
//! gradients are added in order. Ranks take consecutive blocks of the micro-batches. The order of observations, the corruption and the noise are functions of
//! (seed, lap, step, row).

use super::config::MStepConfig;
use crate::conditioning::MatrixFree;
use crate::denoiser::{times, to_samples, to_tensor};
use crate::kernels;
use crate::method::{Clean, Context, LearningMethod, TrainingBatch, TrainingSource};
use crate::network::{
    Layout, Network, NetworkSpec, Replayed, flatten_gradients, flatten_parts, from_host, to_host, unflatten,
};
use crate::noise::{Key, Purpose, RowStreams};
use crate::observations::Observations;
use crate::optim::{OptimState, Optimizer, Update};
use crate::parallel;
use crate::posterior::Posterior;
use crate::ranks::{Adder, Alone, Ranks};
use crate::samples::Samples;
use crate::transfer;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Training of one lap.
pub struct MStep<'a, S: NetworkSpec> {
    /// Architecture, channel and coordinates; its weights are not used.
    posterior: &'a Posterior<S>,
    method: &'a dyn LearningMethod,
    source: TrainingSource<'a>,
    config: &'a MStepConfig,
    optimizer: Optimizer,
    order: Order,
    ranks: &'a dyn Ranks,
    /// Adds the gradients of all ranks.
    adder: Adder,
    /// The next mini-batch, where it was drawn while a device trained on the one before.
    ahead: Option<MiniBatch>,
}

/// This rank's micro-batches of a mini-batch, as places of their observations.
struct MiniBatch {
    step: usize,
    pieces: Vec<Piece>,
}

/// A micro-batch.
struct Piece {
    /// Place of its first row in the mini-batch.
    first: usize,
    rows: Vec<usize>,
    /// What it trains on, if that has been drawn.
    drawn: Option<TrainingBatch>,
}

/// The permutation of the current epoch.
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

impl<'a, S: NetworkSpec> MStep<'a, S> {
    /// Training in lap `lap` (from 1) of a run with `seed`, on the reconstructions `x [n, d]` of `observations`.
    pub fn new(
        posterior: &'a Posterior<S>,
        (x, observations): (&'a Samples, &'a Observations),
        config: &'a MStepConfig,
        seed: u64,
        lap: usize,
    ) -> Self {
        let model = posterior.model();
        let source = TrainingSource {
            schedule: &model.schedule,
            conditioning: posterior.context().conditioning,
            x,
            observations,
            rows: (0..x.n()).collect(),
            clean: None,
            recorruption: config.recorruption,
            operators: config.operators,
            flip: model.image.filter(|_| config.flip),
            seed,
            lap,
        };
        let order = Order { key: source.key(Purpose::Shuffle), epoch: None };
        Self {
            posterior,
            method: model.method.learning(),
            source,
            config,
            optimizer: config.optimizer.build(&Layout::of(posterior.network())),
            order,
            ranks: &Alone,
            adder: Adder::default(),
            ahead: None,
        }
    }

    /// Trains only on those of the `rows` of x, 1 or more, whose reconstructions suit the method.
    pub fn on_rows(mut self, rows: Vec<usize>) -> Self {
        self.source.rows = self.method.training_rows(self.source.x, rows);
        self
    }

    /// Replaces some of the reconstructions by `clean` signals.
    pub fn with_clean(mut self, clean: Option<&'a Clean>) -> Self {
        self.source.clean = clean;
        self
    }

    /// Deals the micro-batches to `ranks`, all of which take every step.
    pub fn over(mut self, ranks: &'a dyn Ranks) -> Self {
        self.ranks = ranks;
        self
    }

    /// Takes optimizer step number `step` of the lap and returns the loss of the mini-batch, on the device.
    pub fn step(&mut self, state: &mut OptimState, step: usize) -> Tensor<1> {
        let device = self.posterior.device();
        let ahead = self.ahead.take().filter(|batch| batch.step == step);
        let current = ahead.unwrap_or_else(|| self.mini_batch(step));
        let follows = step + 1 < self.config.steps && !kernels::in_host_memory(device);
        let next = follows.then(|| self.mini_batch(step + 1));
        // The parameters are plain: every micro-batch makes its own leaves from them, so that the graphs
        // share no node (burn locks graphs that do) and can be differentiated at the same time.
        let network = unflatten(self.posterior.network().clone(), &state.weights);
        let this: &Self = self;
        let (parts, next) = parallel::beside(
            || kernels::map_shards(device, current.pieces.len(), |i| this.learn(&network, &current.pieces[i], step)),
            next.map(|batch| || this.draw(batch)),
        );
        self.ahead = next;
        let (losses, gradients): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let (losses, gradients) = match self.ranks.count() {
            1 => (losses, gradients),
            _ => self.of_all_ranks(losses, gradients, &state.weights),
        };
        let c = self.config;
        let learning_rate = self.learning_rate(state.updates);
        let update = Update { learning_rate, clip_norm: c.clip_norm, average_decay: c.ema };
        self.optimizer.update(state, gradients, update);
        losses.into_iter().reduce(|sum, loss| sum + loss).unwrap_or_else(|| Tensor::zeros([1], device))
    }

    /// Number of micro-batches of all ranks.
    fn pieces(&self) -> usize {
        self.config.batch.div_ceil(self.config.micro_batch)
    }

    /// The observations of this rank's share of mini-batch `step`.
    fn mini_batch(&mut self, step: usize) -> MiniBatch {
        let MStepConfig { batch, micro_batch, .. } = *self.config;
        let n = self.source.rows.len();
        let rows: Vec<usize> = (0..batch).map(|r| self.order.at(step * batch + r, n)).collect();
        let own = self.ranks.share(self.pieces());
        let piece = |first: usize| {
            let rows = rows[first..batch.min(first + micro_batch)].to_vec();
            Piece { first, rows, drawn: None }
        };
        MiniBatch { step, pieces: own.map(|i| piece(i * micro_batch)).collect() }
    }

    /// Draws what the micro-batches train on.
    fn draw(&self, batch: MiniBatch) -> MiniBatch {
        let MiniBatch { step, mut pieces } = batch;
        let drawn = parallel::map(pieces.len(), |i| self.training_batch(&pieces[i], step));
        pieces.iter_mut().zip(drawn).for_each(|(piece, drawn)| piece.drawn = Some(drawn));
        MiniBatch { step, pieces }
    }

    fn training_batch(&self, piece: &Piece, step: usize) -> TrainingBatch {
        self.method.training_batch(&self.source, &piece.rows, step, piece.first)
    }

    /// Loss and gradient of a micro-batch.
    fn learn(&self, network: &S::Network, piece: &Piece, step: usize) -> (Tensor<1>, Tensor<1>) {
        let streams = self.source.key(Purpose::Dropout).rows(piece.first, step);
        let learn = |batch: &TrainingBatch| self.gradient(network, batch, streams);
        match &piece.drawn {
            Some(batch) => learn(batch),
            None => learn(&self.training_batch(piece, step)),
        }
    }

    /// The losses of all micro-batches and the sum of their gradients, which have the length of `weights [P]`.
    fn of_all_ranks(
        &mut self,
        losses: Vec<Tensor<1>>,
        gradients: Vec<Tensor<1>>,
        weights: &Tensor<1>,
    ) -> (Vec<Tensor<1>>, Vec<Tensor<1>>) {
        let pieces = self.pieces();
        let host = |t: &Tensor<1>| to_host(t).expect("a device whose tensors can be read");
        let device = weights.device();
        let own: Vec<f32> = losses.iter().flat_map(&host).collect();
        let losses = self.ranks.collect(own, pieces).into_iter().map(|loss| from_host(vec![loss], &device)).collect();
        let own: Vec<Vec<f32>> = gradients.iter().map(host).collect();
        let sum = self.adder.sum(self.ranks, &own, pieces, weights.dims()[0]);
        (losses, vec![from_host(sum, &device)])
    }

    /// Learning rate after `updates` updates.
    pub fn learning_rate(&self, updates: usize) -> f64 {
        let c = self.config;
        c.decay.rate(c.learning_rate, c.final_learning_rate, updates, c.steps)
    }

    /// Loss of a micro-batch (its share of the mini-batch mean) and the gradient `[P]`.
    fn gradient(&self, network: &S::Network, batch: &TrainingBatch, streams: RowStreams) -> (Tensor<1>, Tensor<1>) {
        let replayed = if self.config.gradient_checkpointing { Replayed::new(network) } else { None };
        if let Some(replayed) = replayed {
            let (surrogate, loss) = self.loss(&replayed, batch, streams);
            let gradients = replayed.gradients(&mut surrogate.backward());
            return (loss, flatten_parts(network, gradients));
        }
        let network = network.clone().train();
        let (surrogate, loss) = self.loss(&network, batch, streams);
        (loss, flatten_gradients(&network, GradientsParams::from_grads(surrogate.backward(), &network)))
    }

    /// A tensor with the gradient of the loss of a micro-batch, and that loss.
    fn loss(&self, network: &dyn Network, batch: &TrainingBatch, streams: RowStreams) -> (Tensor<1>, Tensor<1>) {
        let device = self.posterior.device().clone().autodiff();
        let scale = 1.0 / (self.config.batch * batch.x.d()) as f64;
        let context = Context { network, device: &device, ..self.posterior.context() };
        let denoised = self.method.denoise_training(context, batch, streams);
        if let Some(free) = context.conditioning.matrix_free(&batch.measurements) {
            return self.matrix_free_loss(free, denoised, batch, scale);
        }
        let mut error = denoised - to_tensor(&batch.x, &device);
        // Weights are given in the basis of the measurements.
        if let Some(basis) = context.conditioning.basis().filter(|_| batch.weight.is_some()) {
            error = basis.on(&device).forward(error);
        }
        let loss = match &batch.weight {
            Some(weight) if weight.d() > batch.x.d() => {
                let weight = to_tensor(weight, &device) * scale;
                (times(&weight, error.clone()) * error).sum()
            }
            Some(weight) => (error.square() * (to_tensor(weight, &device) * scale)).sum(),
            None => {
                let weight = batch.sigma.iter().map(|&s| (self.source.schedule.loss_weight(s) * scale) as f32);
                (error.square() * transfer::to_device(weight.collect(), [batch.x.n(), 1], &device)).sum()
            }
        };
        (loss.clone(), loss.inner())
    }

    /// The loss of D = D₀ + K (y - A D₀) where K A is no matrix: D, its error and the gradient g of the loss are computed
    /// on the host, and ⟨D₀, (I - K A) g⟩ has the gradient of the loss in D₀. Returns it and the loss.
    fn matrix_free_loss(
        &self,
        free: MatrixFree<'_>,
        estimate: Tensor<2>,
        batch: &TrainingBatch,
        scale: f64,
    ) -> (Tensor<1>, Tensor<1>) {
        let (schedule, device) = (self.source.schedule, estimate.device());
        let variance = |i: usize| schedule.posterior_variance(batch.sigma[i]);
        let d0 = to_samples(estimate.clone().inner()).expect("a device whose tensors can be read");
        let mut error = free.update(&d0, variance);
        error.as_mut_slice().iter_mut().zip(batch.x.as_slice()).for_each(|(e, x)| *e -= x);
        // W e of every row.
        let mut weighted = error.clone();
        if let Some(trust) = &batch.trust {
            let operators = self.source.conditioning.matrix_free(&trust.measurements);
            let prior = schedule.sigma_data.powi(2);
            let part = operators.map(|operators| operators.measured(&error, prior, &trust.mirrored));
            for (i, part) in part.iter().flat_map(Samples::rows).enumerate() {
                let a = trust.imputed[i] as f32;
                weighted.row_mut(i).iter_mut().zip(part).for_each(|(w, part)| *w = a * *w + (1.0 - a) * part);
            }
        }
        for i in 0..weighted.n() {
            let weight = (schedule.loss_weight(batch.sigma[i]) * scale) as f32;
            weighted.row_mut(i).iter_mut().for_each(|w| *w *= weight);
        }
        let loss: f64 =
            error.as_slice().iter().zip(weighted.as_slice()).map(|(e, w)| f64::from(*e) * f64::from(*w)).sum();
        let gradient = to_tensor(&free.pull_back(&weighted, variance), &device) * 2.0;
        let loss = transfer::to_device(vec![loss as f32], [1], &device.inner());
        ((estimate * gradient).sum(), loss)
    }
}
