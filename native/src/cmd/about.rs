//! Commands that only print.

use crate::config::PRESETS;
use crate::device::BACKENDS;

/// `diffem presets`
pub fn presets() {
    for (name, _, about) in PRESETS {
        println!("{name:16} {about}");
    }
}

/// `diffem devices`
pub fn devices() {
    for (name, built, about) in BACKENDS {
        let state =
            if built { found(name) } else { format!("not in this build (cargo build --release --features {name})") };
        println!("{name:8} {about}: {state}");
    }
    println!("workers  {}", rayon::current_num_threads());
}

/// What the machine has for a backend of this build.
fn found(name: &str) -> String {
    let count = match name {
        #[cfg(feature = "wgpu")]
        "wgpu" => burn::tensor::Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec().len(),
        #[cfg(feature = "cuda")]
        "cuda" => burn::tensor::Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len(),
        _ => 1,
    };
    match count {
        0 => "in this build, no device found".to_string(),
        1 => "available".to_string(),
        n => format!("{n} devices"),
    }
}

/// `diffem cite`
pub fn cite() {
    print!("{}", include_str!("../../../CITATION.cff"));
}
