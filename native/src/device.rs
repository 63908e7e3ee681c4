//! Devices by name.

use anyhow::{Result, bail};
use burn::tensor::Device;

/// Backends that a build may contain, with what `devices` says of each.
pub const BACKENDS: [(&str, bool, &str); 4] = [
    ("flex", cfg!(feature = "flex"), "CPU, pure Rust, fused kernels; the default"),
    ("ndarray", cfg!(feature = "ndarray"), "CPU, kept for consistency tests; slow"),
    ("wgpu", cfg!(feature = "wgpu"), "GPU through Vulkan, Metal or DirectX"),
    ("cuda", cfg!(feature = "cuda"), "NVIDIA GPU; cuda:n picks one"),
];

/// Opens the device called `name`: flex, ndarray, wgpu, cuda, cuda:n, or auto (the first of cuda, wgpu, flex, ndarray
/// that this build contains and this machine has).
pub fn open(name: &str) -> Result<(String, Device)> {
    let (kind, index) = name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index)));
    if kind == "auto" && index.is_some() {
        bail!("--device {name}: only cuda takes a number");
    }
    let kind = if kind == "auto" { automatic() } else { kind };
    let Some((_, built, _)) = BACKENDS.iter().find(|(backend, _, _)| *backend == kind) else {
        bail!("--device {name}: expected flex, ndarray, wgpu, cuda, cuda:n or auto");
    };
    if !built {
        bail!("--device {name}: this build has no {kind}; build it with `cargo build --release --features {kind}`");
    }
    let index = match index {
        None => 0,
        Some(_) if kind != "cuda" => bail!("--device {name}: only cuda takes a number"),
        Some(text) => match text.parse::<usize>() {
            Ok(index) => index,
            Err(_) => bail!("--device {name}: expected a device number after the colon, such as cuda:1"),
        },
    };
    // Asked first: burn panics at the first tensor on a device that is not there.
    match count(kind) {
        0 => bail!("--device {name}: no device found; {}, or use --device flex", needs(kind)),
        n if index >= n && kind == "cuda" => bail!("--device {name}: expected a device number from 0 to {}", n - 1),
        _ => {}
    }
    let label = if kind == "cuda" { format!("cuda:{index}") } else { kind.to_string() };
    Ok((label, create(kind, index)?))
}

fn automatic() -> &'static str {
    ["cuda", "wgpu", "flex", "ndarray"].into_iter().find(|kind| count(kind) > 0).unwrap_or("flex")
}

/// Number of devices that a backend finds on this machine; 0 where the build lacks it.
pub fn count(kind: &str) -> usize {
    match kind {
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec().len(),
        #[cfg(feature = "cuda")]
        "cuda" => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len(),
        _ => BACKENDS.iter().filter(|(backend, built, _)| *backend == kind && *built).count(),
    }
}

/// What to do about a backend that finds no device.
pub fn needs(kind: &str) -> &'static str {
    match kind {
        "wgpu" => "install a driver for Vulkan, Metal, DirectX or OpenGL (Mesa has ones in software)",
        _ => "install NVIDIA's driver",
    }
}

#[allow(unused_variables)] // `index` is for cuda builds
fn create(kind: &str, index: usize) -> Result<Device> {
    match kind {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        // Deprecated by burn in favor of flex; kept as a second opinion that shares no kernel with it.
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(index)),
        _ => bail!("this build has no {kind}"),
    }
}
