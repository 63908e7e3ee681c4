//! Tests of the backends: every backend of the build is compared with the golden file and, with the paper's
//! network, with flex; flex is compared with the formulas in double precision; and invalid files are refused.
//!
//! `cargo test --release --features ndarray,wgpu --test backends -- --nocapture` prints the differences. A backend of the
//! build without a device on the machine is reported as skipped; `DIFFEM_REQUIRE_WGPU=1` (`_CUDA`) makes that a failure.
#![cfg(feature = "flex")]

#[cfg(feature = "wgpu")]
mod counts;
mod files;
mod formulas;
mod host;
#[cfg(feature = "wgpu")]
mod memory;
#[cfg(all(feature = "ndarray", feature = "wgpu"))]
mod precision;

use burn::tensor::Device;
use diffem::conformance::{GOLDEN, Golden, Report, Settings, table};
use diffem::network::MlpConfig;

/// Held by every test that uses a GPU, because what is launched is counted for the whole process.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
static GPU: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The golden file's problems with the paper's network, too large to be kept.
fn paper() -> Settings {
    Settings { network: MlpConfig::default(), ..Default::default() }
}

/// Prints the reports as a table and fails where a quantity is out of tolerance.
fn assert_agree(reports: &[Report]) {
    println!("{}", table(reports));
    reports.iter().for_each(|report| assert_eq!(report.beyond(), None));
}

/// Compares a backend with the golden file and, with the paper's network, with flex.
#[cfg(feature = "stock")]
fn against_flex(backend: &str, device: &Device) {
    let golden = Golden::decode(GOLDEN).unwrap();
    let flex = Golden::make(paper(), &Device::flex()).unwrap();
    let large = flex.check(&format!("{backend} 256"), device).unwrap();
    assert_agree(&[golden.check(backend, device).unwrap(), large]);
}

#[test]
fn flex_agrees_with_the_golden_file() {
    assert_agree(&[Golden::decode(GOLDEN).unwrap().check("flex", &Device::flex()).unwrap()]);
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_agrees_with_flex() {
    // Burn deprecates it in favor of flex; it stays here as a second opinion that shares no kernel with flex.
    #[allow(deprecated)]
    against_flex("ndarray", &Device::ndarray());
}

/// Checks the backend if a device of it is present, and otherwise reports its absence visibly.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn if_present(backend: &str, filter: burn::tensor::DeviceType, open: impl Fn() -> Device) {
    use std::io::Write;
    // A test that failed leaves nothing behind that could mislead this one.
    let _alone = GPU.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !Device::enumerate(filter).into_vec().is_empty() {
        return against_flex(backend, &open());
    }
    let flag = format!("DIFFEM_REQUIRE_{}", backend.to_uppercase());
    assert!(std::env::var_os(&flag).is_none_or(|v| v != "1"), "{backend}: no device on this machine, and {flag}=1");
    // This bypasses the test runner's capture, so that a skipped backend shows in every log.
    let _ =
        writeln!(std::io::stderr(), "{backend}: SKIPPED, no device on this machine ({flag}=1 makes this a failure)");
}

#[test]
#[cfg(feature = "wgpu")]
fn wgpu_agrees_with_flex() {
    if_present("wgpu", burn::tensor::DeviceType::Wgpu, || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
}

#[test]
#[cfg(feature = "cuda")]
fn cuda_agrees_with_flex() {
    if_present("cuda", burn::tensor::DeviceType::Cuda, || Device::cuda(0));
}
