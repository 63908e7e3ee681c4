//! Every reader of what comes from outside, as a function of bytes. Whatever the bytes are, a reader returns values or an
//! error in plain words; it does not panic, and takes neither memory for what a header claims nor seconds.
//!
//! The fuzz targets in `native/fuzz` and the tests beside this file call the same functions.

use crate::config::{self, Config};
use crate::data::cifar10::Cifar10Config;
use crate::data::folder::ImagesConfig;
use crate::data::idx::IdxConfig;
use crate::data::image_set::{ImageData, Opened};
use crate::data::layout::Rows;
use crate::data::masked::MaskedImagesConfig;
use crate::data::observations::{Expect, load_observations, load_signals};
use crate::data::parts::Parts;
use crate::data::tensor_file::TensorFile;
use crate::run::dir::read_state;
use crate::run::metrics;
use anyhow::Result;
use burn::tensor::Device;
use diffem::checkpoint;
use diffem::network::Layout;
use diffem::posterior::Bundle;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// A reader's name, which is that of its fuzz target, and the reader.
pub type Reader = (&'static str, fn(&[u8]));

/// All readers of this build.
pub const READERS: &[Reader] = &[
    ("arrays", arrays),
    ("idx", idx),
    ("cifar10", cifar10),
    ("pictures", pictures),
    #[cfg(feature = "parquet")]
    ("parquet", parquet),
    ("checkpoint", checkpoint),
    ("bundle", bundle),
    ("configuration", configuration),
    ("setting", setting),
];

/// Words of the program's inside, of which no message may speak.
const INSIDE: [&str; 7] = [
    "internally tagged",
    "tuple struct",
    "newtype variant",
    "unit variant",
    "called `Option::unwrap",
    "called `Result::unwrap",
    "thread '",
];

/// Number of images that are read of a set.
const FEW: usize = 4;

/// Panics if the message of an error is empty, or speaks of the program's inside where `bytes` do not.
fn check<T, E: Display>(bytes: &[u8], result: Result<T, E>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => format!("{error:#}"),
    };
    let quoted = String::from_utf8_lossy(bytes);
    assert!(!error.trim().is_empty(), "an error without a message");
    let inside = INSIDE.iter().find(|word| error.contains(**word) && !quoted.contains(**word));
    assert!(inside.is_none(), "a message speaks of the program's inside: {error}");
    None
}

/// Passes a new directory that holds these files to `read`.
fn with_files<T>(files: &[(&str, &[u8])], read: impl FnOnce(&Path) -> T) -> T {
    // Files in memory are made a hundred times faster than on a disk.
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(parent).expect("a place for files");
    files.iter().for_each(|(name, bytes)| std::fs::write(dir.path().join(name), bytes).expect("space for files"));
    read(dir.path())
}

fn few(n: usize) -> Vec<usize> {
    (0..n.min(FEW)).collect()
}

/// An array file, whose first bytes decide the format.
pub fn arrays(bytes: &[u8]) {
    let extension = match bytes {
        [b'P', b'K', ..] => "npz",
        [0x93, ..] => "npy",
        _ => "safetensors",
    };
    with_files(&[(&format!("a.{extension}"), bytes)], |dir| {
        let path = dir.join(format!("a.{extension}"));
        let Some(mut file) = check(bytes, TensorFile::open(&path, "y")) else { return };
        let [signals, mask] = [None, Some(2)].map(Rows::of);
        let expect =
            Expect { y: signals.clone(), a: Some(mask), x: signals.clone(), parts: Parts::default(), masked: true };
        check(bytes, load_observations(&path, &expect));
        check(bytes, load_signals(&path, "x", &signals));
        for name in file.names() {
            let shape = check(bytes, file.shape(&name));
            let tensor = check(bytes, file.require(&name));
            let rows = check(bytes, file.any_rows(&name));
            check(bytes, file.rows_of(&name));
            let size = |shape: &[usize]| shape.iter().product::<usize>();
            assert!(tensor.is_none_or(|tensor| shape.as_ref() == Some(&tensor.shape)));
            assert!(rows.is_none_or(|rows| shape.is_some_and(|shape| rows.as_slice().len() == size(&shape))));
        }
    });
}

