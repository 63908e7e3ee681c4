//! Configurations are read back as they were written; any other text is an error and never a panic.

use super::*;
use crate::data::folder::ImagesConfig;
use crate::data::idx::IdxConfig;
use crate::data::masked::MaskedImagesConfig;
use diffem::channel::{LinearConfig, MaskConfig, NoiseConfig, ProjectionConfig};
use diffem::conditioning::Features;
use diffem::em::{GaussianInit, Operators, Recorruption};
use diffem::method::Diffem;
use diffem::network::MlpConfig;
use diffem::optim::{Decay, OptimizerKind};
use diffem::sampler::{
    DdimConfig, DdpmConfig, Dpmpp2mConfig, Dpmpp2mSdeConfig, HeunConfig, PredictorCorrectorConfig, SamplerConfig,
    Spacing,
};
use diffem::synthetic::Outline;
use proptest::prelude::*;
use proptest::sample::select;

/// Integers from `least` that TOML can represent.
fn whole(least: usize) -> impl Strategy<Value = usize> {
    least..=i64::MAX as usize
}

/// All positive numbers, with 17 significant digits and any exponent.
fn positive() -> impl Strategy<Value = f64> {
    use prop::num::f64::{NORMAL, POSITIVE, SUBNORMAL};
    POSITIVE | NORMAL | SUBNORMAL
}

fn rows() -> impl Strategy<Value = usize> {
    1..=MAX_ROWS as usize
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (positive(), positive(), positive(), 1u32..=64, 1u32..=64)
        .prop_filter("sigma_min < sigma_max", |(a, b, ..)| a != b)
        .prop_map(|(a, b, sigma_data, time_alpha, time_beta)| Schedule {
            sigma_min: a.min(b),
            sigma_max: a.max(b),
            sigma_data,
            time_alpha,
            time_beta,
        })
}

fn network() -> impl Strategy<Value = NetworkConfig> {
    (1usize..=65536, 1usize..=64, 1usize..=2048)
        .prop_map(|(width, depth, half)| NetworkConfig::Mlp(MlpConfig { width, depth, embedding: 2 * half }))
}

fn m_step() -> impl Strategy<Value = MStepConfig> {
    let decay = select(vec![Decay::Constant, Decay::Linear, Decay::Cosine]);
    let recorruption = select(vec![Recorruption::EveryBatch, Recorruption::EveryLap]);
    let rates = (0.0..=10.0, 0.0..=10.0, decay, 0.0..1e9, 0.0..1.0);
    (whole(1), rows(), rows(), rates, any::<bool>(), recorruption).prop_map(
        |(steps, batch, micro_batch, (first, last, decay, clip_norm, ema), restart_optimizer, recorruption)| {
            MStepConfig {
                steps,
                batch,
                micro_batch,
                optimizer: if restart_optimizer { OptimizerKind::Muon } else { OptimizerKind::Adam },
                learning_rate: first,
                final_learning_rate: last,
                decay,
                clip_norm,
                ema,
                restart_optimizer,
                recorruption,
                operators: Operators::Observed,
                flip: false,
                gradient_checkpointing: restart_optimizer,
            }
        },
    )
}

fn sampler() -> impl Strategy<Value = SamplerConfig> {
    let spacing = select(vec![Spacing::Geometric, Spacing::Edm]);
    (0..6, 1usize..=1_000_000, spacing, 0.001..0.999, whole(0)).prop_map(|(kind, steps, spacing, unit, corrections)| {
        match kind {
            0 => DdpmConfig { steps, spacing }.into(),
            1 => DdimConfig { steps, spacing }.into(),
            2 => HeunConfig { steps, spacing, churn: unit }.into(),
            3 => Dpmpp2mConfig { steps, spacing }.into(),
            4 => Dpmpp2mSdeConfig { steps, spacing }.into(),
            _ => PredictorCorrectorConfig { steps, spacing, corrections: corrections % 1000, tau: unit }.into(),
        }
    })
}

fn em() -> impl Strategy<Value = EmConfig> {
    (whole(1), whole(0)).prop_map(|(laps, patience)| EmConfig { laps, patience })
}

fn init() -> impl Strategy<Value = InitConfig> {
    prop_oneof![
        (whole(0), positive()).prop_map(|(iterations, std)| InitConfig::Gaussian(GaussianInit {
            iterations,
            std,
            rank: 0
        })),
        Just(InitConfig::Corrupted(Nothing {})),
        any::<String>().prop_map(|path| InitConfig::Checkpoint(Place { path })),
    ]
}

