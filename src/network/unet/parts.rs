//! A U-Net as a sequence of parts, each from one tensor of pixels to the next.

use super::{Dropout, Unet, conv, dense};
use crate::kernels::{self, MatmulPrecision};
use crate::network::{InParts, Replay};
use crate::noise::RowStreams;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

/// A part, of level i where it has one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Input,
    /// From the finer level.
    Down(usize),
    /// Stage j on the way down.
    Descent(usize, usize),
    /// Joins the level's skip connection and the coarser level.
    Merge(usize),
    /// Stage j on the way up.
    Ascent(usize, usize),
    /// To the finer level.
    Up(usize),
    Output,
}

impl Unet {
    /// All parts in order.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Input];
        for (i, level) in self.levels.iter().enumerate() {
            parts.extend(level.down.is_some().then_some(Part::Down(i)));
            parts.extend((0..level.descent.len()).map(|j| Part::Descent(i, j)));
        }
        for (i, level) in self.levels.iter().enumerate().rev() {
            parts.extend(level.merge.is_some().then_some(Part::Merge(i)));
            parts.extend((0..level.ascent.len()).map(|j| Part::Ascent(i, j)));
            parts.extend((i > 0).then_some(Part::Up(i)));
        }
        parts.push(Part::Output);
        parts
    }

    /// True where what `part` returns is the skip connection of its level as well.
    pub(super) fn is_skipped_to(&self, part: Part) -> bool {
        matches!(part, Part::Descent(i, j) if j + 1 == self.levels[i].descent.len() && self.levels[i].merge.is_some())
    }

    /// What `part` makes of `h`; `skip` is the level's skip connection for [`Part::Merge`], and nothing otherwise.
    pub(super) fn apply(
        &self,
        part: Part,
        h: Tensor<2>,
        skip: Option<Tensor<2>>,
        embedding: &Tensor<2>,
        dropout: Option<&Dropout>,
    ) -> Tensor<2> {
        match part {
            Part::Input => conv(h, &self.input, self.size(0), 1, MatmulPrecision::F32),
            Part::Down(i) => match &self.levels[i].down {
                Some(down) => kernels::row_norm(conv(h, down, self.size(i - 1), 2, self.precision)),
                None => h,
            },
            Part::Descent(i, j) => {
                let dropout = dropout.map(|dropout| dropout.layer(i, j));
                self.levels[i].descent[j].forward(h, embedding, self.scale(i), dropout)
            }
            Part::Merge(i) => match (&self.levels[i].merge, skip) {
                (Some(merge), Some(skip)) => {
                    conv(Tensor::cat(vec![h, skip], 1), merge, self.size(i), 1, self.precision)
                }
                _ => h,
            },
            Part::Ascent(i, j) => {
                let dropout = dropout.map(|dropout| dropout.layer(i, self.levels[i].descent.len() + j));
                self.levels[i].ascent[j].forward(h, embedding, self.scale(i), dropout)
            }
            Part::Up(i) => kernels::upsample(kernels::row_norm(h), self.size(i)[1]),
            Part::Output => dense(h, &self.output),
        }
    }

    /// The gradients of the parameters of `part`.
    fn gradients_of(&self, part: Part, gradients: &mut Gradients) -> Option<GradientsParams> {
        fn of<M: Module>(module: &M, gradients: &mut Gradients) -> GradientsParams {
            GradientsParams::from_module(gradients, module)
        }
        match part {
            Part::Input => Some(of(&self.input, gradients)),
            Part::Down(i) => self.levels[i].down.as_ref().map(|down| of(down, gradients)),
            Part::Descent(i, j) => Some(of(&self.levels[i].descent[j], gradients)),
            Part::Merge(i) => self.levels[i].merge.as_ref().map(|merge| of(merge, gradients)),
            Part::Ascent(i, j) => Some(of(&self.levels[i].ascent[j], gradients)),
            Part::Up(_) => None,
            Part::Output => Some(of(&self.output, gradients)),
        }
    }

    /// Applies all parts to `h`, and shows `see` what each begins with.
    pub(super) fn through(
        &self,
        mut h: Tensor<2>,
        embedding: &Tensor<2>,
        dropout: Option<&Dropout>,
        mut see: impl FnMut(Part, &Tensor<2>, Option<&Tensor<2>>),
    ) -> Tensor<2> {
        let mut skips = Vec::with_capacity(self.levels.len());
        for part in self.parts() {
            let skip = if matches!(part, Part::Merge(_)) { skips.pop() } else { None };
            see(part, &h, skip.as_ref());
            h = self.apply(part, h, skip, embedding, dropout);
            if self.is_skipped_to(part) {
                skips.push(h.clone());
            }
        }
        h
    }
}

impl InParts for Unet {
    fn forward_in_parts<'a>(
        &'a self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        condition: Tensor<2>,
        streams: RowStreams,
    ) -> (Tensor<2>, Box<dyn Replay + 'a>) {
        let n = x.dims()[0];
        let dropout = Dropout::new(&self.config, self.shape, (n, streams), &x.device());
        let mut begun = Vec::new();
        let h = self.pixels_of(x, condition);
        let h = self.through(h, &embedding, dropout.as_ref(), |part, h, skip| {
            begun.push(Begun { part, h: h.clone(), skip: skip.cloned() });
        });
        (self.to_planes(h, n), Box::new(Pass { unet: self, begun, embedding, dropout, n }))
    }
}

/// What a part began with.
struct Begun {
    part: Part,
    h: Tensor<2>,
    skip: Option<Tensor<2>>,
}

/// A training pass of n images.
struct Pass<'a> {
    unet: &'a Unet,
    begun: Vec<Begun>,
    embedding: Tensor<2>,
    dropout: Option<Dropout>,
    n: usize,
}

impl Replay for Pass<'_> {
    fn gradients(self: Box<Self>, output: Tensor<2>) -> Vec<GradientsParams> {
        let Self { unet, begun, embedding, dropout, n } = *self;
        let network = unet.clone().train();
        let embedding = Tensor::from_inner(embedding);
        let planes = output.reshape([n, unet.shape.channels, unet.shape.pixels()]);
        // What is cut from a padded image has no gradient.
        let mut gradient = unet.to_pixels(planes);
        let mut of_skips: Vec<Tensor<2>> = Vec::new();
        let mut found = Vec::with_capacity(begun.len());
        for Begun { part, h, skip } in begun.into_iter().rev() {
            if unet.is_skipped_to(part) {
                gradient = of_skips.pop().into_iter().fold(gradient, |sum, more| sum + more);
            }
            let leaf = |t: Tensor<2>| Tensor::from_inner(t).require_grad();
            let (h, skip) = (leaf(h), skip.map(leaf));
            let y = network.apply(part, h.clone(), skip.clone(), &embedding, dropout.as_ref());
            let mut gradients = (y * Tensor::from_inner(gradient)).sum().backward();
            found.extend(network.gradients_of(part, &mut gradients));
            of_skips.extend(skip.and_then(|skip| skip.grad_remove(&mut gradients)));
            gradient = h.grad_remove(&mut gradients).unwrap_or_else(|| h.inner().zeros_like());
        }
        found
    }
}
