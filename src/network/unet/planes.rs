//! Between images, stored plane by plane, and the pixels that a U-Net works on: patches of a size that every
//! level can halve.

use super::Unet;
use crate::image::ImageShape;
use burn::tensor::Tensor;

impl Unet {
    /// Size of the images that level `i` works on.
    pub(super) fn size(&self, i: usize) -> [usize; 2] {
        self.config.padded(self.shape).map(|side| side / (self.config.patch << i))
    }

    /// Planes `[n, k, h · w]` with zeros to the right and below, up to a size that every level can halve.
    fn pad(&self, x: Tensor<3>) -> Tensor<3> {
        let ([n, k, _], [height, width]) = (x.dims(), self.config.padded(self.shape));
        let (right, below) = (width - self.shape.width, height - self.shape.height);
        if right + below == 0 {
            return x;
        }
        let images = x.reshape([n, k, self.shape.height, self.shape.width]);
        images.pad((0, right, 0, below), 0.0f32).reshape([n, k, height * width])
    }

    /// Planes `[n, k, h · w]` -> pixels `[n · h' · w', k · patch²]`.
    pub(super) fn to_pixels(&self, x: Tensor<3>) -> Tensor<2> {
        let ([n, k, _], [h, w], p) = (x.dims(), self.size(0), self.config.patch);
        let x = self.pad(x);
        x.reshape([n, k, h, p, w, p]).permute([0, 2, 4, 1, 3, 5]).reshape([n * h * w, k * p * p])
    }

    /// Pixels `[n · h' · w', k · patch²]` -> flattened images `[n, k · h · w]`, without what was padded.
    pub(super) fn to_planes(&self, x: Tensor<2>, n: usize) -> Tensor<2> {
        let ([h, w], p, k) = (self.size(0), self.config.patch, self.shape.channels);
        let x = x.reshape([n, h, w, k, p, p]).permute([0, 3, 1, 4, 2, 5]);
        let (ImageShape { height, width, .. }, len) = (self.shape, self.shape.len());
        if [h * p, w * p] == [height, width] {
            return x.reshape([n, len]);
        }
        x.reshape([n, k, h * p, w * p]).slice([0..n, 0..k, 0..height, 0..width]).reshape([n, len])
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::network::{Network, UnetConfig};
    use crate::noise::{Key, Purpose};
    use burn::tensor::{Device, TensorData};

    /// Sides that the levels cannot halve: the network equals one for the padded size, whose further pixels are
    /// zero, and what is outside the image reaches neither the output nor its gradient.
    #[test]
    fn any_height_and_width_is_padded_and_cut() {
        let device = Device::flex();
        let sizes = UnetConfig { channels: vec![4, 6], heads: vec![0, 2], blocks: vec![1, 1], ..Default::default() };
        for (height, width) in [(27, 27), (30, 32), (33, 33), (1, 64), (8, 8)] {
            let shape = ImageShape { channels: 1, height, width };
            let [tall, wide] = sizes.padded(shape);
            assert!(tall.is_multiple_of(4) && wide.is_multiple_of(4) && tall < height + 4 && wide < width + 4);
            let larger = ImageShape { channels: 1, height: tall, width: wide };
            let [unet, padded] = [shape, larger].map(|s| sizes.init(s, s.pixels(), 3, &device).unwrap());
            let values = |index: usize, n: usize| {
                let mut values = vec![0.0; n];
                Key::new(1, Purpose::Loss, index).stream(0, 0).fill_normal(&mut values);
                values
            };
            let embed = |image: &[f32]| {
                let mut whole = vec![0.0; larger.len()];
                for (row, part) in whole.chunks_exact_mut(wide).zip(image.chunks_exact(width)) {
                    row[..width].copy_from_slice(part);
                }
                whole
            };
            let run = |unet: &Unet, [x, c]: [Vec<f32>; 2]| {
                let row = |v: Vec<f32>| {
                    let n = v.len();
                    Tensor::<2>::from_data(TensorData::new(v, [1, n]), &device)
                };
                unet.forward(row(x), row(values(2, 64)), row(c)).into_data().try_to_vec::<f32>().unwrap()
            };
            let input = [0, 1].map(|index| values(index, shape.len()));
            let (found, all) = (run(&unet, input.clone()), run(&padded, input.map(|image| embed(&image))));
            let cut: Vec<f32> = all.chunks_exact(wide).take(height).flat_map(|row| row[..width].to_vec()).collect();
            assert_eq!(found, cut, "{height} x {width}");
        }
    }
}
