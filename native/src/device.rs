//! Devices by name.

use anyhow::{Result, bail};
use burn::tensor::Device;

/// A backend that a build may contain.
pub struct Backend {
    /// Name, as given to `--device` and as the feature of this package.
    pub name: &'static str,
    /// One-line description.
    pub about: &'static str,
    /// What to do if it finds no device.
    pub needs: &'static str,
    /// Whether `name:n` selects one of several devices.
    numbered: bool,
    /// Position in the order in which `auto` looks for a device.
    preference: u8,
    /// How to find and open its devices; `None` if this build lacks the backend.
    driver: Option<Driver>,
}

/// Lists the devices on this machine and opens one of them.
struct Driver {
    list: fn() -> Vec<Device>,
    open: fn(usize) -> Device,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Its name as its driver gives it.
    pub name: String,
    /// False for a program that stands in for a GPU, such as Mesa's lavapipe: slower than flex on the same processor.
    pub hardware: bool,
    /// Bytes of its memory, where the driver says.
    pub memory: Option<u64>,
    /// Bytes of it that are free now, where the driver says.
    pub free: Option<u64>,
}

impl Adapter {
    /// Asks a device's driver, which opens it; `None` for backends of the CPU.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub fn of(device: &Device) -> Option<Self> {
        let burn::backend::DispatchDevice::Cube(device) = device.as_dispatch() else { return None };
        let client = device.client();
        let found = client.properties();
        Some(Self {
            name: found.identity.name.clone(),
            hardware: found.identity.physical.is_some(),
            memory: found.memory.max_memory(),
            free: free_memory(device),
        })
    }

    /// `None`: this build has no device to ask.
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    pub fn of(_device: &Device) -> Option<Self> {
        None
    }
}

/// Free bytes of a device's memory. CUDA tells them; wgpu has no call for it.
#[cfg(feature = "cuda")]
fn free_memory(device: &burn::backend::CubeDevice) -> Option<u64> {
    let burn::backend::CubeDevice::Cuda(device) = device else { return None };
    let (free, _) = cudarc::driver::CudaContext::new(device.index).ok()?.mem_get_info().ok()?;
    Some(free as u64)
}

#[cfg(all(feature = "wgpu", not(feature = "cuda")))]
fn free_memory(_device: &burn::backend::CubeDevice) -> Option<u64> {
    None
}

/// The driver of a backend, in builds with its feature.
macro_rules! driver {
    ($feature:literal, $list:expr, $open:expr) => {{
        #[cfg(feature = $feature)]
        let driver = Some(Driver { list: $list, open: $open });
        #[cfg(not(feature = $feature))]
        let driver = None;
        driver
    }};
}

/// The backends, one row each. Lists, checks and help are derived from this table.
// burn deprecates `ndarray` in favor of flex; it is kept as a check that shares no kernel with flex.
#[allow(deprecated)]
pub static BACKENDS: &[Backend] = &[
    Backend {
        name: "flex",
        about: "CPU, pure Rust, fused kernels; the default",
        needs: "",
        numbered: false,
        preference: 2,
        driver: driver!("flex", || vec![Device::flex()], |_| Device::flex()),
    },
    Backend {
        name: "ndarray",
        about: "CPU, kept for consistency tests; slow",
        needs: "",
        numbered: false,
        preference: 3,
        driver: driver!("ndarray", || vec![Device::ndarray()], |_| Device::ndarray()),
    },
    Backend {
        name: "wgpu",
        about: "GPU through Vulkan, Metal or DirectX",
        needs: "install a driver for Vulkan, Metal, DirectX or OpenGL (Mesa has software drivers)",
        numbered: false,
        preference: 1,
        driver: driver!("wgpu", || Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(), |_| {
            Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
        }),
    },
    Backend {
        name: "cuda",
        about: "NVIDIA GPU; cuda:n picks one",
        needs: "install NVIDIA's driver",
        numbered: true,
        preference: 0,
        driver: driver!("cuda", || Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(), |index| {
            Device::cuda(index)
        }),
    },
];

