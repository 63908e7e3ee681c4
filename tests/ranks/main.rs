//! A run has the same bits on every number of ranks, which stop, resume and fail together.

mod threads;

use burn::tensor::Device;
use diffem::channel::{ChannelConfig, Compose, MaskConfig, NoiseConfig, ProjectionConfig};
use diffem::em::{EStepConfig, Event, InitConfig, MStepConfig, State, Trainer, encode_state};
use diffem::image::ImageShape;
use diffem::method::Diffem;
use diffem::network::{MlpConfig, NetworkConfig, UnetConfig};
use diffem::noise::{Key, Purpose};
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::{Em, Error, Observations, Ranks, Samples, Store};
use std::ops::ControlFlow;
use std::sync::Arc;
use threads::on_ranks;

fn signals(n: usize, d: usize) -> Samples {
    let key = Key::new(1, Purpose::Truth, 0);
    Samples::filled(n, d, |x| {
        (0..n).for_each(|i| key.stream(i, 0).fill_normal(x.row_mut(i)));
        Ok(())
    })
    .unwrap()
}

/// Five micro-batches, seven shards, over-relaxed E-steps, clipped gradients and an average of the weights.
fn vectors() -> Em {
    let stages = ChannelConfig::from([ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1.into() }.into()]);
    let channel = stages.build(3).unwrap();
    let observations = Observations::observe(&channel, &signals(203, 3), 0);
    let m_step = MStepConfig { steps: 30, batch: 72, micro_batch: 16, clip_norm: 0.5, ema: 0.9, ..Default::default() };
    Em::new(channel, observations)
        .network(NetworkConfig::Mlp(MlpConfig { width: 16, depth: 2, embedding: 8 }))
        .method(Diffem { imputed_weight: 0.1, relaxation: 2.0 })
        .m_step(m_step)
        .e_step(EStepConfig { sampler: DdpmConfig { steps: 6, spacing: Spacing::Geometric }.into(), shard: 32 })
        .laps(3)
        .seed(7)
}

/// A small U-Net with dropout on masked images.
fn images() -> Em {
    let shape = ImageShape { channels: 1, height: 8, width: 8 };
    let stages = ChannelConfig::from([NoiseConfig { std: 0.05.into() }.into(), MaskConfig { rate: 0.5 }.into()]);
    let channel: Compose = stages.build(64).unwrap();
    let observations = Observations::observe(&channel, &signals(40, 64), 0);
    let unet = UnetConfig {
        channels: vec![8, 16],
        blocks: vec![1, 1],
        heads: vec![0, 2],
        embedding: 8,
        dropout: 0.1,
        ..Default::default()
    };
    Em::new(channel, observations)
        .image(shape)
        .network(NetworkConfig::Unet(unet))
        .m_step(MStepConfig { steps: 4, batch: 16, micro_batch: 4, flip: true, ..Default::default() })
        .e_step(EStepConfig { sampler: DdpmConfig { steps: 3, spacing: Spacing::Geometric }.into(), shard: 8 })
        .laps(2)
}

fn trainer(em: Em, ranks: Arc<dyn Ranks>) -> Trainer {
    em.ranks(ranks).trainer(&Device::flex()).unwrap()
}

/// A state from the Gaussian prior of the observations.
fn begin(trainer: &Trainer) -> State {
    let prior = trainer.fit_prior(&InitConfig::default()).unwrap().unwrap();
    let x = prior.reconstruct(trainer.model().channel.as_ref(), trainer.observations(), 7).unwrap();
    trainer.begin_fitted(x).unwrap()
}

fn bits(state: &State) -> Vec<u8> {
    let tables = [&state.x, &state.partial].into_iter().flat_map(|x| x.as_slice()).flat_map(|v| v.to_le_bytes());
    encode_state(state, &()).unwrap().into_iter().chain(tables).collect()
}

fn go_on(_: Event<'_>, _: &State) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn finished(em: &Em, count: usize) -> Vec<Vec<u8>> {
    on_ranks(count, |ranks| {
        let trainer = trainer(em.clone(), ranks);
        let mut state = begin(&trainer);
        trainer.run(&mut state, &mut go_on).unwrap();
        bits(&state)
    })
}

#[test]
fn every_number_of_ranks_gives_the_bits_of_one_process() {
    for em in [vectors(), images()] {
        let alone = finished(&em, 1);
        // With 8 ranks some have no micro-batch or no shard.
        for count in [2, 3, 4, 8] {
            assert!(finished(&em, count).iter().all(|state| *state == alone[0]), "{count} ranks");
        }
    }
}

#[test]
fn ranks_stop_together_and_resume_in_any_number() {
    let (em, mut stops) = (vectors(), 0);
    let expected = finished(&em, 1);
    let begun = begin(&trainer(em.clone(), Arc::new(diffem::ranks::Alone)));
    let mut state = begun;
    for count in [2, 4, 1, 3].into_iter().cycle() {
        let states = on_ranks(count, |ranks| {
            let (mut state, last, mut events) = (state.clone(), ranks.rank() + 1 == ranks.count(), 0);
            // Only the last rank asks to stop, at its second event.
            let observer = &mut |_: Event<'_>, _: &State| {
                events += 1;
                if last && events == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let outcome = trainer(em.clone(), ranks).run(&mut state, observer);
            assert!(outcome.is_ok() || outcome == Err(Error::Stopped));
            (outcome.is_ok(), state)
        });
        assert!(states.iter().all(|(done, other)| *done == states[0].0 && bits(other) == bits(&states[0].1)));
        // What the state keeps of an E-step is lost with the store, which is in memory, and made again.
        state = states[0].1.clone();
        if states[0].0 {
            break;
        }
        stops += 1;
    }
    assert!(stops > 3 && bits(&state) == expected[0], "{stops} stops");
}

#[test]
fn ranks_that_stand_elsewhere_are_refused() {
    let outcomes = on_ranks(2, |ranks| {
        let (second, trainer) = (ranks.rank() == 1, trainer(vectors(), ranks));
        let mut state = begin(&trainer);
        state.step = if second { 25 } else { 0 };
        trainer.run(&mut state, &mut go_on).unwrap_err().to_string()
    });
    assert!(outcomes[0].contains("rank 1 cannot go on"), "{}", outcomes[0]);
    assert!(outcomes[1].contains("rank 1 read a state at lap 1, step 25") && outcomes[1].contains("all ranks share"));
}

/// A store without room.
struct Full;

impl Store for Full {
    fn reconstructions(&self, _lap: usize, _n: usize, _d: usize) -> diffem::Result<Samples> {
        Err(Error::Storage("no space left".into()))
    }
}

#[test]
fn where_one_rank_has_no_room_all_end() {
    let outcomes = on_ranks(3, |ranks| {
        let em = if ranks.rank() == 2 { vectors().store(Full) } else { vectors() };
        let trainer = trainer(em, ranks);
        let mut state = begin(&trainer);
        trainer.run(&mut state, &mut go_on).unwrap_err().to_string()
    });
    assert_eq!(outcomes[2], "no space left");
    assert!(outcomes[..2].iter().all(|error| error.contains("rank 2 cannot go on")), "{outcomes:?}");
}
