//! Bundles are read as they were written, lose little in 16 bits, and cause no harm when damaged.

use burn::tensor::Device;
use diffem::channel::{ChannelConfig, Compose, MaskConfig, NoiseConfig};
use diffem::checkpoint::Precision;
use diffem::conditioning::ConditioningConfig;
use diffem::conditioning::Standardizer;
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::network::{Layout, NetworkConfig, UnetConfig, flatten, from_host, to_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Bundle, Examples, Export, Model, Posterior, Recipe};
use diffem::sampler::{DdimConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Error, Observations, Samples};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::{Arc, LazyLock};

const SHAPE: ImageShape = ImageShape { channels: 1, height: 4, width: 4 };

fn recipe() -> Recipe {
    let unet = UnetConfig {
        channels: vec![6, 8],
        blocks: vec![1, 1],
        heads: vec![0, 2],
        embedding: 8,
        patch: 1,
        dropout: 0.0,
        ..Default::default()
    };
    Recipe {
        name: "test".into(),
        lap: 3,
        signal: SHAPE.len(),
        image: Some(SHAPE),
        channel: ChannelConfig(vec![NoiseConfig { std: 0.05.into() }.into(), MaskConfig { rate: 0.5 }.into()]),
        schedule: Schedule::default(),
        conditioning: ConditioningConfig::default(),
        method: Method::default(),
        network: NetworkConfig::Unet(unet),
        sampler: DdimConfig { steps: 8, spacing: Spacing::Edm }.into(),
    }
}

fn standardizer() -> Standardizer {
    Standardizer::new(vec![0.25; SHAPE.len()], vec![1.5; SHAPE.len()]).unwrap()
}

fn examples(channel: &Compose) -> Examples {
    let mut x = Samples::zeros(3, SHAPE.len());
    Key::new(1, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
    let observations = Observations::simulate(channel, &x, Key::new(1, Purpose::Observe, 0), 0);
    Examples { observations, x: Some(x) }
}

fn posterior() -> (Posterior, Examples) {
    let Recipe { image, channel, schedule, conditioning, method, network, sampler, .. } = recipe();
    let channel = Arc::new(channel.build_image(SHAPE).unwrap());
    let examples = examples(&channel);
    let model = Model { channel, image, schedule, conditioning, method, network, sampler, shard: 8 };
    let network = model.build_network(1, &Device::flex()).unwrap();
    (Posterior::new(model, network, standardizer(), Device::flex()), examples)
}

fn encode(posterior: &Posterior, examples: &Examples, precision: Precision) -> Result<Vec<u8>, Error> {
    posterior.encode(&Export { name: "test", lap: 3, channel: &recipe().channel, examples, precision })
}

fn bytes(precision: Precision) -> Vec<u8> {
    let (posterior, examples) = posterior();
    encode(&posterior, &examples, precision).unwrap()
}

fn open(bytes: &[u8], device: &Device) -> Result<Bundle, Error> {
    Bundle::open(bytes, device)
}

fn weights(bundle: &Bundle) -> Vec<f32> {
    to_host(&flatten(bundle.posterior.network())).unwrap()
}

fn draws(bundle: &Bundle) -> Samples {
    bundle.posterior.sample_seeded(&bundle.examples.observations, 1, 5).unwrap()
}

#[test]
fn what_is_read_is_what_was_written() {
    let (device, written) = (Device::flex(), bytes(Precision::F32));
    assert_eq!(written, bytes(Precision::F32));
    let bundle = open(&written, &device).unwrap();
    assert_eq!((&bundle.recipe, bundle.posterior.standardizer()), (&recipe(), &standardizer()));
    let layout = Layout::of(bundle.posterior.network());
    assert_eq!((bundle.examples.observations.n(), bundle.parameters), (3, layout.len()));
    assert_eq!(encode(&bundle.posterior, &bundle.examples, Precision::F32).unwrap(), written);
}

/// Draw k of observation i has its own noise, whatever else is sampled.
#[test]
fn a_draw_does_not_depend_on_the_others() {
    let (posterior, Examples { observations, .. }) = posterior();
    let three = posterior.sample_seeded(&observations, 3, 5).unwrap();
    let one = posterior.sample_seeded(&observations, 1, 5).unwrap();
    assert_eq!((three.n(), one.n()), (9, 3));
    assert!((0..3).all(|i| three.row(3 * i) == one.row(i) && three.row(3 * i) != three.row(3 * i + 1)));
    assert!(three.row(0) != posterior.sample(&observations, 1).unwrap().row(0));
}

#[test]
fn mean_and_deviation_are_those_of_the_draws() {
    let (posterior, Examples { observations, .. }) = posterior();
    let draws = posterior.sample_seeded(&observations, 5, 2).unwrap();
    let (mean, std) = posterior.mean_std(&observations, 5, 2).unwrap();
    for (i, j) in [(0, 0), (1, 7), (2, 15)] {
        let values: Vec<f64> = (0..5).map(|k| f64::from(draws.row(5 * i + k)[j])).collect();
        let average = values.iter().sum::<f64>() / 5.0;
        let variance = values.iter().map(|v| (v - average).powi(2)).sum::<f64>() / 4.0;
        assert!((f64::from(mean.row(i)[j]) - average).abs() < 1e-6);
        assert!((f64::from(std.row(i)[j]) - variance.sqrt()).abs() < 1e-6);
    }
    assert!(posterior.mean_std(&observations, 1, 2).unwrap_err().to_string().contains("draws: expected 2 or more"));
}

#[test]
fn sixteen_bits_lose_little() {
    let device = Device::flex();
    let (whole, half) = (bytes(Precision::F32), bytes(Precision::F16));
    let (whole, half_posterior) = (open(&whole, &device).unwrap(), open(&half, &device).unwrap());
    assert_eq!(half_posterior.examples, whole.examples);
    let (a, b) = (weights(&whole), weights(&half_posterior));
    assert!(a != b && a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= a.abs() * 2f32.powi(-11) + 3e-8));
    let (a, b) = (draws(&whole), draws(&half_posterior));
    let worst = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 5e-3, "{worst}");
    assert!(half.len() * 5 < 4 * bytes(Precision::F32).len());
}

