//! The U-Net's residual block as one operation on images stored pixel by pixel:
//!
//! ```text
//! u = (a + 1) x + b,  v = (u - mean u) / std u  over a pixel's channels,
//! z = v * W₁ + b₁,  y = SiLU(z) * W₂ + b₂,  out = (x + c y) k,  k = 1/√(1 + c²)
//! ```
//!
//! Each image has one vector a, b and c. A group of images passes through the whole block before the next
//! group, so that the values between the two convolutions stay in the cache.

use super::conv::{Grid, Padded};
use super::dense::row_statistics;
use super::math::{sigmoid, simd, sum_lanes};
use std::ops::Range;

/// Operands: `x [pixels, c]`, `modulation [n, 3 c]` (a, b, c side by side), kernels `[9 c, c]`, biases `[c]`.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// Images.
    pub grid: Grid,
    /// x.
    pub x: &'a [f32],
    /// (a, b, c).
    pub modulation: &'a [f32],
    /// W₁.
    pub w1: &'a [f32],
    /// b₁.
    pub b1: &'a [f32],
    /// W₂.
    pub w2: &'a [f32],
    /// b₂.
    pub b2: &'a [f32],
}

/// What the backward pass needs besides the operands: z and y, each `[pixels, c]`.
#[derive(Debug)]
pub struct Saved {
    z: Vec<f32>,
    y: Vec<f32>,
}

/// Gradients with respect to the operands.
pub struct Gradients {
    /// x.
    pub x: Vec<f32>,
    /// (a, b, c).
    pub modulation: Vec<f32>,
    /// W₁, b₁, W₂, b₂, if requested.
    pub parameters: Option<[Vec<f32>; 4]>,
}

/// v of one pixel and 1 / std of its u.
#[inline(always)]
fn normalized(x: &[f32], a: &[f32], b: &[f32], v: &mut [f32]) -> f32 {
    let n = v.len();
    let (x, a, b) = (&x[..n], &a[..n], &b[..n]);
    for i in 0..n {
        v[i] = (a[i] + 1.0) * x[i] + b[i];
    }
    let (mean, rstd) = row_statistics(v);
    v.iter_mut().for_each(|v| *v = (*v - mean) * rstd);
    rstd
}

