//! The network, the denoiser and the loss written out once more, in double precision on the host, from the formulas alone.

use diffem::conformance::{Batch, Problem};
use diffem::network::Layout;
use std::collections::HashMap;
use std::ops::Range;

const NORM_EPSILON: f64 = 1e-5;

/// Where the network's parameters lie in the flat vector.
pub struct Places {
    ranges: HashMap<String, Range<usize>>,
    depth: usize,
    embedding: usize,
}

impl Places {
    pub fn new(layout: &Layout, depth: usize, embedding: usize) -> Self {
        let mut offset = 0;
        let place = |(name, shape): &(String, Vec<usize>)| {
            let start = offset;
            offset += shape.iter().product::<usize>();
            (name.clone(), start..offset)
        };
        Self { ranges: layout.entries.iter().map(place).collect(), depth, embedding }
    }

    fn of<'a>(&self, weights: &'a [f64], name: &str) -> &'a [f64] {
        &weights[self.ranges[name].clone()]
    }

    /// Returns x W + b.
    fn dense(&self, weights: &[f64], name: &str, x: &[f64]) -> Vec<f64> {
        let mut out = self.of(weights, &format!("{name}.bias")).to_vec();
        let columns = out.len();
        for (x, row) in x.iter().zip(self.of(weights, &format!("{name}.weight")).chunks_exact(columns)) {
            out.iter_mut().zip(row).for_each(|(out, w)| *out += x * w);
        }
        out
    }

    /// Returns F of one row: hidden layers SiLU(LayerNorm(x W + b) γ + β), then x W + b.
    fn network(&self, weights: &[f64], input: Vec<f64>) -> Vec<f64> {
        let mut h = input;
        for layer in 0..self.depth {
            let z = self.dense(weights, &format!("Mlp.hidden.{layer}.linear"), &h);
            let [gamma, beta] =
                ["gamma", "beta"].map(|part| self.of(weights, &format!("Mlp.hidden.{layer}.norm.{part}")));
            let n = z.len() as f64;
            let mean = z.iter().sum::<f64>() / n;
            let variance = z.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let scale = (variance + NORM_EPSILON).sqrt();
            let norm = |i: usize| (z[i] - mean) / scale * gamma[i] + beta[i];
            h = (0..z.len()).map(norm).map(|v| v / (1.0 + (-v).exp())).collect();
        }
        self.dense(weights, "Mlp.output", &h)
    }

    /// Cosines, then sines, of ln σ at frequencies from 1/2 turn down to 1/512 turn.
    fn embedding(&self, sigma: f64) -> Vec<f64> {
        let half = self.embedding / 2;
        let angle = |k: usize| std::f64::consts::PI * 2f64.powf(-8.0 * k as f64 / (half - 1) as f64) * sigma.ln();
        (0..half).map(|k| angle(k).cos()).chain((0..half).map(|k| angle(k).sin())).collect()
    }

    /// Returns D of row `i`: c_skip x_t + c_out F(c_in x_t, c, emb(ln σ)), then D + K y - K A D with a gain.
    pub fn denoise(&self, weights: &[f64], problem: &Problem, batch: &Batch, i: usize, gain: bool) -> Vec<f64> {
        let wide = |row: &[f32]| row.iter().map(|&v| v as f64).collect::<Vec<_>>();
        let (x_t, sigma, data) = (wide(problem.inputs.x_t.row(i)), batch.sigma[i], problem.schedule.sigma_data);
        let total = (sigma * sigma + data * data).sqrt();
        let scaled = x_t.iter().map(|x| x / total);
        let input = scaled.chain(wide(batch.features.row(i))).chain(self.embedding(sigma)).collect();
        let f = self.network(weights, input);
        let (skip, out) = ((data / total).powi(2), sigma * data / total);
        let d0: Vec<f64> = x_t.iter().zip(&f).map(|(x, f)| skip * x + out * f).collect();
        if !gain {
            return d0;
        }
        let (ka, ky, d) = (wide(batch.ka.row(i)), wide(batch.ky.row(i)), d0.len());
        let projected = |p: usize| match ka.len() == d {
            true => ka[p] * d0[p],
            false => (0..d).map(|q| ka[p * d + q] * d0[q]).sum(),
        };
        (0..d).map(|p| d0[p] + ky[p] - projected(p)).collect()
    }

    /// Σ w (D - x)².
    pub fn loss(&self, weights: &[f64], problem: &Problem, batch: &Batch) -> f64 {
        let square = |i: usize| {
            let d = self.denoise(weights, problem, batch, i, true);
            d.iter().zip(batch.x.row(i)).map(|(d, &x)| (d - x as f64).powi(2)).sum::<f64>() * batch.weight[i]
        };
        (0..batch.x.n()).map(square).sum()
    }
}
