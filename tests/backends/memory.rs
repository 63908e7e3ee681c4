//! What a training step reserves on a device, beside what `Cost` says that it keeps: sizes are chosen by it.

use super::GPU;
use super::counts::{Problem, network};
use burn::backend::DispatchDevice;
use burn::tensor::Device;
use cubecl_runtime::memory_management::MemoryScope;
use diffem::network::RESERVE;

/// Bytes that the memory of `device` is taken by, with what is kept for later.
fn reserved(device: &Device) -> f64 {
    let DispatchDevice::Cube(device) = device.as_dispatch() else { panic!("a device with memory of its own") };
    device.client().memory_report(MemoryScope::Device).usage().bytes_reserved as f64
}

#[test]
fn a_row_takes_what_sizes_are_chosen_by() {
    let _alone = GPU.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let config = network(2, 16);
    let Some(mut problem) = Problem::new(32, config.clone()) else { return };
    let shape = problem.posterior.model().shape();
    let kept = config.cost(shape.image.unwrap(), shape.features).kept as f64;
    let mut after = |rows: usize| {
        problem.step([1, rows], 1);
        _ = problem.step([1, rows], 2);
        reserved(&problem.device)
    };
    let [few, many] = [2, 16].map(&mut after);
    let per_row = (many - few) / 14.0;
    println!("reserved: {per_row:.0} bytes per row, {:.2} of the estimate", per_row / (4.0 * kept));
    assert!(per_row > 0.0 && per_row <= 4.0 * RESERVE as f64 * kept, "{per_row} bytes per row");
}