/// Reads a few images of each set that a configuration opens.
fn images(bytes: &[u8], config: &dyn ImageData) {
    match check(bytes, config.open(true)) {
        Some(Opened::Clean(sources)) => [Some(sources.train), sources.test].into_iter().flatten().for_each(|set| {
            check(bytes, set.read(&few(set.len())));
        }),
        Some(Opened::Observed(set)) => drop(check(bytes, set.read(&few(set.len())))),
        None => {}
    }
}

/// A file of MNIST, raw or compressed.
pub fn idx(bytes: &[u8]) {
    with_files(&[("a", bytes)], |dir| {
        images(bytes, &IdxConfig { path: text(&dir.join("a")), height: 2, width: 3, n: 0, test: 0 });
    });
}

/// A binary batch of CIFAR-10 among whole ones.
pub fn cifar10(bytes: &[u8]) {
    let whole = [7; 3073];
    let names: Vec<String> = (2..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &whole[..])).collect();
    files.extend([("data_batch_1.bin", bytes), ("test_batch.bin", bytes)]);
    with_files(&files, |dir| images(bytes, &Cifar10Config { path: text(dir), n: 0, test: 1 }));
}

/// A picture of any format: its header, and its pixels as a clean image and as an observation.
pub fn pictures(bytes: &[u8]) {
    let (channels, height, width) = (3, 5, 7);
    with_files(&[("a.png", bytes)], |dir| {
        let path = text(dir);
        let (crop, background, test) = (None, 255, 0);
        let clean = ImagesConfig {
            path: path.clone(),
            channels,
            height,
            width,
            crop,
            background,
            skip_broken: false,
            n: 0,
            test,
        };
        images(bytes, &clean);
        let masked = |resize| MaskedImagesConfig {
            path: path.clone(),
            channels,
            height,
            width,
            resize,
            skip_broken: false,
            n: 0,
        };
        images(bytes, &masked(false));
        images(bytes, &masked(true));
    });
}

/// A Parquet file of images.
#[cfg(feature = "parquet")]
pub fn parquet(bytes: &[u8]) {
    with_files(&[("train-0.parquet", bytes), ("test-0.parquet", bytes)], |dir| {
        images(bytes, &Cifar10Config { path: text(dir), n: 0, test: 1 });
    });
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The configuration of the run whose files are among the seeds, and the tensors of its network.
static RUN: LazyLock<(Config, Layout)> = LazyLock::new(|| {
    let config = config::parse(include_str!("run.toml"), "run.toml", &[]).expect("a valid configuration");
    let channel = Arc::new(config.build_channel().expect("a valid channel"));
    let network = config.model(channel).build_network(0, &Device::flex()).expect("a valid network");
    let layout = Layout::of(&network);
    (config, layout)
});

/// A file of a run: weights, frame, state or start by its content, and a history of metrics.
pub fn checkpoint(bytes: &[u8]) {
    let (config, layout) = &*RUN;
    let d = config.signal_len();
    check(bytes, checkpoint::decode_weights::<serde_json::Value>(layout, bytes));
    check(bytes, checkpoint::decode_standardizer(bytes, d));
    check(bytes, diffem::em::decode_start(bytes, d));
    with_files(&[("a", bytes)], |dir| {
        let path: PathBuf = dir.join("a");
        check(bytes, read_state(&path, config, layout.len(), &Device::flex()));
        check(bytes, metrics::read(&path));
    });
}

/// A bundle, as the browser's module opens it.
pub fn bundle(bytes: &[u8]) {
    if let Some(bundle) = check(bytes, Bundle::<diffem::network::NetworkConfig>::open(bytes, &Device::flex())) {
        assert!(bundle.posterior.model().channel.signal_len() > 0);
    }
}

/// A configuration file.
pub fn configuration(bytes: &[u8]) {
    with_files(&[("a.toml", bytes)], |dir| {
        if let Some(config) = check(bytes, config::load(dir.join("a.toml"), &[])) {
            let text = config.to_toml().expect("a configuration that can be written");
            assert_eq!(config::parse(&text, "a.toml", &[]).expect("a configuration that can be read"), config);
        }
    });
}

/// Settings of the command line, one a line, and the same text as a channel.
pub fn setting(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let settings: Vec<String> = text.lines().map(String::from).collect();
    check(bytes, config::parse(include_str!("run.toml"), "run.toml", &settings));
    check(bytes, config::stages::stages(text));
}

#[cfg(test)]
mod tests;
