//! Dropout whose bits are the same on every device: a CPU computes a mask from the definition in `diffem_kernels`, every
//! other device computes it with integer operations from one random word per layer and image, which is all that it receives.

use crate::transfer::{self, integers_to_device};
use burn::tensor::{DType, Device, Int, Tensor};
use diffem_kernels::dropout::{MULTIPLIERS, dropout_mask, factor, kept, threshold};

/// The random bits of layers on images of one size.
pub(crate) struct Dropout {
    rate: f64,
    pixels: usize,
    bits: Bits,
}

enum Bits {
    /// Words `[layers, n]`.
    Host(Vec<Vec<u32>>),
    /// Mixed words of all pixels `[layers, n, pixels]`, and the channels' factors `[1, channels]`.
    Device(Box<(Tensor<3, Int>, Tensor<2, Int>)>),
}

impl Dropout {
    /// Bits for layers with `channels` channels that drop values with probability `rate`, from the random `words` of each
    /// layer, one per image of `pixels` pixels.
    pub fn new(rate: f64, words: Vec<Vec<u32>>, [pixels, channels]: [usize; 2], device: &Device) -> Self {
        let bits = match super::in_host_memory(device) {
            true => Bits::Host(words),
            false => on_device(&words, [pixels, channels], device),
        };
        Self { rate, pixels, bits }
    }

    /// Zeroes values of `x [n · pixels, channels]` and scales the others up, so that the mean is unchanged.
    pub fn apply(&self, x: Tensor<2>, layer: usize) -> Tensor<2> {
        let [rows, channels] = x.dims();
        match &self.bits {
            Bits::Host(words) => {
                let mask = dropout_mask(&words[layer], self.pixels, channels, self.rate);
                x.clone() * transfer::to_device(mask, [rows, channels], &x.device())
            }
            Bits::Device(bits) => {
                let (words, factors) = bits.as_ref();
                let words = words.clone().narrow(0, layer, 1).reshape([rows, 1]);
                let dropped = (words * factors.clone()).lower_elem(threshold(self.rate));
                x.mask_fill(dropped, 0.0) * kept(self.rate)
            }
        }
    }
}

fn on_device(words: &[Vec<u32>], [pixels, channels]: [usize; 2], device: &Device) -> Bits {
    let (layers, n) = (words.len(), words.first().map_or(0, Vec::len));
    let words = integers_to_device(words.iter().flatten().map(|word| *word as i32).collect(), [layers, n, 1], device);
    let places = Tensor::<1, Int>::arange(0..pixels as i64, (device, DType::I32)).reshape([1, 1, pixels]);
    let factors = integers_to_device((0..channels).map(|c| factor(c) as i32).collect(), [1, channels], device);
    let shape = [layers, n, pixels];
    Bits::Device(Box::new((mixed(words.expand(shape).bitwise_xor(mixed(places).expand(shape))), factors)))
}

/// [`diffem_kernels::dropout::mix`] of every value.
fn mixed(x: Tensor<3, Int>) -> Tensor<3, Int> {
    // Shifts of signed integers repeat the sign, which the definition does not.
    let fold = |x: Tensor<3, Int>, shift: i32| {
        let high = x.clone().bitwise_right_shift_scalar(shift).bitwise_and_scalar((1 << (32 - shift)) - 1);
        x.bitwise_xor(high)
    };
    let x = fold(x, 16) * MULTIPLIERS[0] as i32;
    let x = fold(x, 15) * MULTIPLIERS[1] as i32;
    fold(x, 16)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};

    fn words(layers: usize, n: usize) -> Vec<Vec<u32>> {
        let word = |layer: usize, i: usize| Key::new(4, Purpose::Dropout, 1).stream(i, layer).bits();
        (0..layers).map(|layer| (0..n).map(|i| word(layer, i)).collect()).collect()
    }

    fn host(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_device_draws_the_bits_of_the_host() {
        let (device, words, [pixels, channels]) = (Device::flex(), words(3, 5), [12, 7]);
        for rate in [0.0, 0.1, 0.5, 0.99] {
            let at_host = Dropout::new(rate, words.clone(), [pixels, channels], &device);
            let bits = on_device(&words, [pixels, channels], &device);
            let on_device = Dropout { rate, pixels, bits };
            for layer in 0..3 {
                let [a, b] =
                    [&at_host, &on_device].map(|d| host(d.apply(Tensor::ones([5 * pixels, channels], &device), layer)));
                assert_eq!(a, b, "rate {rate}, layer {layer}");
            }
        }
    }

    /// Shares of dropped values and of dropped pairs, of different channels, pixels, images and layers.
    #[test]
    fn values_are_dropped_independently_at_the_rate() {
        let (rate, n, pixels, channels) = (0.2, 64, 64, 48);
        let dropped = |layer: &Vec<u32>| -> Vec<bool> {
            dropout_mask(layer, pixels, channels, rate).iter().map(|v| *v == 0.0).collect()
        };
        let [a, b] = [&words(2, n)[0], &words(2, n)[1]].map(dropped);
        let share = |pairs: &mut dyn Iterator<Item = bool>| {
            let (count, all) = pairs.fold((0usize, 0usize), |(count, all), v| (count + usize::from(v), all + 1));
            count as f64 / all as f64
        };
        // 196 608 values, or nearly as many pairs: five standard errors are 0.0045 and 0.0022.
        let found = share(&mut a.iter().copied());
        assert!((found - rate).abs() < 0.0045, "{found}");
        for distance in [1, 2, 3, 7, channels, 2 * channels, 8 * channels, pixels * channels] {
            let found = share(&mut a.iter().zip(&a[distance..]).map(|(x, y)| *x && *y));
            assert!((found - rate * rate).abs() < 0.0023, "{found} at distance {distance}");
        }
        let found = share(&mut a.iter().zip(&b).map(|(x, y)| *x && *y));
        assert!((found - rate * rate).abs() < 0.0023, "{found} between layers");
        // Three channels of a pixel, whose numbers add up.
        for step in [1, 2, 5] {
            let rows = a.chunks_exact(channels).flat_map(|row| row.windows(2 * step + 1));
            let found = share(&mut rows.map(|w| w[0] && w[step] && w[2 * step]));
            assert!((found - rate.powi(3)).abs() < 0.0012, "{found} at steps of {step}");
        }
    }

    #[test]
    fn the_mean_is_kept() {
        let mask = dropout_mask(&words(1, 20)[0], 100, 10, 0.25);
        let mean = mask.iter().sum::<f32>() / mask.len() as f32;
        // The standard error is 0.004.
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!(mask.iter().all(|v| *v == 0.0 || *v == 1.0 / 0.75), "{mean}");
    }
}
