//! What crosses between the host and a device. Host values become tensors here, and tensors are read here, so that the
//! bytes each way can be counted on any device; the arguments of kernels are not among them.

use crate::error::{Error, Result};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What some work asked of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Launches of each kernel, by its name; empty for backends of the CPU, which launch none.
    pub kernels: BTreeMap<&'static str, u64>,
    /// Tensors sent.
    pub uploads: u64,
    /// Their bytes.
    pub bytes_up: u64,
    /// Tensors read; each read waits for the device.
    pub reads: u64,
    /// Their bytes.
    pub bytes_down: u64,
}

impl Traffic {
    /// Number of kernels launched.
    pub fn launches(&self) -> u64 {
        self.kernels.values().sum()
    }
}

thread_local! {
    /// Uploads, their bytes, reads and their bytes of this thread.
    static CROSSED: Cell<[u64; 4]> = const { Cell::new([0; 4]) };
}

/// Does `work` on this thread and returns what it asked of `device`. Transfers are those of this thread. Kernels are those
/// of the whole process, because a backend that joins operations launches from a thread of its own: nothing else should use
/// a device meanwhile.
pub fn counted<R>(device: &Device, work: impl FnOnce() -> R) -> (R, Traffic) {
    // What is held back from earlier is no part of it.
    _ = device.flush();
    let before = CROSSED.get();
    let (result, kernels) = observed(|| {
        let result = work();
        // What a backend holds back to join it with what comes is launched, and belongs to this work.
        _ = device.flush();
        result
    });
    let after = CROSSED.get();
    let [uploads, bytes_up, reads, bytes_down] = std::array::from_fn(|i| after[i] - before[i]);
    (result, Traffic { kernels, uploads, bytes_up, reads, bytes_down })
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn observed<R>(work: impl FnOnce() -> R) -> (R, BTreeMap<&'static str, u64>) {
    use cubecl_runtime::logging::{LaunchObservation, LaunchObserver};

    #[derive(Default)]
    struct Names(Mutex<BTreeMap<&'static str, u64>>);

    impl LaunchObserver for Names {
        fn launched(&self, kernel: &'static str) {
            *self.0.lock().expect("no launch fails while it is counted").entry(kernel).or_default() += 1;
        }
    }

    let names = Arc::new(Names::default());
    let watching = LaunchObservation::new(names.clone());
    let result = work();
    drop(watching);
    let kernels = std::mem::take(&mut *names.0.lock().expect("no launch fails while it is counted"));
    (result, kernels)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn observed<R>(work: impl FnOnce() -> R) -> (R, BTreeMap<&'static str, u64>) {
    (work(), BTreeMap::new())
}

/// Notes `values` numbers in one tensor, sent (0) or read (2).
fn note(way: usize, values: usize) {
    let mut crossed = CROSSED.get();
    crossed[way] += 1;
    crossed[way + 1] += (values * size_of::<f32>()) as u64;
    CROSSED.set(crossed);
}

const SENT: usize = 0;
const READ: usize = 2;

/// Device tensor of host values.
pub(crate) fn to_device<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    note(SENT, values.len());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Device tensor of host integers, of 32 bits on every device.
pub(crate) fn integers_to_device<const D: usize>(
    values: Vec<i32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    note(SENT, values.len());
    Tensor::from_data(TensorData::new(values, shape), (device, DType::I32))
}

/// Host values of a device tensor, converted where the device keeps floats of another precision.
///
/// # Errors
/// The device cannot be read.
pub(crate) fn to_host<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>> {
    note(READ, tensor.shape().num_elements());
    tensor.try_to_vec_as().map_err(|e| Error::Device(e.to_string()))
}

/// [`to_host`] for platforms where reads cannot block.
///
/// # Errors
/// As [`to_host`].
pub(crate) async fn to_host_async<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    note(READ, tensor.shape().num_elements());
    let data = tensor.into_data_async().await.map_err(|e| Error::Device(format!("{e:?}")))?;
    data.convert::<f32>().try_to_vec().map_err(|e| Error::Device(format!("{e:?}")))
}

/// Matrices that are sent to a device at their first use and stay there.
#[derive(Clone, Default)]
pub(crate) struct Kept<const N: usize>(Arc<Mutex<Option<Placed<N>>>>);

type Placed<const N: usize> = (Device, [Tensor<2>; N]);

impl<const N: usize> Kept<N> {
    /// The matrices on `device`, or else those that `make` returns.
    pub fn on(&self, device: &Device, make: impl FnOnce(&Device) -> [Tensor<2>; N]) -> [Tensor<2>; N] {
        let plain = device.clone().inner();
        let mut kept = self.0.lock().expect("no worker fails while it copies");
        let tensors = match kept.as_ref() {
            Some((on, tensors)) if *on == plain => tensors.clone(),
            _ => {
                let made = make(&plain);
                kept.insert((plain, made)).1.clone()
            }
        };
        if device.is_autodiff() { tensors.map(Tensor::autodiff) } else { tensors }
    }
}

/// What is kept is no part of a value.
impl<const N: usize> PartialEq for Kept<N> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<const N: usize> std::fmt::Debug for Kept<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn what_crosses_is_counted() {
        let device = Device::flex();
        let (values, found) = counted(&device, || to_host(&to_device(vec![1.0, 2.0, 3.0], [1, 3], &device)));
        assert_eq!(values, Ok(vec![1.0, 2.0, 3.0]));
        let expected = Traffic { uploads: 1, bytes_up: 12, reads: 1, bytes_down: 12, ..Default::default() };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_kept_is_made_once() {
        let (kept, mut made) = (Kept::<1>::default(), 0);
        for device in [Device::flex(), Device::flex().autodiff(), Device::flex()] {
            let [tensor] = kept.on(&device, |device| {
                made += 1;
                [to_device(vec![2.0], [1, 1], device)]
            });
            assert_eq!(tensor.device().is_autodiff(), device.is_autodiff());
            assert_eq!(to_host(&tensor.inner()), Ok(vec![2.0]));
        }
        assert_eq!(made, 1);
    }

    #[test]
    fn vectors_of_any_precision_come_back_as_they_were() {
        let values = vec![1.0f32, -0.5, 0.0, 96.0];
        let vector = to_device(values.clone(), [4], &Device::flex());
        for precision in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            assert_eq!(to_host(&vector.clone().cast(precision)), Ok(values.clone()), "{precision:?}");
        }
    }
}
