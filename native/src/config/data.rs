//! Where the observations come from.

use crate::data::digits::SHAPE as DIGITS;
use crate::data::image_set::ImageData;
use crate::home;
use anyhow::{Context, Result, bail};
use diffem::image::ImageShape;
use diffem::synthetic::Outline;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::path::{Path, PathBuf};

/// Maximum side length of an image, in pixels.
const MAX_SIDE: usize = 4096;

/// Registry: the enum of all kinds of data, those of images generated from their list.
macro_rules! data {
    ({ $($others:tt)* } $($kind:ident($config:ident) = $module:ident,)+) => {
        $(use crate::data::$module::$config;)+

        /// Where the observations come from.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
        pub enum DataConfig {
            $($others)*
            $($kind($config),)+
        }

        impl DataConfig {
            /// The image files that the observations come from, if they come from images.
            pub fn images(&self) -> Option<&dyn ImageData> {
                match self {
                    $(Self::$kind(images) => Some(images),)+
                    _ => None,
                }
            }

            fn images_mut(&mut self) -> Option<&mut dyn ImageData> {
                match self {
                    $(Self::$kind(images) => Some(images),)+
                    _ => None,
                }
            }
        }
    };
}

data! {
    {
        /// Your own observations: a .safetensors, .npz, .fits, .tif or .h5 file with `y [n, m]`, `a [n, ...]` where
        /// the channel has parameters, and, for evaluation only, `x [n, d]`.
        File {
            /// Path of the file, relative to the working directory.
            #[serde(serialize_with = "lossy")]
            path: PathBuf,
            /// Length d of a signal; may be omitted if `shape` is given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            signal: Option<usize>,
            /// Shape of each signal if signals are images, flattened channel by channel, row by row.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            shape: Option<ImageShape>,
        },
        /// Gaussian signals N(0, S), where S has the given standard deviations and one common correlation.
        Gaussian {
            /// Number of observations.
            n: usize,
            /// Standard deviation of each coordinate, > 0.
            std: Vec<f64>,
            /// Correlation of every pair of coordinates, in (-1/(d-1), 1).
            #[serde(default)]
            correlation: f64,
        },
        /// Points on a random smooth curve (the paper's manifold), scaled to [-2, 2].
        Manifold {
            /// Number of observations.
            n: usize,
            /// Length d of a signal.
            d: usize,
            /// Smoothness: amplitudes fall as k^-alpha, alpha >= 1.
            alpha: f64,
        },
        /// Points on a closed curve in the plane (as in the browser), scaled to [-2, 2].
        Curve {
            /// Number of observations.
            n: usize,
            /// Which curve.
            #[serde(default)]
            shape: Outline,
        },
        /// The 8x8 handwritten digits of UCI and scikit-learn, in [-2, 2].
        Digits {
            /// Number of digits that are observed for training, 2 to 1796; the others are kept for `evaluate`.
            n: usize,
        },
    }
    Idx(IdxConfig) = idx,
    Cifar10(Cifar10Config) = cifar10,
    Images(ImagesConfig) = folder,
    MaskedImages(MaskedImagesConfig) = masked,
}

impl DataConfig {
    pub(super) fn signal_len(&self) -> usize {
        match self {
            Self::File { signal: Some(signal), .. } => *signal,
            Self::Gaussian { std, .. } => std.len(),
            Self::Manifold { d, .. } => *d,
            Self::Curve { .. } => 2,
            _ => self.image_shape().map_or(0, |shape| shape.len()),
        }
    }

    /// True for observations that come with the operators that made them.
    pub(super) fn has_operators(&self) -> bool {
        matches!(self, Self::File { .. } | Self::MaskedImages(_))
    }

    /// The same kind of data, read from the file or directory `place`.
    ///
    /// # Errors
    /// A place of images whose name is not UTF-8.
    pub fn at(mut self, place: &Path) -> Result<Self> {
        if let Self::File { path, .. } = &mut self {
            *path = place.to_path_buf();
        } else if let Some(images) = self.images_mut() {
            let advice = || format!("{}: its name is not UTF-8; rename it, or name a link to it", place.display());
            images.set_path(place.to_str().with_context(advice)?);
        }
        Ok(self)
    }

