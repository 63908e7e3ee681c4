//! The presets.

/// A preset's name, its TOML and one line about it.
pub const PRESETS: [(&str, &str, &str); 14] = [
    (
        "manifold",
        include_str!("../presets/manifold.toml"),
        "smooth curve in R^5 seen through 2-D projections; minutes on 2 cores (the default)",
    ),
    (
        "manifold-paper",
        include_str!("../presets/manifold-paper.toml"),
        "the same at the paper's sizes and with its settings; days on 2 cores",
    ),
    (
        "digits",
        include_str!("../presets/digits.toml"),
        "8x8 handwritten digits, half the pixels missing; minutes on 2 cores",
    ),
    (
        "fashion-mask75",
        include_str!("../presets/fashion-mask75.toml"),
        "Fashion-MNIST, three quarters of the pixels missing; under an hour on 2 cores",
    ),
    (
        "fashion-mask50",
        include_str!("../presets/fashion-mask50.toml"),
        "Fashion-MNIST, half of the pixels missing; under an hour on 2 cores",
    ),
    ("fashion-blur", include_str!("../presets/fashion-blur.toml"), "Fashion-MNIST, blurred; under an hour on 2 cores"),
    (
        "emoji-mask75",
        include_str!("../presets/emoji-mask75.toml"),
        "color emoji at 32x32, three quarters of the pixels missing; under an hour on 2 cores",
    ),
    (
        "cifar10-mask75",
        include_str!("../presets/cifar10-mask75.toml"),
        "CIFAR-10, three quarters of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "cifar10-mask90",
        include_str!("../presets/cifar10-mask90.toml"),
        "CIFAR-10, nine tenths of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "cifar10-blur",
        include_str!("../presets/cifar10-blur.toml"),
        "CIFAR-10, blurred, at the paper's sizes; a large GPU",
    ),
    (
        "celeba-mask50",
        include_str!("../presets/celeba-mask50.toml"),
        "CelebA at 64x64, half of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "celeba-mask75",
        include_str!("../presets/celeba-mask75.toml"),
        "CelebA at 64x64, three quarters of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "gaussian",
        include_str!("../presets/gaussian.toml"),
        "1-D Gaussian with noise, where every lap has a closed form; a minute on 2 cores",
    ),
    (
        "gaussian-5d",
        include_str!("../presets/gaussian-5d.toml"),
        "correlated 5-D Gaussian seen through 2-D projections; minutes on 2 cores",
    ),
];