impl Backend {
    /// Whether this build contains the backend.
    pub fn built(&self) -> bool {
        self.driver.is_some()
    }

    /// Number of its devices on this machine; 0 if the build lacks the backend.
    pub fn count(&self) -> usize {
        self.driver.as_ref().map_or(0, |driver| (driver.list)().len())
    }

    /// What each of its devices on this machine is; empty for backends of the CPU.
    pub fn adapters(&self) -> Vec<Adapter> {
        let list = self.driver.iter().flat_map(|driver| (driver.list)());
        list.filter_map(|device| Adapter::of(&device)).collect()
    }

    /// Whether `auto` may take it: the device that it opens is no software that stands in for one.
    fn suits_auto(&self) -> bool {
        let opened = self.driver.as_ref().filter(|driver| !(driver.list)().is_empty()).map(|driver| (driver.open)(0));
        opened.is_some_and(|device| Adapter::of(&device).is_none_or(|adapter| adapter.hardware))
    }

    /// The command that builds with this backend.
    pub fn build(&self) -> String {
        format!("cargo build --release --features {}", self.name)
    }
}

/// The values of `--device`: `flex, .., cuda:n or auto`.
pub fn choices() -> String {
    let names = BACKENDS.iter().flat_map(|backend| {
        let numbered = backend.numbered.then(|| format!("{}:n", backend.name));
        std::iter::once(backend.name.to_string()).chain(numbered)
    });
    format!("{} or auto", names.collect::<Vec<_>>().join(", "))
}

/// Opens the device `name`, one of [`choices`], and also returns its full name. `auto` is the first backend,
/// GPUs before CPUs, that this build contains and that finds a device; software that stands in for a GPU is taken by name
/// only.
pub fn open(name: &str) -> Result<(String, Device)> {
    let (kind, number) = name.split_once(':').map_or((name, None), |(kind, number)| (kind, Some(number)));
    let backend = match kind {
        "auto" => Some(automatic()),
        _ => BACKENDS.iter().find(|backend| backend.name == kind),
    };
    if number.is_some() && backend.is_some_and(|backend| kind == "auto" || (backend.built() && !backend.numbered)) {
        let numbered: Vec<&str> = BACKENDS.iter().filter(|backend| backend.numbered).map(|b| b.name).collect();
        bail!("--device {name}: only {} takes a number", numbered.join(", "));
    }
    let Some(backend) = backend else { bail!("--device {name}: expected {}", choices()) };
    let Some(driver) = &backend.driver else {
        let kind = backend.name;
        bail!("--device {name}: this build has no {kind}; build it with `{}`", backend.build());
    };
    let index = match number.map(str::parse::<usize>) {
        None => 0,
        Some(Ok(index)) => index,
        Some(Err(_)) => bail!("--device {name}: expected a device number after the colon, such as {kind}:1"),
    };
    // The count is checked first, because burn panics at the first tensor on a missing device.
    match (driver.list)().len() {
        0 => bail!("--device {name}: no device found; {}, or use --device flex", backend.needs),
        n if index >= n && backend.numbered => {
            bail!("--device {name}: expected a device number from 0 to {}", n - 1)
        }
        _ => {}
    }
    let label = if backend.numbered { format!("{}:{index}", backend.name) } else { backend.name.to_string() };
    Ok((label, (driver.open)(index)))
}

/// The preferred backend that finds a device, or else the first one, whose error says what is missing.
fn automatic() -> &'static Backend {
    let mut backends: Vec<&Backend> = BACKENDS.iter().collect();
    backends.sort_by_key(|backend| backend.preference);
    // The devices of a backend are opened to be asked, so that those behind the first that suits stay closed.
    backends.into_iter().find(|backend| backend.suits_auto()).unwrap_or(&BACKENDS[0])
}
