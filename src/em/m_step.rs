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
use crate::network::{Layout, NetworkSpec, flatten_gradients, from_host, to_host, unflatten};
use crate::noise::{Key, Purpose, RowStreams};
use crate::observations::Observations;
use crate::optim::{OptimState, Optimizer, Update};
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
        let MStepConfig { batch, micro_batch, .. } = *self.config;
        let n = self.source.rows.len();
        let rows: Vec<usize> = (0..batch).map(|r| self.order.at(step * batch + r, n)).collect();
        let device = self.posterior.device();
        // The parameters are plain: every micro-batch makes its own leaves from them, so that the graphs
        // share no node (burn locks graphs that do) and can be differentiated at the same time.
        let network = unflatten(self.posterior.network().clone(), &state.weights);
        let this: &Self = self;
        let piece = |i: usize| {
            let rows = &rows[i * micro_batch..batch.min((i + 1) * micro_batch)];
            let streams = this.source.key(Purpose::Dropout).rows(i * micro_batch, step);
            let batch = this.method.training_batch(&this.source, rows, step, i * micro_batch);
            this.gradient(network.clone().train(), &batch, streams)
        };
        let pieces = batch.div_ceil(micro_batch);
        let own = self.ranks.share(pieces);
        let parts = kernels::map_shards(device, own.len(), |i| piece(own.start + i));
        let (losses, gradients): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let (losses, gradients) = match self.ranks.count() {
            1 => (losses, gradients),
            _ => self.of_all_ranks(losses, gradients, pieces, &state.weights),
        };
        let c = self.config;
        let learning_rate = self.learning_rate(state.updates);
        let update = Update { learning_rate, clip_norm: c.clip_norm, average_decay: c.ema };
        self.optimizer.update(state, gradients, update);
        losses.into_iter().reduce(|sum, loss| sum + loss).unwrap_or_else(|| Tensor::zeros([1], device))
    }

    /// The losses of all `pieces` micro-batches and the sum of their gradients, which have the length of `weights [P]`.
    fn of_all_ranks(
        &mut self,
        losses: Vec<Tensor<1>>,
        gradients: Vec<Tensor<1>>,
        pieces: usize,
        weights: &Tensor<1>,
    ) -> (Vec<Tensor<1>>, Vec<Tensor<1>>) {
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
    fn gradient(&self, network: S::Network, batch: &TrainingBatch, streams: RowStreams) -> (Tensor<1>, Tensor<1>) {
        let device = self.posterior.device().clone().autodiff();
        let scale = 1.0 / (self.config.batch * batch.x.d()) as f64;
        let context = Context { network: &network, device: &device, ..self.posterior.context() };
        let denoised = self.method.denoise_training(context, batch, streams);
        if let Some(free) = context.conditioning.matrix_free(&batch.measurements) {
            let (surrogate, loss) = self.matrix_free_loss(free, denoised, batch, scale);
            let gradients = GradientsParams::from_grads(surrogate.backward(), &network);
            return (loss, flatten_gradients(&network, gradients));
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
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        (loss.inner(), flatten_gradients(&network, gradients))
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