impl Block<'_> {
    fn c(&self) -> usize {
        self.b1.len()
    }

    /// a, b, c of an image.
    fn modulation(&self, image: usize) -> (&[f32], &[f32], &[f32]) {
        let c = self.c();
        let (a, rest) = self.modulation[image * 3 * c..(image + 1) * 3 * c].split_at(c);
        let (b, gate) = rest.split_at(c);
        (a, b, gate)
    }

    /// v of a group of images with borders; `first` is the group's first image.
    fn normalize(&self, group: Grid, range: &Range<usize>, first: usize) -> Padded {
        let c = self.c();
        let x = &self.x[range.start * c..range.end * c];
        let mut v = Padded::zeros(group, c);
        simd(|| {
            v.fill(|at, image, run| {
                let (a, b, _) = self.modulation(first + image);
                let x = &x[at..at + run.len()];
                for (v, x) in run.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                    normalized(x, a, b, v);
                }
            });
        });
        v
    }

    /// Returns the output and, if `save`, what the backward pass needs.
    pub fn forward(&self, save: bool) -> (Vec<f32>, Option<Saved>) {
        let (c, pixels) = (self.c(), self.grid.h * self.grid.w);
        let mut out = vec![0.0; self.x.len()];
        let mut saved = save.then(|| Saved { z: vec![0.0; self.x.len()], y: vec![0.0; self.x.len()] });
        for (group, range) in self.grid.groups() {
            let (first, dense) = (range.start / pixels, range.start * c..range.end * c);
            let h = self.normalize(group, &range, first).correlate(self.w1, c);
            if let Some(saved) = &mut saved {
                let z = &mut saved.z[dense.clone()];
                h.read(|at, _, run| add_bias(run, self.b1, &mut z[at..at + run.len()]));
            }
            let h = activate(&h, group, self.b1);
            let y = h.correlate(self.w2, c);
            let (x, out) = (&self.x[dense.clone()], &mut out[dense.clone()]);
            let mut kept = saved.as_mut().map(|saved| &mut saved.y[dense.clone()]);
            simd(|| {
                y.read(|at, image, run| {
                    let range = at..at + run.len();
                    self.join(first + image, run, &x[range.clone()], &mut out[range.clone()]);
                });
            });
            if let Some(kept) = &mut kept {
                y.read(|at, _, run| add_bias(run, self.b2, &mut kept[at..at + run.len()]));
            }
        }
        (out, saved)
    }

    /// out = (x + c (y + b₂)) k for a run of pixels.
    #[inline(always)]
    fn join(&self, image: usize, y: &[f32], x: &[f32], out: &mut [f32]) {
        let c = self.c();
        let (_, _, gate) = self.modulation(image);
        for ((out, x), y) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(y.chunks_exact(c)) {
            for i in 0..c {
                out[i] = (x[i] + gate[i] * (y[i] + self.b2[i])) / (1.0 + gate[i] * gate[i]).sqrt();
            }
        }
    }

    /// Gradients given that of the output; those of kernels and biases only if `want_parameters`.
    pub fn backward(&self, saved: &Saved, dout: &[f32], want_parameters: bool) -> Gradients {
        let (c, pixels) = (self.c(), self.grid.h * self.grid.w);
        let mut g = Gradients {
            x: vec![0.0; self.x.len()],
            modulation: vec![0.0; self.modulation.len()],
            parameters: want_parameters.then(|| [self.w1.len(), c, self.w2.len(), c].map(|len| vec![0.0; len])),
        };
        for (group, range) in self.grid.groups() {
            let (first, dense) = (range.start / pixels, range.start * c..range.end * c);
            let dout = &dout[dense.clone()];
            let dy = self.leave(group, first, &dense, &saved.y, dout, &mut g);
            let z = &saved.z[dense.clone()];
            let dz = through_silu(&dy.correlate_transposed(self.w2, c), z, group, c);
            if let Some([w1, b1, w2, b2]) = &mut g.parameters {
                let mut h = Padded::zeros(group, c);
                simd(|| {
                    h.fill(|at, _, run| run.iter_mut().zip(&z[at..]).for_each(|(h, &z)| *h = z * sigmoid(z)));
                });
                h.add_weight_gradient(&dy, w2);
                dy.add_sums(b2);
                self.normalize(group, &range, first).add_weight_gradient(&dz, w1);
                dz.add_sums(b1);
            }
            self.enter(first, &dense, &dz.correlate_transposed(self.w1, c), &mut g);
        }
        g
    }

    /// Backward through the last line: adds to dx and dc, and returns dy with zero borders.
    fn leave(
        &self,
        group: Grid,
        first: usize,
        dense: &Range<usize>,
        y: &[f32],
        dout: &[f32],
        g: &mut Gradients,
    ) -> Padded {
        let c = self.c();
        let (x, y, dx) = (&self.x[dense.clone()], &y[dense.clone()], &mut g.x[dense.clone()]);
        let mut dy = Padded::zeros(group, c);
        simd(|| {
            dy.fill(|at, image, run| {
                let (_, _, gate) = self.modulation(first + image);
                let dgate = &mut g.modulation[((first + image) * 3 + 2) * c..][..c];
                for start in (0..run.len()).step_by(c) {
                    let p = at + start;
                    let (x, y, dout) = (&x[p..p + c], &y[p..p + c], &dout[p..p + c]);
                    let (dx, dy) = (&mut dx[p..p + c], &mut run[start..start + c]);
                    for i in 0..c {
                        let square = 1.0 + gate[i] * gate[i];
                        let k = 1.0 / square.sqrt();
                        dx[i] = k * dout[i];
                        dy[i] = k * gate[i] * dout[i];
                        dgate[i] += dout[i] * k * (y[i] - gate[i] * (x[i] + gate[i] * y[i]) / square);
                    }
                }
            });
        });
        dy
    }

    /// Backward through the first line: adds to dx, da and db, given dv.
    fn enter(&self, first: usize, dense: &Range<usize>, dv: &Padded, g: &mut Gradients) {
        let c = self.c();
        let (x, dx) = (&self.x[dense.clone()], &mut g.x[dense.clone()]);
        let modulation = &mut g.modulation;
        let mut v = vec![0.0f32; c];
        simd(|| {
            dv.read(|at, image, run| {
                let (a, b, _) = self.modulation(first + image);
                let (da, rest) = modulation[(first + image) * 3 * c..][..2 * c].split_at_mut(c);
                let db = &mut rest[..c];
                for (start, dv) in (0..run.len()).step_by(c).zip(run.chunks_exact(c)) {
                    let p = at + start;
                    let (x, dx) = (&x[p..p + c], &mut dx[p..p + c]);
                    let rstd = normalized(x, a, b, &mut v);
                    let v = &v[..c];
                    let mean = sum_lanes([dv], |[dv]| dv) / c as f32;
                    let along = sum_lanes([dv, v], |[dv, v]| dv * v) / c as f32;
                    for i in 0..c {
                        let du = rstd * (dv[i] - mean - v[i] * along);
                        dx[i] += (a[i] + 1.0) * du;
                        da[i] += du * x[i];
                        db[i] += du;
                    }
                }
            });
        });
    }
}

/// run + bias, pixel by pixel.
fn add_bias(run: &[f32], bias: &[f32], out: &mut [f32]) {
    for (out, run) in out.chunks_exact_mut(bias.len()).zip(run.chunks_exact(bias.len())) {
        out.iter_mut().zip(run).zip(bias).for_each(|((out, v), b)| *out = v + b);
    }
}

/// SiLU(z + b₁) with zero borders.
fn activate(z: &Padded, group: Grid, bias: &[f32]) -> Padded {
    let mut h = Padded::zeros(group, bias.len());
    simd(|| {
        h.zip(z, |h, z| {
            for (h, z) in h.chunks_exact_mut(bias.len()).zip(z.chunks_exact(bias.len())) {
                for ((h, z), b) in h.iter_mut().zip(z).zip(bias) {
                    let z = z + b;
                    *h = z * sigmoid(z);
                }
            }
        });
    });
    h
}

/// dz = dh σ(z) (1 + z (1 - σ(z))) with zero borders.
fn through_silu(dh: &Padded, z: &[f32], group: Grid, c: usize) -> Padded {
    let mut dz = Padded::zeros(group, c);
    let mut at = 0;
    simd(|| {
        dz.zip(dh, |dz, dh| {
            let z = &z[at..at + dz.len()];
            at += dz.len();
            for ((dz, dh), &z) in dz.iter_mut().zip(dh).zip(z) {
                let s = sigmoid(z);
                *dz = dh * s * (1.0 + z * (1.0 - s));
            }
        });
    });
    dz
}
