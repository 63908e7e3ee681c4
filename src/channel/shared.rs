//! Channels with shared ownership: an [`Arc`] of a channel is a channel.

use super::{Channel, LinearChannel, OperatorPart};
use crate::image::ImageShape;
use crate::noise::Stream;
use std::ops::Range;
use std::sync::Arc;

impl<C: Channel + ?Sized> Channel for Arc<C> {
    fn signal_len(&self) -> usize {
        (**self).signal_len()
    }

    fn observation_len(&self) -> usize {
        (**self).observation_len()
    }

    fn operator_len(&self) -> usize {
        (**self).operator_len()
    }

    fn operator_shape(&self) -> Vec<usize> {
        (**self).operator_shape()
    }

    fn operator_parts(&self) -> Vec<OperatorPart> {
        (**self).operator_parts()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        (**self).signal_image()
    }

    fn observation_image(&self) -> Option<ImageShape> {
        (**self).observation_image()
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        (**self).draw_operator(stream, a);
    }

    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        (**self).observe(x, a, stream, y);
    }

    fn observe_all(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        (**self).observe_all(x, a, stream, y);
    }

    fn sees_signal(&self) -> bool {
        (**self).sees_signal()
    }

    fn corrupt(&self, x: &[f32], stream: &mut Stream, a: &mut [f32], y: &mut [f32]) {
        (**self).corrupt(x, stream, a, y);
    }

    fn unknown_noise(&self) -> usize {
        (**self).unknown_noise()
    }

    fn with_noise(&self, levels: &[f64]) -> Option<Arc<dyn Channel>> {
        (**self).with_noise(levels)
    }

    fn noise_terms(&self, clean: &[f32]) -> Vec<Vec<f64>> {
        (**self).noise_terms(clean)
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        (**self).as_linear()
    }

    fn lifts(&self) -> bool {
        (**self).lifts()
    }

    fn lift(&self, y: &[f32], out: &mut [f32]) {
        (**self).lift(y, out);
    }

    fn operator_lifts(&self) -> bool {
        (**self).operator_lifts()
    }

    fn masks(&self) -> Vec<Range<usize>> {
        (**self).masks()
    }

    fn write_hidden(&self, a: &[f32], signal: &[f64], hidden: &mut [f64]) {
        (**self).write_hidden(a, signal, hidden);
    }

    fn operator_feature_len(&self) -> usize {
        (**self).operator_feature_len()
    }

    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        (**self).write_operator(a, out);
    }

    fn condition_len(&self) -> usize {
        (**self).condition_len()
    }

    fn condition(&self, y: &[f32], a: &[f32], c: &mut [f32]) {
        (**self).condition(y, a, c);
    }
}
