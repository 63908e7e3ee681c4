//! Sizes of the pieces that a GPU works on, chosen from its free memory. Those of presets suit processors, whose caches hold
//! a few rows; a GPU stands idle between so small pieces, and takes as many rows at once as its memory has room for.

use crate::config::Config;
use crate::device::Adapter;
use crate::ranks::world;
use anyhow::Result;
use burn::tensor::Device;
use diffem::em::MStepConfig;
use diffem::network::Cost;
use std::sync::Arc;

/// Share of the free memory that is planned with. The rest is for kernels and for what the allocator keeps.
const SHARE: f64 = 0.5;
/// Bytes per value that a network keeps for its backward pass: four, times what a device takes beyond the estimate. The
/// tests of the core's backends hold this against what wgpu reserves.
const BYTES: u64 = 4 * diffem::network::RESERVE;
/// Copies of the parameters that training holds, with gradients, on a device.
const COPIES: u64 = 10;
/// Largest shard. Larger ones keep no GPU busier, and what has been drawn is lost when a run is stopped within one.
const MOST_SHARD: usize = 1024;

/// Rows that a GPU takes at once.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    micro_batch: usize,
    shard: usize,
}

impl Sizes {
    /// The largest sizes for `free` bytes and a network of this cost, with at least `pieces` micro-batches in a batch;
    /// `None` where not even one row fits.
    fn fitting(free: u64, cost: &Cost, m_step: &MStepConfig, pieces: usize) -> Option<Self> {
        let room = ((free as f64 * SHARE) as u64).checked_sub(COPIES * 4 * cost.parameters)?;
        let kept = cost.kept_by(m_step.gradient_checkpointing).max(1);
        let (rows, batch) = (usize::try_from(room / (BYTES * kept)).unwrap_or(usize::MAX), m_step.batch);
        // Equal pieces, so that the last one is no smaller than the others.
        let pieces = batch.div_ceil(rows.clamp(1, batch)).max(pieces);
        (rows > 0).then(|| Self { micro_batch: batch.div_ceil(pieces), shard: rows.min(MOST_SHARD) })
    }
}

/// `config` with the sizes that suit `device`, where it is a GPU that tells its free memory, except those that are among
/// the `given` settings of the command line.
pub fn suit(mut config: Config, device: &Device, given: &[String]) -> Result<Config> {
    let Some(free) = Adapter::of(device).filter(|adapter| adapter.hardware).and_then(|adapter| adapter.free) else {
        return Ok(config);
    };
    let shape = config.model(Arc::new(config.build_channel()?)).shape();
    let cost = config.network.cost(shape.signal, shape.image, shape.features)?;
    if let Some(sizes) = Sizes::fitting(free, &cost, &config.m_step, world().count()) {
        keep(&mut config, sizes, given);
    }
    Ok(config)
}

/// Writes into `config` the sizes that are not among the `given` settings.
fn keep(config: &mut Config, sizes: Sizes, given: &[String]) {
    let is_given = |table: &str, field: &str| {
        let keys = given.iter().filter_map(|setting| setting.split_once('='));
        keys.map(|(key, _)| key.trim()).any(|key| key == table || key.strip_prefix(table) == Some(field))
    };
    if !is_given("m_step", ".micro_batch") {
        config.m_step.micro_batch = sizes.micro_batch;
    }
    if !is_given("e_step", ".shard") {
        config.e_step.shard = sizes.shard;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million parameters, and a thousand values per row.
    const COST: Cost = Cost { parameters: 1_000_000, flops: 0, kept: 1000, begun: 50, largest: 150 };

    fn m_step(gradient_checkpointing: bool) -> MStepConfig {
        MStepConfig { batch: 256, gradient_checkpointing, ..Default::default() }
    }

    /// Bytes of which training gets room for `rows` rows.
    fn free(rows: u64) -> u64 {
        ((COPIES * 4 * COST.parameters + rows * BYTES * COST.kept) as f64 / SHARE).ceil() as u64
    }

    #[test]
    fn pieces_are_equal_and_as_large_as_fits() {
        let sizes =
            |rows, pieces| Sizes::fitting(free(rows), &COST, &m_step(false), pieces).map(|s| (s.micro_batch, s.shard));
        assert_eq!(sizes(5000, 1), Some((256, MOST_SHARD)));
        assert_eq!(sizes(256, 1), Some((256, 256)));
        assert_eq!(sizes(255, 1), Some((128, 255)));
        assert_eq!(sizes(100, 1), Some((86, 100)));
        assert_eq!(sizes(1, 1), Some((1, 1)));
        assert_eq!(sizes(0, 1), None);
        // Every one of several ranks gets work.
        assert_eq!(sizes(5000, 8), Some((32, MOST_SHARD)));
        assert_eq!(Sizes::fitting(1000, &COST, &m_step(false), 1), None, "the weights alone do not fit");
        // A fifth of the values are kept where layers are computed again.
        assert_eq!(Sizes::fitting(free(20), &COST, &m_step(true), 1).map(|s| s.shard), Some(100));
    }

    #[test]
    fn what_the_command_line_sets_is_kept() {
        let sizes = Sizes { micro_batch: 64, shard: 512 };
        let kept = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            let mut config = crate::config::load("cifar10-mask75", &given).unwrap();
            keep(&mut config, sizes, &given);
            (config.m_step.micro_batch, config.e_step.shard)
        };
        assert_eq!(kept(&["m_step.steps=4"]), (64, 512));
        assert_eq!(kept(&["m_step.micro_batch=4"]), (4, 512));
        assert_eq!(kept(&["e_step.shard = 8", "m_step.batch=32"]), (64, 8));
    }

    #[test]
    fn processors_keep_the_sizes_of_their_presets() {
        let config = crate::config::load("gaussian", &[]).unwrap();
        assert_eq!(suit(config.clone(), &Device::flex(), &[]).unwrap(), config);
    }
}