fn side() -> impl Strategy<Value = usize> {
    1usize..=4
}

/// Data and a channel for signals of its length.
fn dataset() -> impl Strategy<Value = (DataConfig, ChannelConfig)> {
    let data = prop_oneof![
        (any::<String>(), 1usize..=3, any::<bool>()).prop_map(|(path, side, image)| DataConfig::File {
            path: path.into(),
            signal: (!image).then_some(side),
            shape: image.then_some(ImageShape { channels: 1, height: 2, width: side }),
        }),
        (any::<String>(), side(), side(), whole(2), whole(0))
            .prop_map(|(path, height, width, n, test)| { DataConfig::Idx(IdxConfig { path, height, width, n, test }) }),
        (any::<String>(), side(), prop::option::of(whole(1)), any::<(u8, bool)>(), whole(2), whole(0)).prop_map(
            |(path, width, crop, (background, skip_broken), n, test)| {
                DataConfig::Images(ImagesConfig {
                    path,
                    channels: 3,
                    height: 2,
                    width,
                    crop,
                    background,
                    skip_broken,
                    n,
                    test,
                })
            }
        ),
        (any::<String>(), side(), any::<[bool; 2]>(), whole(2)).prop_map(|(path, width, [resize, skip_broken], n)| {
            DataConfig::MaskedImages(MaskedImagesConfig { path, channels: 1, height: 2, width, resize, skip_broken, n })
        }),
        (2usize..=1 << 30, prop::collection::vec(positive(), 1..=6), -0.199..1.0)
            .prop_map(|(n, std, correlation)| DataConfig::Gaussian { n, std, correlation }),
        (2usize..=1 << 30, 1usize..=6, 1.0..=64.0).prop_map(|(n, d, alpha)| DataConfig::Manifold { n, d, alpha }),
        (2usize..=1 << 30).prop_map(|n| DataConfig::Curve { n, shape: Outline::Heart }),
        (2usize..=1796).prop_map(|n| DataConfig::Digits { n }),
    ];
    let stages = prop_oneof![
        (1usize..=9).prop_map(|rows| vec![ProjectionConfig { rows }.into()]),
        (0.0..1.0).prop_map(|rate| vec![MaskConfig { rate }.into()]),
        Just(vec![]),
    ];
    (data, stages, prop::option::of(-9.0f32..9.0), 0.0..1e9).prop_map(|(data, mut stages, entry, std)| {
        let d = data.signal_len();
        // A dense matrix comes first, because its rows are as long as the signal.
        stages.splice(0..0, entry.map(|v| LinearConfig { matrix: vec![vec![v; d]; 2] }.into()));
        stages.push(NoiseConfig { std: f64::into(std) }.into());
        (data, ChannelConfig(stages))
    })
}

prop_compose! {
    fn config()(
        (name, seed) in (r"[^/\\\pC]{1,12}", 0..=i64::MAX as u64),
        (schedule, network, m_step, em, init) in (schedule(), network(), m_step(), em(), init()),
        (sampler, shard, (imputed_weight, relaxed)) in (sampler(), rows(), (1e-3..=1.0, 1.0..=4.0)),
        (features, measurement_update) in (select(vec![Features::Observation, Features::Geometry]), any::<bool>()),
        (holdout, monitor_points, monitor_reg) in (0.0..=0.5, whole(2), positive()),
        (points, regularization, save_every) in (whole(0), positive(), 0.0..1e9),
        (data, channel) in dataset(),
        clean in prop::option::of(("[a-z]{1,9}", 0.0..1.0)),
    ) -> Config {
        Config {
            name,
            seed,
            schedule,
            conditioning: ConditioningConfig { features, measurement_update, ..Default::default() },
            method: Diffem { imputed_weight, relaxation: if holdout > 0.0 { relaxed } else { 1.0 } }.into(),
            network,
            m_step,
            e_step: EStepConfig { sampler, shard },
            monitor: MonitorConfig { holdout, points: monitor_points, regularization: monitor_reg },
            report: ReportConfig { points, regularization, save_every, draws: 2 },
            em,
            init,
            clean: clean.map(|(path, weight)| CleanConfig { path, weight: Some(weight) }),
            data,
            channel,
        }
    }
}

