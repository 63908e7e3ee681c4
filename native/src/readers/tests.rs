//! The properties of the fuzz targets for toolchains without a fuzzer: the files that fuzzing begins with, damaged at random.
//! More cases with `PROPTEST_CASES=1000000`, other ones with `PROPTEST_RNG_SEED=1`.

use super::READERS;
use crate::data::damage::damage;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use std::path::Path;
use std::sync::LazyLock;

/// The files of `native/fuzz/seeds` for each reader, in the order of [`READERS`] and of their names; none in a package.
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let of = |name: &str| {
        let Ok(entries) = std::fs::read_dir(folder.join(name)) else { return Vec::new() };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    };
    READERS.iter().map(|(name, _)| of(name)).collect()
});

/// The cases are the same in every run, so that a failure is that of a change.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0);
    }
    config
}

#[test]
fn every_reader_has_seeds() {
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").is_dir() {
        assert!(SEEDS.iter().all(|seeds| !seeds.is_empty()));
    }
    for ((_, read), seeds) in READERS.iter().zip(&*SEEDS) {
        seeds.iter().for_each(|bytes| read(bytes));
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_seeds_of_every_reader_never_panic(which in any::<Index>(), damage in damage()) {
        for ((_, read), seeds) in READERS.iter().zip(&*SEEDS).filter(|(_, seeds)| !seeds.is_empty()) {
            read(&damage.done_to(&seeds[which.index(seeds.len())]));
        }
    }
}