    /// The same data with the home directory for a `~` at the start of its path.
    pub(super) fn expanded(self) -> Result<Self> {
        let table = toml::Table::try_from(&self)?;
        match table.get("path").and_then(toml::Value::as_str).filter(|path| path.starts_with("~/")) {
            Some(path) => self.at(&home::expanded(Path::new(path))),
            None => Ok(self),
        }
    }

    /// Observations from the file `path`, of signals with the same length and image shape.
    pub fn in_file(&self, path: &Path) -> Self {
        let (signal, shape) = (Some(self.signal_len()), self.image_shape());
        Self::File { path: path.to_path_buf(), signal, shape }
    }

    /// Shape of a signal as an image; `None` if signals are not images.
    pub fn image_shape(&self) -> Option<ImageShape> {
        match self {
            Self::File { shape, .. } => *shape,
            Self::Digits { .. } => Some(DIGITS),
            _ => self.images().map(ImageData::shape),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let count = |n: usize, most: usize| match (2..=most).contains(&n) {
            true => Ok(()),
            false => bail!("data.n: expected 2 to {most} observations, found {n}"),
        };
        match self {
            Self::File { signal, shape, .. } => file_shape(*signal, *shape),
            Self::Gaussian { n, std, correlation } => {
                count(*n, 1 << 30)?;
                if std.is_empty() || std.iter().any(|s| !(*s > 0.0 && s.is_finite())) {
                    bail!("data.std: expected one number > 0 for each coordinate, found {std:?}");
                }
                let least = if std.len() > 1 { -1.0 / (std.len() - 1) as f64 } else { -1.0 };
                if !(*correlation > least && *correlation < 1.0) {
                    bail!("data.correlation: expected a number in ({least}, 1), found {correlation}");
                }
                Ok(())
            }
            Self::Manifold { n, d, alpha } => {
                count(*n, 1 << 30)?;
                if !(1..=4096).contains(d) {
                    bail!("data.d: expected 1 to 4096, found {d}");
                }
                if !(1.0..=64.0).contains(alpha) {
                    bail!("data.alpha: expected a number in [1, 64], found {alpha}");
                }
                Ok(())
            }
            Self::Curve { n, .. } => count(*n, 1 << 30),
            Self::Digits { n } => count(*n, 1796),
            _ => self.images().map_or(Ok(()), check_images),
        }
    }
}

/// Writes a path as text. A run keeps its own copy of the observations, so a name that is not UTF-8 is only noted.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn check_images(images: &dyn ImageData) -> Result<()> {
    let ImageShape { channels, height, width } = images.shape();
    if images.n() == 1 {
        bail!("data.n: expected 0 (all) or 2 or more images, found 1");
    }
    if !matches!(channels, 1 | 3) {
        bail!("data.channels: expected 1 (gray) or 3 (red, green, blue), found {channels}");
    }
    images.check()?;
    for (field, side) in [("height", height), ("width", width)] {
        if !(1..=MAX_SIDE).contains(&side) {
            bail!("data.{field}: expected 1 to {MAX_SIDE} pixels, found {side}");
        }
    }
    Ok(())
}

fn file_shape(signal: Option<usize>, shape: Option<ImageShape>) -> Result<()> {
    if let Some(shape) = shape {
        shape.validate("data.shape")?;
        if let Some(signal) = signal.filter(|signal| *signal != shape.len()) {
            bail!(
                "data.signal: expected channels x height x width of data.shape = {}, found {signal}; leave it out",
                shape.len()
            );
        }
    }
    match (signal, shape) {
        (Some(0), _) => bail!("data.signal: expected the length of a signal, 1 or more, found 0"),
        (None, None) => bail!("data.signal: expected the length of a signal, or data.shape for images"),
        _ => Ok(()),
    }
}
