//! Adam's update of a piece of the weights.

use super::math::simd;

/// Coefficients of an update w - α m̂ / (√v̂ + ε), with m = β₁ m + (1 - β₁) g and v = β₂ v + (1 - β₂) g².
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// (β₁, β₂).
    pub beta: (f32, f32),
    /// α / (1 - β₁ᵗ).
    pub step_size: f32,
    /// 1 / √(1 - β₂ᵗ).
    pub second_scale: f32,
    /// ε.
    pub epsilon: f32,
    /// Decay of the weights' average in [0, 1); 0 keeps none.
    pub average_decay: f32,
}

impl Adam {
    /// New (weight, average, m, v) of each parameter, given the old ones and the gradient times `scale`; all
    /// have equal length.
    pub fn update(&self, old: [&[f32]; 4], gradient: &[f32], scale: f32, new: &mut [[f32; 4]]) {
        let n = new.len();
        let [w, a, m, v] = old.map(|values| &values[..n]);
        let g = &gradient[..n];
        simd(|| {
            for i in 0..n {
                let g = g[i] * scale;
                let m = self.beta.0 * m[i] + (1.0 - self.beta.0) * g;
                let v = self.beta.1 * v[i] + (1.0 - self.beta.1) * (g * g);
                let w = w[i] - self.step_size * (m / (v.sqrt() * self.second_scale + self.epsilon));
                let decay = self.average_decay;
                let a = if decay > 0.0 { decay * a[i] + (1.0 - decay) * w } else { w };
                new[i] = [w, a, m, v];
            }
        });
    }
}
