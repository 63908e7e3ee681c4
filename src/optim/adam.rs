//! Adam, gradient clipping by global norm, and the exponential moving average of the weights.
//!
//! m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², θ ← θ - η m̂ / (√v̂ + ε) (Kingma & Ba 2015), after
//! g ← g min(1, c / (‖g‖ + 1e-6)); θ̄ ← ρ θ̄ + (1 - ρ) θ.

use crate::kernels;
use burn::tensor::Tensor;
use diffem_kernels::Adam;

const BETA: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Weights θ with their optimizer state and average; all vectors `[P]` outside autodiff.
#[derive(Clone, Debug)]
pub struct OptimState {
    /// θ.
    pub weights: Tensor<1>,
    /// θ̄; equal to θ while the average's decay is 0.
    pub average: Tensor<1>,
    /// First moment m.
    pub first: Tensor<1>,
    /// Second moment v.
    pub second: Tensor<1>,
    /// Number of updates since the optimizer was created.
    pub updates: usize,
}

/// Settings of one update.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Learning rate η.
    pub learning_rate: f64,
    /// Bound c on the gradient's norm; 0 for none.
    pub clip_norm: f64,
    /// Decay ρ of the average in [0, 1); 0 keeps no average. The first updates use (1 + t)/(10 + t) where
    /// that is smaller, so that a short training run is not averaged with its random initialization.
    pub average_decay: f64,
}

/// Host-side coefficients of an update; see the module's formula.
struct Coefficients {
    adam: Adam,
    clip_norm: f32,
}

impl Update {
    /// Coefficients of update number `t`, from 1: m̂ = m / (1 - β₁ᵗ), √v̂ = √v / √(1 - β₂ᵗ).
    fn coefficients(&self, t: i32) -> Coefficients {
        let adam = Adam {
            beta: (BETA.0 as f32, BETA.1 as f32),
            step_size: (self.learning_rate / (1.0 - BETA.0.powi(t))) as f32,
            second_scale: (1.0 / (1.0 - BETA.1.powi(t)).sqrt()) as f32,
            epsilon: EPSILON as f32,
            average_decay: self.average_decay_at(t as usize),
        };
        Coefficients { adam, clip_norm: self.clip_norm as f32 }
    }

    /// Decay of the average in update number `t`, from 1.
    pub(super) fn average_decay_at(&self, t: usize) -> f32 {
        self.average_decay.min((1 + t) as f64 / (10 + t) as f64) as f32
    }
}

impl OptimState {
    /// Fresh state for weights θ `[P]`.
    pub fn new(weights: Tensor<1>) -> Self {
        let zeros = weights.zeros_like();
        Self { average: weights.clone(), weights, first: zeros.clone(), second: zeros, updates: 0 }
    }

    /// Keeps the weights and the average and creates a new optimizer, as at the beginning of each lap.
    pub fn restart(self) -> Self {
        let zeros = self.weights.zeros_like();
        Self { first: zeros.clone(), second: zeros, updates: 0, ..self }
    }

    /// Takes one update of Adam with the sum of the `gradients` (each `[P]`), added in the order given. It does not
    /// wait for the device.
    pub fn update(&mut self, gradients: Vec<Tensor<1>>, update: Update) {
        self.updates += 1;
        let c = update.coefficients(self.updates as i32);
        if kernels::is_flex(&self.weights.device()) {
            #[cfg(feature = "flex")]
            return self.fused_update(gradients, &c);
        }
        self.stock_update(gradients, &c);
    }

    #[cfg(feature = "flex")]
    fn fused_update(&mut self, gradients: Vec<Tensor<1>>, c: &Coefficients) {
        let state = [&self.weights, &self.average, &self.first, &self.second];
        let [weights, average, first, second] = kernels::adam(state, gradients, &c.adam, c.clip_norm);
        *self = Self { weights, average, first, second, updates: self.updates };
    }

    fn stock_update(&mut self, gradients: Vec<Tensor<1>>, c: &Coefficients) {
        let Some(mut g) = gradients.into_iter().reduce(|sum, g| sum + g) else {
            return;
        };
        if c.clip_norm > 0.0 {
            let norm = g.clone().square().sum().sqrt();
            g = g * ((norm + 1e-6).recip() * c.clip_norm).clamp_max(1.0);
        }
        let adam = &c.adam;
        self.first = self.first.clone() * adam.beta.0 + g.clone() * (1.0 - adam.beta.0);
        self.second = self.second.clone() * adam.beta.1 + g.square() * (1.0 - adam.beta.1);
        let denominator = self.second.clone().sqrt() * adam.second_scale + adam.epsilon;
        self.weights = self.weights.clone() - self.first.clone() / denominator * adam.step_size;
        self.average = averaged(self.average.clone(), &self.weights, adam.average_decay);
    }
}

/// ρ θ̄ + (1 - ρ) θ; θ itself where ρ is 0.
pub(super) fn averaged(average: Tensor<1>, weights: &Tensor<1>, decay: f32) -> Tensor<1> {
    match decay > 0.0 {
        true => average * decay + weights.clone() * (1.0 - decay),
        false => weights.clone(),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::network::Layout;
    use burn::tensor::Device;

    fn vector(values: &[f32]) -> Tensor<1> {
        Tensor::from_floats(values, &Device::flex())
    }

    fn host(t: &Tensor<1>) -> Vec<f32> {
        t.clone().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn fused_update_agrees_with_stock_operations() {
        let n = 10_007;
        let wave = |a: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * a).sin()).collect() };
        let (mut fused, mut stock) = (OptimState::new(vector(&wave(0.1))), OptimState::new(vector(&wave(0.1))));
        for t in 0..5 {
            let gradients = || vec![vector(&wave(0.3 + t as f32)), vector(&wave(0.7))];
            let update = Update { learning_rate: 1e-2, clip_norm: 1.0, average_decay: 0.9 };
            fused.update(gradients(), update);
            stock.updates += 1;
            let c = update.coefficients(stock.updates as i32);
            stock.stock_update(gradients(), &c);
        }
        for (a, b) in
            [(&fused.weights, &stock.weights), (&fused.average, &stock.average), (&fused.second, &stock.second)]
        {
            let worst = host(a).iter().zip(host(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-6, "{worst}");
        }
    }

    #[test]
    fn first_step_moves_by_the_learning_rate() {
        // Adam's first step is η sign(g) whatever the gradient's size, clipped or not.
        let mut state = OptimState::new(vector(&[1.0, 1.0, 1.0]));
        state.update(
            vec![vector(&[5.0, -0.01, 0.0])],
            Update { learning_rate: 0.1, clip_norm: 1.0, average_decay: 0.0 },
        );
        let w = host(&state.weights);
        assert!((w[0] - 0.9).abs() < 1e-5 && (w[1] - 1.1).abs() < 1e-4 && w[2] == 1.0, "{w:?}");
        assert_eq!(host(&state.average), w);
    }

    #[test]
    fn parameters_survive_the_round_trip_through_the_flat_vector() {
        use crate::network::{MlpConfig, flatten, unflatten};
        let config = MlpConfig { width: 8, depth: 2, embedding: 4 };
        let (a, b) = (config.init(3, 2, 1, &Device::flex()), config.init(3, 2, 2, &Device::flex()));
        assert_eq!(Layout::of(&a).len(), (9 * 8 + 8 + 16) + (8 * 8 + 8 + 16) + (8 * 3 + 3));
        assert_eq!(host(&flatten(&unflatten(b, &flatten(&a)))), host(&flatten(&a)));
    }
}