#[test]
fn weights_beyond_sixteen_bits_are_refused() {
    let (posterior, examples) = posterior();
    let mut weights = to_host(&flatten(posterior.network())).unwrap();
    weights[0] = 1e5;
    let network = unflatten(posterior.network().clone(), &from_host(weights, &Device::flex()));
    let posterior = Posterior::new(posterior.model().clone(), network, standardizer(), Device::flex());
    let message = encode(&posterior, &examples, Precision::F16).unwrap_err().to_string();
    assert!(message.contains("holds 100000, which 16 bits cannot"), "{message}");
    assert!(encode(&posterior, &examples, Precision::F32).is_ok());
}

/// Returns the bundle with one piece of its metadata replaced and the header's length adjusted.
fn edited(from: &str, to: &str) -> Vec<u8> {
    let whole = bytes(Precision::F16);
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(whole[8..8 + length].to_vec()).unwrap();
    assert!(header.contains(from), "{from} in {header}");
    let header = header.replacen(from, to, 1);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &whole[8 + length..]].concat()
}

fn message(bytes: &[u8]) -> String {
    match open(bytes, &Device::flex()) {
        Ok(_) => "opened".into(),
        Err(error) => error.to_string(),
    }
}

/// The method in the metadata of these bundles.
const DIFFEM: &str = r#""kind":"diffem","imputed_weight":0.1,"relaxation":1.0"#;

