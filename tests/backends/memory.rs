//! What a training step reserves on a device, beside what `Cost` says that it keeps: sizes are chosen by it.

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use cubecl_runtime::memory_management::MemoryScope;
use diffem::Posterior;
use diffem::network::{RESERVE, UnetConfig};

/// Bytes that the memory of `device` is taken by, with what is kept for later.
pub fn reserved(device: &Device) -> f64 {
    let DispatchDevice::Cube(device) = device.as_dispatch() else { panic!("a device with memory of its own") };
    device.client().memory_report(MemoryScope::Device).usage().bytes_reserved as f64
}

/// Fails where a row of a training step took more than sizes plan with.
pub fn assert_row_fits(posterior: &Posterior<UnetConfig>, bytes: f64) {
    let model = posterior.model();
    let shape = model.shape();
    let kept = model.network.cost(shape.image.unwrap(), shape.features).kept as f64;
    println!("reserved: {bytes:.0} bytes per row, {:.2} of the estimate", bytes / (4.0 * kept));
    assert!(bytes > 0.0 && bytes <= 4.0 * RESERVE as f64 * kept, "{bytes} bytes per row");
}
