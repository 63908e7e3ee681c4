//! The published image presets train their full-size networks on a few images: two training steps and an
//! E-step. Presets that differ from one of these in the share of missing pixels and the length of training alone are left out.

mod common;

use common::{metrics, pictures, succeed};

/// Settings that make a lap short and leave the network unchanged.
const SHORT: [&str; 9] = [
    "em.laps=1",
    "m_step.steps=2",
    "m_step.batch=2",
    "m_step.micro_batch=1",
    "e_step.sampler.steps=2",
    "data.n=3",
    "data.test=1",
    "report.draws=2",
    "m_step.flip=false",
];

fn runs(preset: &str, path: &str, start: &[&str], make: impl Fn(&std::path::Path)) {
    let dir = tempfile::tempdir().expect("a directory");
    make(&dir.path().join(path));
    let path = format!("data.path={path}");
    let settings = SHORT.iter().chain(start).copied().chain([path.as_str()]).flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> =
        ["train", preset, "--out", "run", "--progress", "quiet"].into_iter().chain(settings).collect();
    succeed(dir.path(), &args);
    let lap = metrics(&dir.path().join("run")).pop().expect("a finished lap");
    assert_eq!(lap["lap"], 1);
    assert!(lap["loss"].as_f64().is_some_and(|loss| loss.is_finite() && loss > 0.0), "{lap}");
}

#[test]
#[ignore = "a network of 58 M parameters"]
fn cifar10_presets_train_and_reconstruct() {
    runs("cifar10-mask75", "cifar", &["init.rank=1"], |dir| pictures::cifar10(dir, 2));
    runs("cifar10-blur", "cifar", &[], |dir| pictures::cifar10(dir, 2));
}

#[test]
#[ignore = "a network of 78 M parameters"]
fn celeba_presets_train_and_reconstruct() {
    runs("celeba-mask75", "celeba", &["init.rank=1"], |dir| pictures::faces(dir, 6));
}
