//! Black-box channels: any corruption that can be simulated, given as two closures.

use super::Channel;
use crate::noise::Stream;

type Draw = Box<dyn Fn(&mut Stream, &mut [f32]) + Send + Sync>;
type Observe = Box<dyn Fn(&[f32], &[f32], &mut Stream, &mut [f32]) + Send + Sync>;

/// A channel without structure: no linearity, no likelihood, only draws.
///
/// ```
/// use diffem::channel::{BlackBox, Channel};
/// // Saturation: values beyond the sensor's range are lost.
/// let saturate = BlackBox::new(3, 3, |x, _, _, y| y.iter_mut().zip(x).for_each(|(y, x)| *y = x.clamp(-1.0, 1.0)));
/// assert_eq!(saturate.observation_len(), 3);
/// ```
pub struct BlackBox {
    d: usize,
    m: usize,
    k: usize,
    draw: Draw,
    observe: Observe,
}

impl BlackBox {
    /// Creates a channel from signals of length `d` to observations of length `m`: `observe(x, a, stream, y)`
    /// writes one observation into `y`. All randomness must come from the stream.
    pub fn new(
        d: usize,
        m: usize,
        observe: impl Fn(&[f32], &[f32], &mut Stream, &mut [f32]) + Send + Sync + 'static,
    ) -> Self {
        Self { d, m, k: 0, draw: Box::new(|_, _| {}), observe: Box::new(observe) }
    }

    /// Adds `k` known operator parameters, which `draw(stream, a)` draws for each observation.
    pub fn with_operator(mut self, k: usize, draw: impl Fn(&mut Stream, &mut [f32]) + Send + Sync + 'static) -> Self {
        (self.k, self.draw) = (k, Box::new(draw));
        self
    }
}

impl Channel for BlackBox {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.m
    }

    fn operator_len(&self) -> usize {
        self.k
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        (self.draw)(stream, a);
    }

    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        (self.observe)(x, a, stream, y);
    }
}
