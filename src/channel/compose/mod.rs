//! Stages in sequence: the output of each stage is the signal of the next.

mod forward;
mod noise;
mod spectral;

use super::spectrum::{Action, actions, maps};
use super::{Channel, LinearChannel, OperatorPart, SpectralChannel, observe_each, write_rows};
use super::{Normal, Preconditioner};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use nalgebra::DMatrix;
use std::ops::Range;
use std::sync::Arc;

/// y = Q_S(... Q_1(x)). The operator parameters `a` are those of all stages, one after another.
pub struct Compose {
    stages: Vec<Arc<dyn Channel>>,
    /// How each stage acts, if the chain is diagonal in one basis.
    actions: Option<Vec<Action>>,
    /// Number of stages up to the last one that is no multiple of the identity with white noise.
    maps: usize,
}

impl Compose {
    /// Chains `stages`; the signal length of each must equal the observation length of the one before it.
    pub fn new(stages: Vec<Box<dyn Channel>>) -> Result<Self> {
        Self::shared(stages.into_iter().map(Arc::from).collect())
    }

    fn shared(stages: Vec<Arc<dyn Channel>>) -> Result<Self> {
        if stages.is_empty() {
            return Err(Error::config("channel", "expected one or more stages"));
        }
        for (i, pair) in stages.windows(2).enumerate() {
            let (out, input) = (pair[0].observation_len(), pair[1].signal_len());
            if out != input {
                return Err(Error::shape(
                    format!("channel stage {}", i + 1),
                    format!("signals of length {out}"),
                    input,
                ));
            }
        }
        let (actions, maps) = (actions(&stages), maps(&stages));
        Ok(Self { stages, actions, maps })
    }

    /// The linear map, the noise and the map's parameters, if the chain is a noiseless map followed by
    /// parameter-free diagonal noise of unit gain.
    fn map_then_noise<'a>(&'a self, a: &'a [f32]) -> Option<(&'a dyn LinearChannel, &'a dyn LinearChannel, &'a [f32])> {
        let [map, noise] = self.stages.as_slice() else {
            return None;
        };
        let (map, noise) = (map.as_linear()?, noise.as_linear()?);
        let fits = map.is_noiseless() && !noise.is_noiseless() && noise.is_diagonal() && noise.operator_len() == 0;
        fits.then_some((map, noise, a))
    }

    /// Lifts planes in the layout of stage `count`'s signal through the stages before it, from last to first.
    fn lift_from(&self, count: usize, y: &[f32], out: &mut [f32]) {
        let mut signal = y.to_vec();
        for stage in self.stages[..count].iter().rev() {
            let mut previous = vec![0.0; signal.len() * stage.signal_len() / stage.observation_len()];
            stage.lift(&signal, &mut previous);
            signal = previous;
        }
        out.copy_from_slice(&signal);
    }

    /// Number of features for the parameters of stage `i`: that of the lifted planes where all stages before
    /// it lift, otherwise that of the parameters.
    fn stage_feature_len(&self, i: usize) -> usize {
        let stage = &self.stages[i];
        match self.is_lifted(i) {
            true => stage.operator_len() * self.signal_len() / stage.signal_len(),
            false => stage.operator_feature_len(),
        }
    }

    /// True if the parameters of stage `i` are lifted to the resolution of the first stage.
    fn is_lifted(&self, i: usize) -> bool {
        i > 0 && self.stages[i].operator_lifts() && self.stages[..i].iter().all(|s| s.lifts())
    }

    /// Each stage's linear view with its own parameters.
    fn linear_stages<'a>(&'a self, mut a: &'a [f32]) -> Vec<(&'a dyn LinearChannel, &'a [f32])> {
        let split = |stage: &'a dyn Channel| {
            let (own, rest) = a.split_at(stage.operator_len());
            a = rest;
            stage.as_linear().map(|linear| (linear, own))
        };
        self.stages.iter().map(|stage| stage.as_ref()).filter_map(split).collect()
    }
}

impl Channel for Compose {
    fn signal_len(&self) -> usize {
        self.stages[0].signal_len()
    }

    fn observation_len(&self) -> usize {
        self.stages[self.stages.len() - 1].observation_len()
    }

    fn operator_len(&self) -> usize {
        self.stages.iter().map(|s| s.operator_len()).sum()
    }

