//! The presets.

/// A configuration that is built into the program.
pub struct Preset {
    pub name: &'static str,
    /// The configuration as TOML.
    pub toml: &'static str,
    /// One-line description.
    pub about: &'static str,
}

/// The preset in `presets/NAME.toml`.
macro_rules! preset {
    ($name:literal, $about:literal) => {
        Preset { name: $name, toml: include_str!(concat!("../presets/", $name, ".toml")), about: $about }
    };
}

/// All presets: each has a TOML file and one line here.
pub const PRESETS: &[Preset] = &[
    preset!("manifold", "smooth curve in R^5 seen through 2-D projections; minutes on 2 cores (the default)"),
    preset!("manifold-paper", "the same at the paper's sizes and with its settings; days on 2 cores"),
    preset!("digits", "8x8 handwritten digits, half the pixels missing; minutes on 2 cores"),
    preset!("fashion-mask75", "Fashion-MNIST, three quarters of the pixels missing; under an hour on 2 cores"),
    preset!("fashion-mask50", "Fashion-MNIST, half of the pixels missing; under an hour on 2 cores"),
    preset!("fashion-blur", "Fashion-MNIST, blurred; under an hour on 2 cores"),
    preset!("emoji-mask75", "color emoji at 32x32, three quarters of the pixels missing; under an hour on 2 cores"),
    preset!("cifar10-mask75-small", "CIFAR-10, three quarters of the pixels missing; under an hour on 2 cores"),
    preset!("cifar10-mask90-small", "CIFAR-10, nine tenths of the pixels missing; under an hour on 2 cores"),
    preset!("cifar10-blur-small", "CIFAR-10, blurred; under an hour on 2 cores"),
    preset!("cifar10-mask75", "CIFAR-10, three quarters of the pixels missing, at the paper's sizes; a large GPU"),
    preset!("cifar10-mask90", "CIFAR-10, nine tenths of the pixels missing, at the paper's sizes; a large GPU"),
    preset!("cifar10-blur", "CIFAR-10, blurred, at the paper's sizes; a large GPU"),
    preset!("celeba-mask50", "CelebA at 64x64, half of the pixels missing, at the paper's sizes; a large GPU"),
    preset!(
        "celeba-mask75",
        "CelebA at 64x64, three quarters of the pixels missing, at the paper's sizes; a large GPU"
    ),
    preset!(
        "mri",
        "slices of a head through a sixth of their frequencies (runs/mri.py makes them); under an hour on 2 cores"
    ),
    preset!(
        "ct",
        "tomography of heads of ellipses from 12 angles (runs/ct.py makes them); a quarter of an hour on 2 cores"
    ),
    preset!(
        "galaxies",
        "nebulae and galaxies, blurred and noisy (runs/galaxies.py makes them); under an hour on 2 cores"
    ),
    preset!("gaussian", "1-D Gaussian with noise, where every lap has a closed form; a minute on 2 cores"),
    preset!("gaussian-5d", "correlated 5-D Gaussian seen through 2-D projections; minutes on 2 cores"),
];
