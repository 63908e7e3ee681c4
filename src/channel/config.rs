//! Channels by name, for configuration files. A channel is registered in the list at the end of this file.

use super::{Compose, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Registry: defines the enum of all stages, tagged by `kind`, and re-exports the public
/// items of their files.
macro_rules! stages {
    ($($kind:ident($config:ident) = $module:ident,)+) => {
        $(pub use super::$module::*;)+

        /// One stage of a channel.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[non_exhaustive]
        #[allow(missing_docs)] // The settings of each stage carry its description.
        pub enum StageConfig {
            $($kind($config),)+
        }

        impl StageConfig {
            /// The settings as a trait object.
            pub fn as_stage(&self) -> &dyn Stage {
                match self {
                    $(Self::$kind(config) => config,)+
                }
            }

            fn as_stage_mut(&mut self) -> &mut dyn Stage {
                match self {
                    $(Self::$kind(config) => config,)+
                }
            }
        }

        $(impl From<$config> for StageConfig {
            fn from(config: $config) -> Self {
                Self::$kind(config)
            }
        })+
    };
}

/// A channel: its stages in the order in which they act.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ChannelConfig(pub Vec<StageConfig>);

impl From<Vec<StageConfig>> for ChannelConfig {
    fn from(stages: Vec<StageConfig>) -> Self {
        Self(stages)
    }
}

impl<const N: usize> From<[StageConfig; N]> for ChannelConfig {
    fn from(stages: [StageConfig; N]) -> Self {
        Self(stages.into())
    }
}

impl FromStr for ChannelConfig {
    type Err = serde_json::Error;

    /// Parses stages in JSON, with the same keys as in configuration files.
    fn from_str(json: &str) -> std::result::Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

impl ChannelConfig {
    /// Builds the channel for signals of length `d`.
    ///
    /// # Errors
    /// A setting outside its range, named as in `channel[1].std`; an empty list of stages.
    pub fn build(&self, d: usize) -> Result<Compose> {
        self.build_for(Signal::Vector(d))
    }

    /// Builds the channel for images; each stage receives the shape that the previous one outputs.
    ///
    /// # Errors
    /// Those of [`ChannelConfig::build`], and a shape that is empty or too large.
    pub fn build_image(&self, shape: ImageShape) -> Result<Compose> {
        shape.validate("image")?;
        self.build_for(Signal::Image(shape))
    }

    /// Checks that every stage is available in the browser build.
    ///
    /// # Errors
    /// The first stage that is not, named as in `channel[1].kind`.
    pub fn check_browser(&self) -> Result<()> {
        self.0.iter().enumerate().try_for_each(|(i, stage)| stage.as_stage().check_browser().map_err(|e| placed(i, e)))
    }

    /// Number of levels of the noise that are unknown, and which EM estimates.
    pub fn unknown_noise(&self) -> usize {
        self.0.iter().map(|stage| stage.as_stage().unknown_noise()).sum()
    }

    /// The same stages with the estimated `levels` of [`crate::channel::Channel::unknown_noise`].
    pub fn with_noise(&self, mut levels: &[f64]) -> Self {
        let mut stages = self.clone();
        for stage in stages.0.iter_mut().map(StageConfig::as_stage_mut) {
            let (own, rest) = levels.split_at(stage.unknown_noise().min(levels.len()));
            stage.set_noise(own);
            levels = rest;
        }
        stages
    }

    fn build_for(&self, mut signal: Signal) -> Result<Compose> {
        let mut stages = Vec::new();
        for (i, stage) in self.0.iter().map(StageConfig::as_stage).enumerate() {
            let built = stage.build(signal).map_err(|e| placed(i, e))?;
            signal = stage.output(signal, built.observation_len());
            stages.push(built);
        }
        Compose::new(stages)
    }
}

/// Error of stage `i`, with the stage's position in the name of the setting.
fn placed(i: usize, error: Error) -> Error {
    match error {
        Error::Config { field, message } => Error::config(format!("channel[{i}].{field}"), message),
        other => other,
    }
}

stages! {
    Projection(ProjectionConfig) = projection,
    Mask(MaskConfig) = mask,
    Noise(NoiseConfig) = noise,
    Linear(LinearConfig) = linear,
    PixelMask(PixelMaskConfig) = pixel_mask,
    BlockMask(BlockMaskConfig) = block_mask,
    Blur(BlurConfig) = blur,
    Downsample(DownsampleConfig) = downsample,
    Poisson(PoissonConfig) = poisson,
    Saturation(SaturationConfig) = saturation,
    Quantization(QuantizationConfig) = quantization,
    Jpeg(JpegConfig) = jpeg,
    FourierMask(FourierMaskConfig) = fourier_mask,
    Kernel(KernelConfig) = kernel,
    Multicoil(MulticoilConfig) = multicoil,
    Radon(RadonConfig) = radon,
    PoissonGaussian(PoissonGaussianConfig) = poisson_gaussian,
    NoiseLevel(NoiseLevelConfig) = noise_level,
    SelfMask(SelfMaskConfig) = self_mask,
    RotateProject(RotateProjectConfig) = rotate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_stages_are_named() {
        let message = |stages| ChannelConfig(stages).build(3).err().map(|e| e.to_string()).unwrap_or_default();
        let noise = message(vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: (-1.0).into() }.into()]);
        assert_eq!(noise, "channel[1].std: expected a number >= 0, found -1");
        let linear = message(vec![LinearConfig { matrix: vec![vec![1.0, 2.0]] }.into()]);
        assert!(linear.contains("channel[0].matrix: row 0 has 2 numbers, expected 3"), "{linear}");
        assert!(message(vec![]).contains("one or more stages"));
    }

    #[test]
    fn a_stage_is_read_by_its_kind() {
        let text = r#"[{"kind":"pixel-mask","rate":0.5},{"kind":"quantization","levels":8}]"#;
        let channel: ChannelConfig = text.parse().unwrap();
        let stages = [PixelMaskConfig { rate: 0.5, max_rate: None }.into(), QuantizationConfig { levels: 8 }.into()];
        assert_eq!(channel, ChannelConfig::from(stages));
        assert_eq!(serde_json::to_string(&channel).unwrap(), text);
    }

    #[test]
    fn stages_that_the_browser_lacks_are_named() {
        let message = |stages| ChannelConfig(stages).check_browser().err().map(|e| e.to_string());
        assert_eq!(message(vec![MaskConfig { rate: 0.5 }.into()]), None);
        let jpeg = message(vec![NoiseConfig { std: 0.1.into() }.into(), JpegConfig { quality: 50 }.into()]).unwrap();
        assert!(jpeg.starts_with("channel[1].kind: \"jpeg\" does not run in the browser"), "{jpeg}");
    }

    #[test]
    fn an_unknown_kind_or_field_is_refused_with_the_known_ones() {
        let message = |text: &str| text.parse::<ChannelConfig>().unwrap_err().to_string();
        let british = message(r#"[{"kind":"quantisation","levels":8}]"#);
        assert!(british.contains("unknown variant `quantisation`") && british.contains("`quantization`"), "{british}");
        let field = message(r#"[{"kind":"mask","rate":0.5,"rat":1}]"#);
        assert!(field.contains("unknown field `rat`, expected `rate`"), "{field}");
        assert!(message(r#"[{"kind":"mask"}]"#).contains("missing field `rate`"));
    }

    #[cfg(feature = "schema")]
    #[test]
    fn the_schema_describes_every_stage() {
        let schema = schemars::schema_for!(StageConfig).to_value();
        let stages = schema["oneOf"].as_array().unwrap();
        let kinds: Vec<&str> = stages.iter().filter_map(|s| s["properties"]["kind"]["const"].as_str()).collect();
        assert_eq!((kinds.len(), kinds[0], kinds[4]), (stages.len(), "projection", "pixel-mask"));
        for stage in stages {
            assert!(stage["description"].is_string() && stage["additionalProperties"] == false, "{stage}");
        }
    }
}