    fn operator_shape(&self) -> Vec<usize> {
        let mut own = self.stages.iter().filter(|s| s.operator_len() > 0);
        match (own.next(), own.next()) {
            (Some(only), None) => only.operator_shape(),
            _ => vec![self.operator_len()],
        }
    }

    fn operator_parts(&self) -> Vec<OperatorPart> {
        let mut start = 0;
        let mut own = |stage: &dyn Channel| {
            let moved =
                |part: OperatorPart| OperatorPart { range: start + part.range.start..start + part.range.end, ..part };
            let parts: Vec<_> = stage.operator_parts().into_iter().map(moved).collect();
            start += stage.operator_len();
            parts
        };
        self.stages.iter().flat_map(|stage| own(stage.as_ref())).collect()
    }

    fn draw_operator(&self, stream: &mut Stream, mut a: &mut [f32]) {
        for stage in &self.stages {
            let (own, rest) = a.split_at_mut(stage.operator_len());
            stage.draw_operator(stream, own);
            a = rest;
        }
    }

    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        self.forward(x, a, y, |stage, a, x, y| stage.observe(x, a, stream, y));
    }

    fn observe_all(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        if self.draws_once() {
            self.forward(x, a, y, |stage, a, x, y| stage.observe_all(x, a, stream, y));
        } else {
            observe_each(self, x, a, stream, y);
        }
    }

    fn sees_signal(&self) -> bool {
        self.stages.iter().any(|stage| stage.sees_signal())
    }

    /// Where no stage sees its signal, the parameters of all stages are drawn before any noise; otherwise each stage
    /// draws its own when its signal is there.
    fn corrupt(&self, x: &[f32], stream: &mut Stream, a: &mut [f32], y: &mut [f32]) {
        if !self.sees_signal() {
            self.draw_operator(stream, a);
            return self.observe(x, a, stream, y);
        }
        let (mut signal, mut rest) = (x.to_vec(), a);
        for stage in &self.stages {
            let (own, others) = rest.split_at_mut(stage.operator_len());
            let mut next = vec![0.0; stage.observation_len()];
            stage.corrupt(&signal, stream, own, &mut next);
            (signal, rest) = (next, others);
        }
        y.copy_from_slice(&signal);
    }

    fn lifts(&self) -> bool {
        self.stages.iter().all(|s| s.lifts())
    }

    fn lift(&self, y: &[f32], out: &mut [f32]) {
        self.lift_from(self.stages.len(), y, out);
    }

    fn operator_feature_len(&self) -> usize {
        (0..self.stages.len()).map(|i| self.stage_feature_len(i)).sum()
    }

    /// Writes the features of every stage's parameters; parameters laid out like their stage's signal are lifted to the
    /// resolution of the first stage.
    fn write_operator(&self, mut a: &[f32], mut out: &mut [f32]) {
        for (i, stage) in self.stages.iter().enumerate() {
            let (own, others) = a.split_at(stage.operator_len());
            let (features, rest) = out.split_at_mut(self.stage_feature_len(i));
            match self.is_lifted(i) {
                // Stages that keep the resolution leave a mask as it is.
                true if features.len() == own.len() => features.copy_from_slice(own),
                true => self.lift_from(i, own, features),
                false => stage.write_operator(own, features),
            }
            (a, out) = (others, rest);
        }
    }

    fn masks(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let mut own = |stage: &dyn Channel| {
            let masks: Vec<_> = stage.masks().into_iter().map(|m| start + m.start..start + m.end).collect();
            start += stage.operator_len();
            masks
        };
        self.stages.iter().flat_map(|stage| own(stage.as_ref())).collect()
    }

    fn write_hidden(&self, mut a: &[f32], signal: &[f64], hidden: &mut [f64]) {
        let mut before = signal.to_vec();
        for stage in &self.stages {
            let (own, rest) = a.split_at(stage.operator_len());
            let mut after = vec![0.0; stage.observation_len()];
            stage.write_hidden(own, &before, &mut after);
            (a, before) = (rest, after);
        }
        hidden.copy_from_slice(&before);
    }

    fn signal_image(&self) -> Option<ImageShape> {
        self.stages[0].signal_image()
    }

    /// That of the last stage that has one, if those after it keep the number of values.
    fn observation_image(&self) -> Option<ImageShape> {
        let follow = |shape: Option<ImageShape>, stage: &dyn Channel| {
            stage.observation_image().or(shape.filter(|shape| shape.len() == stage.observation_len()))
        };
        self.stages.iter().map(AsRef::as_ref).fold(None, follow)
    }

    fn unknown_noise(&self) -> usize {
        self.stages.iter().map(|stage| stage.unknown_noise()).sum()
    }

    fn with_noise(&self, levels: &[f64]) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.leveled(levels)?))
    }

    fn noise_terms(&self, clean: &[f32]) -> Vec<Vec<f64>> {
        self.terms(clean)
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        self.stages.iter().all(|s| s.as_linear().is_some()).then_some(self)
    }
}

