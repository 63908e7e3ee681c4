//! Rows with many zeros, such as masked observations and their masks, cross to a device as one bit per value and the
//! values that are not zero. Zeros lose their signs.

use super::in_host_memory;
use crate::samples::Samples;
use crate::transfer::{integers_to_device, to_device};
use burn::tensor::{Device, Int, Tensor};

/// Values that one word has the bits of.
const LANES: usize = 32;

/// What is sent.
struct Packed {
    /// Bits of every 32 values, lowest first.
    words: Vec<i32>,
    /// Place in `values` of the first value that each word has a bit of.
    starts: Vec<i32>,
    /// A zero, then the values that are not.
    values: Vec<f32>,
}

impl Packed {
    /// Packs `rows`; `None` where that saves nothing, or a device of 32-bit integers could not count them.
    fn of(rows: &[f32]) -> Option<Self> {
        let groups = rows.len().div_ceil(LANES);
        let shown = |v: &&f32| **v != 0.0;
        let count = rows.iter().filter(shown).count() + 1;
        if 2 * groups + count >= rows.len() || i32::try_from(rows.len()).is_err() {
            return None;
        }
        let mut packed = Self {
            words: Vec::with_capacity(groups),
            starts: Vec::with_capacity(groups),
            values: Vec::with_capacity(count),
        };
        packed.values.push(0.0);
        for group in rows.chunks(LANES) {
            packed.starts.push(packed.values.len() as i32);
            let bit = |(lane, v): (usize, &f32)| u32::from(*v != 0.0) << lane;
            packed.words.push(group.iter().enumerate().map(bit).fold(0, |word, bit| word | bit) as i32);
            packed.values.extend(group.iter().filter(shown));
        }
        Some(packed)
    }

    /// The rows `[n, d]` on `device`, bit by bit but for signs of zeros.
    fn unpack(self, [n, d]: [usize; 2], device: &Device) -> Tensor<2> {
        let (groups, count) = (self.words.len(), self.values.len());
        let shape = [groups, LANES];
        let [words, starts] =
            [self.words, self.starts].map(|v| integers_to_device(v, [groups, 1], device).expand(shape));
        let lanes = integers_to_device((0..LANES as i32).collect(), [1, LANES], device);
        let below = integers_to_device((0..LANES).map(|lane| (1 << lane) - 1).collect(), [1, LANES], device);
        let seen = words.clone().bitwise_right_shift(lanes.expand(shape)).bitwise_and_scalar(1);
        let place = (starts + ones(words.bitwise_and(below.expand(shape)))) * seen;
        let values = to_device(self.values, [count], device).select(0, place.reshape([groups * LANES]));
        values.narrow(0, 0, n * d).reshape([n, d])
    }
}

/// Number of ones among the bits of integers that are not negative.
fn ones(x: Tensor<2, Int>) -> Tensor<2, Int> {
    let pairs = x.clone() - x.bitwise_right_shift_scalar(1).bitwise_and_scalar(0x5555_5555);
    let fours = pairs.clone().bitwise_and_scalar(0x3333_3333)
        + pairs.bitwise_right_shift_scalar(2).bitwise_and_scalar(0x3333_3333);
    let bytes = (fours.clone() + fours.bitwise_right_shift_scalar(4)).bitwise_and_scalar(0x0f0f_0f0f);
    (bytes * 0x0101_0101).bitwise_right_shift_scalar(24)
}

/// Device tensor of host rows, of which as few bytes are sent as their zeros allow.
pub(crate) fn sparse_to_device(rows: &Samples, device: &Device) -> Tensor<2> {
    let shape = [rows.n(), rows.d()];
    let packed = if in_host_memory(device) { None } else { Packed::of(rows.as_slice()) };
    match packed {
        Some(packed) => packed.unpack(shape, device),
        None => to_device(rows.as_slice().to_vec(), shape, device),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};
    use crate::transfer::to_host;

    #[test]
    fn rows_come_back_as_they_were() {
        let device = Device::flex();
        for (n, d) in [(1, 64), (7, 33), (5, 96), (40, 101)] {
            for kept in [0.0, 0.02, 0.3, 0.8] {
                let mut stream = Key::new(0, Purpose::Loss, n).stream(d, 0);
                let mut value = || if stream.uniform() < kept { stream.normal() } else { 0.0 };
                let mut rows: Vec<f32> = (0..n * d).map(|_| value()).collect();
                // As a mask makes them of negative values.
                rows[n * d / 2] = -0.0;
                let packed = Packed::of(&rows).unwrap();
                assert_eq!(packed.values.len(), rows.iter().filter(|v| **v != 0.0).count() + 1);
                assert_eq!(to_host(&packed.unpack([n, d], &device)), Ok(rows), "{n} x {d}, {kept}");
            }
        }
    }

    #[test]
    fn a_word_may_have_all_its_bits() {
        let rows: Vec<f32> = (0..256).map(|i| if (64..128).contains(&i) { 1.0 + i as f32 } else { 0.0 }).collect();
        let packed = Packed::of(&rows).unwrap();
        assert_eq!(packed.words, [0, 0, -1, -1, 0, 0, 0, 0]);
        assert_eq!(to_host(&packed.unpack([2, 128], &Device::flex())), Ok(rows));
    }

    #[test]
    fn rows_without_zeros_are_sent_as_they_are() {
        assert!(Packed::of(&[1.0; 320]).is_none() && Packed::of(&[0.0; 320]).is_some() && Packed::of(&[]).is_none());
    }
}