/// A line of TOML that resembles a line of a configuration.
fn line() -> impl Strategy<Value = String> {
    let key = select(vec!["name", "seed", "em.laps", "data.kind", "std", "channel", "m_step", "kind", "x y", ""]);
    let value =
        select(vec!["1", "-1", "1e999", "nan", "\"gaussian\"", "[[]]", "{ kind = 1 }", "99999999999999999999", "]"]);
    let header = select(vec!["[data]", "[[channel]]", "[init]", "[name]", "[["]);
    prop_oneof![
        (key, value).prop_map(|(key, value)| format!("{key} = {value}\n")),
        header.prop_map(|header| format!("{header}\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_back_unchanged(config in config()) {
        prop_assert!(config.validate().is_ok(), "{:#}", config.validate().unwrap_err());
        prop_assert_eq!(&parse(&config.to_toml().unwrap(), "t", &[]).unwrap(), &config);
        // A setting that changes nothing still goes through the resolved table.
        prop_assert_eq!(&parse(&config.to_toml().unwrap(), "t", &[format!("seed={}", config.seed)]).unwrap(), &config);
        // Checkpoints store the configuration as JSON.
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Config>(&json).unwrap(), &config);
    }

    #[test]
    fn arbitrary_text_is_an_error(text in r"\PC{0,80}", setting in r"[a-z_.=\[\]{}0-9]{0,20}") {
        prop_assert!(parse(&text, "t", &[]).is_err());
        let _ = parse(PRESETS[0].toml, "t", &[setting]);
    }

    #[test]
    fn lines_that_are_nearly_right_never_panic(lines in prop::collection::vec(line(), 0..12)) {
        let _ = parse(&lines.concat(), "t", &[]);
    }

    #[test]
    fn a_damaged_preset_never_panics(preset in 0..PRESETS.len(), at in any::<prop::sample::Index>(), to in any::<char>()) {
        let mut text: Vec<char> = PRESETS[preset].toml.chars().collect();
        let at = at.index(text.len());
        text[at] = to;
        let _ = parse(&text.into_iter().collect::<String>(), "t", &[]);
    }

    #[test]
    fn arbitrary_bytes_in_a_file_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, bytes).unwrap();
        prop_assert!(load(path.to_str().unwrap(), &[]).is_err());
    }
}

#[test]
fn every_preset_is_valid() {
    for name in PRESETS.iter().map(|preset| preset.name) {
        let config = load(name, &[]).unwrap();
        assert_eq!(config.name, name);
    }
}

/// The preset "gaussian" with `settings` applied.
fn set(settings: &[&str]) -> Result<Config> {
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    load("gaussian", &settings)
}

#[test]
fn one_field_of_a_default_can_be_set() {
    let sampler = set(&["e_step.sampler.steps=7"]).unwrap().e_step.sampler;
    let (spacing, churn) = (Spacing::Geometric, 0.0);
    assert_eq!(sampler, HeunConfig { steps: 7, spacing, churn }.into());
}

#[test]
fn another_kind_drops_the_fields_of_the_old_one() {
    let init = set(&["init.kind=corrupted"]).unwrap().init;
    assert_eq!(init, InitConfig::Corrupted(Nothing {}));
    let same = set(&["init.kind=gaussian"]).unwrap().init;
    assert_eq!(same, set(&[]).unwrap().init);
    let file = set(&["data.kind=file", "data.path=o.npz", "data.signal=3"]).unwrap();
    assert_eq!(file.signal_len(), 3);
}

#[test]
fn a_value_that_is_not_toml_is_a_string() {
    assert_eq!(set(&["name=a b=c"]).unwrap().name, "a b=c");
    assert_eq!(set(&["name=\"7\""]).unwrap().name, "7");
}

#[test]
fn sizes_that_would_overflow_are_refused() {
    let huge = "4611686018427387904";
    for field in ["m_step.batch", "m_step.micro_batch", "e_step.shard"] {
        let error = format!("{:#}", set(&[&format!("{field}={huge}")]).unwrap_err());
        let expected = format!("{field}: expected at most {MAX_ROWS}, found {huge}");
        assert!(error.contains(&expected), "{error}");
    }
    let error = set(&[&format!("channel=[{{ kind = \"projection\", rows = {huge} }}]")]).unwrap_err();
    assert!(format!("{error:#}").contains("channel[0].rows: expected at most 65536"));
}

#[test]
fn a_name_must_fit_into_a_file_name() {
    for name in ["", "a/b", "a\\b", "a\nb"] {
        let error = format!("{:#}", set(&[&format!("name={}", toml::Value::from(name))]).unwrap_err());
        assert!(error.contains("name: expected a word"), "{error}");
    }
}