impl LinearChannel for Compose {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        self.forward(x, a, y, |stage, a, x, y| {
            if let Some(linear) = stage.as_linear() {
                linear.apply(a, x, y);
            }
        });
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        let mut signal = y.to_vec();
        for (stage, a) in self.linear_stages(a).into_iter().rev() {
            let mut previous = vec![0.0; stage.signal_len()];
            stage.adjoint(a, &signal, &mut previous);
            signal = previous;
        }
        x.copy_from_slice(&signal);
    }

    fn write_noise_variance(&self, a: &[f32], out: &mut [f64]) {
        self.diagonal_of_noise(a, out);
    }

    fn apply_noise(&self, a: &[f32], v: &[f32], out: &mut [f32]) {
        self.noise_product(a, v, out);
    }

    /// Σ_y of the chain: each stage maps the covariance of its input and adds its own, Σ ← A Σ Aᵀ + Σ_s.
    fn noise_covariance(&self, a: &[f32]) -> DMatrix<f64> {
        let mut covariance = DMatrix::zeros(self.signal_len(), self.signal_len());
        for (stage, a) in self.linear_stages(a) {
            let matrix = stage.matrix(a);
            covariance = &matrix * covariance * matrix.transpose() + stage.noise_covariance(a);
        }
        covariance
    }

    fn is_noiseless(&self) -> bool {
        self.stages.iter().all(|s| s.as_linear().is_some_and(|linear| linear.is_noiseless()))
    }

    fn is_exact(&self) -> bool {
        self.stages.iter().all(|s| s.as_linear().is_some_and(|linear| linear.is_exact()))
    }

    fn is_diagonal(&self) -> bool {
        self.stages.iter().all(|s| s.as_linear().is_some_and(|linear| linear.is_diagonal()))
    }

    fn as_spectral(&self) -> Option<&dyn SpectralChannel> {
        self.actions.is_some().then_some(self)
    }

    fn as_normal<'a>(&'a self, a: &'a [f32]) -> Option<Normal<'a>> {
        self.normal_of(a)
    }

    fn preconditioner<'a>(&'a self, a: &'a [f32]) -> Option<Preconditioner<'a>> {
        self.preconditioner_of(a)
    }

    /// A ← A_s A and Σ ← A_s Σ A_s + Σ_s, coordinate by coordinate.
    fn write_diagonal(&self, a: &[f32], matrix: &mut [f64], variance: &mut [f64]) {
        matrix.fill(1.0);
        variance.fill(0.0);
        let (mut own, mut noise) = (vec![0.0; matrix.len()], vec![0.0; matrix.len()]);
        for (stage, a) in self.linear_stages(a) {
            stage.write_diagonal(a, &mut own, &mut noise);
            for (j, (matrix, variance)) in matrix.iter_mut().zip(variance.iter_mut()).enumerate() {
                *matrix *= own[j];
                *variance = own[j] * own[j] * *variance + noise[j];
            }
        }
    }

    /// The common case of a linear map followed by additive noise needs no matrix products.
    fn write_matrix(&self, a: &[f32], out: &mut [f64]) {
        match self.map_then_noise(a) {
            Some((map, _, a)) => map.write_matrix(a, out),
            None => write_rows(&self.matrix(a), out),
        }
    }

    fn write_noise(&self, a: &[f32], out: &mut [f64]) {
        match self.map_then_noise(a) {
            Some((_, noise, _)) => noise.write_noise(&[], out),
            None => write_rows(&self.noise_covariance(a), out),
        }
    }
}