#[test]
fn what_does_not_fit_is_named() {
    let quoted = |text: &str| text.replace('"', "\\\"");
    let said = |from: &str, to: &str| message(&edited(&quoted(from), &quoted(to)));
    assert_eq!(said(r#""lap":3"#, r#""lap":4"#), "opened");
    assert_eq!(
        said(r#""format_version":1"#, r#""format_version":2"#),
        "checkpoint: format version 2; this build reads up to 1: update diffem"
    );
    assert_eq!(
        said(r#""content":"bundle""#, r#""content":"state""#),
        "checkpoint: expected a file of bundle, found state"
    );
    assert_eq!(said(r#""steps":8"#, r#""steps":0"#), "sampler.steps: expected 1 to 1000000, found 0");
    assert_eq!(said(r#""rate":0.5"#, r#""rate":1.5"#), "channel[1].rate: expected a number in [0, 1), found 1.5");
    assert_eq!(said(r#""signal":16"#, r#""signal":17"#), "signal: expected 16, found 17");
    assert_eq!(said(r#""signal":16"#, r#""signal":0"#), "signal: expected 1 to 16777216 values, found more or none");
    let huge = "checkpoint: the network of this recipe has more weights than the file";
    assert_eq!(said(r#""channels":[6,8]"#, r#""channels":[8192,8192]"#), huge);
    assert!(said(r#""channels":[6,8]"#, r#""channels":[8,8]"#).contains("the network of this config needs"));
    assert!(said(r#""mean":[0.25,"#, r#""mean":["#).starts_with("checkpoint: standardizer of 15 coordinates"));
    assert!(said(r#""root":[1.5,"#, r#""root":[0.0,"#).starts_with("standardizer: expected an invertible matrix"));
    // A setting out of range or a method that does not suit the channel fails before the first draw.
    assert!(said(DIFFEM, r#""kind":"em-mmps","iterations":0"#).starts_with("method.iterations"));
    assert!(said(r#""measurement_update":true"#, r#""measurement_update":true,"range":[1.0,1.0]"#).contains("range"));
    let bent = said(r#""kind":"mask","rate":0.5"#, r#""kind":"saturation","low":-1.0,"high":1.0"#);
    assert!(bent != "opened", "an operator without parameters has no examples of them: {bent}");
    assert!(said(r#""kind":"mask""#, r#""kind":"veil""#).contains("unknown variant `veil`"));
    // The name of the expected type is one of the program, not of the file.
    let number = said(&format!("{{{DIFFEM}}}"), "3");
    assert_eq!(number, "checkpoint: metadata: invalid type: integer `3` is not expected here");
    let lost = message(&edited("examples.y", "examples.z"));
    assert_eq!(lost, "checkpoint: tensor `examples.y` is missing");
    assert!(message(&edited("levels.0", "floors.0")).contains("is missing"));
}

#[test]
fn no_damaged_byte_panics() {
    let whole = bytes(Precision::F16);
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(open(&whole[..length], &Device::flex()), Err(Error::Checkpoint(_))), "{length} bytes");
    }
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    // Every fifth byte of the header is replaced in turn by a digit, a bracket and a byte that is not ASCII.
    for place in (0..header + 8).step_by(5) {
        for byte in [b'9', b'[', 0xff] {
            let mut damaged = whole.clone();
            damaged[place] = byte;
            let _ = open(&damaged, &Device::flex());
        }
    }
    let mut poisoned = whole.clone();
    let last = poisoned.len();
    // Half-precision weights become infinite; the bytes of the examples stay as they are.
    poisoned[header + 8 + 400 * 4..last].chunks_exact_mut(2).for_each(|half| half.copy_from_slice(&[0x00, 0x7c]));
    assert!(open(&poisoned, &Device::flex()).is_err());
}

/// A bundle with damage as a network or a disk makes it, or as a hostile author does: bytes changed, a number of its
/// metadata replaced, the end cut off.
fn damaged(whole: &[u8], changes: &[(Index, u8)], number: Option<(Index, u64)>, cut: Option<Index>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    if let Some((which, value)) = number {
        let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let header = String::from_utf8(whole[8..8 + length].to_vec()).unwrap();
        let starts: Vec<usize> = (1..header.len())
            .filter(|&i| header.as_bytes()[i].is_ascii_digit() && !header.as_bytes()[i - 1].is_ascii_alphanumeric())
            .collect();
        let start = *which.get(&starts);
        let end = start + header[start..].find(|c: char| !c.is_ascii_digit()).unwrap();
        let header = [&header[..start], &value.to_string(), &header[end..]].concat();
        bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &whole[8 + length..]].concat();
    }
    changes.iter().for_each(|(at, byte)| {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    });
    bytes.truncate(cut.map_or(bytes.len(), |at| at.index(bytes.len())));
    bytes
}

proptest! {
    #[test]
    fn damaged_bundles_never_panic(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        number in prop::option::of((any::<Index>(), prop_oneof![0u64..4096, any::<u64>()])),
        cut in prop::option::weighted(0.1, any::<Index>()),
    ) {
        static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| bytes(Precision::F16));
        if let Ok(bundle) = open(&damaged(&WHOLE, &changes, number, cut), &Device::flex()) {
            let posterior = &bundle.posterior;
            prop_assert!(posterior.model().channel.signal_len() > 0);
        }
    }
}
