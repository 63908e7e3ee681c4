//! The learned posterior is reproducible to the bit, resumable from any event, and correct on Gaussians.

mod rivals;
mod setup;

use diffem::channel::{LinearConfig, NoiseConfig, ProjectionConfig};
use diffem::checkpoint;
use diffem::conditioning::Standardize;
use diffem::em::*;
use diffem::gaussian::Gaussian;
use diffem::method::Diffem;
use diffem::network::{Layout, MlpConfig, flatten, to_host};
use diffem::noise::{Key, Purpose};
use diffem::sampler::{Dpmpp2mSdeConfig, HeunConfig, Spacing};
use diffem::{Em, Error, Samples};
use nalgebra::{DMatrix, DVector};
use setup::{Setup, gaussian_samples};
use std::ops::ControlFlow;

fn bits(state: &State) -> Vec<u8> {
    let tables = [&state.x, &state.partial].into_iter().flat_map(|x| x.as_slice()).flat_map(|v| v.to_le_bytes());
    encode_state(state, &()).unwrap().into_iter().chain(tables).collect()
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn results_do_not_depend_on_threads() {
    for setup in [Setup::tiny, Setup::tiny_with_levers] {
        let one = in_pool(1, || bits(&setup().all_laps()));
        for threads in [2, 5] {
            assert!(one == in_pool(threads, || bits(&setup().all_laps())), "{threads} threads");
        }
    }
}

#[test]
fn e_step_does_not_depend_on_the_shard_size() {
    let mut setup = Setup::tiny();
    let mut draw = |shard| {
        setup.e_step.shard = shard;
        let (posterior, key) = (setup.untrained(), Key::new(7, Purpose::Sample, 3));
        EStep { posterior: &posterior, observations: &setup.observations, key }.all().unwrap()
    };
    let whole = draw(203);
    for shard in [1, 7, 8, 32, 64, 101, 202, 500] {
        assert!(draw(shard) == whole, "shards of {shard}");
    }
}

#[test]
fn every_observation_is_reconstructed() {
    let state = Setup::tiny().all_laps();
    assert_eq!((state.x.n(), state.x.d(), state.history.len()), (203, 3, 3));
}

#[test]
fn a_run_stopped_at_any_event_goes_on_to_the_same_bytes() {
    stopped_and_resumed(&Setup::tiny());
}

#[test]
fn an_over_relaxed_run_stopped_at_any_event_goes_on_to_the_same_bytes() {
    stopped_and_resumed(&Setup::tiny_with_levers());
}

fn stopped_and_resumed(setup: &Setup) {
    let whole = bits(&setup.all_laps());
    let mut events = 0;
    setup
        .run()
        .run(&mut setup.begin(), &mut |_: Event<'_>, _: &State| {
            events += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(events >= 8);
    for stop in 1..events {
        let (mut state, mut seen) = (setup.begin(), 0);
        let outcome = setup.run().run(&mut state, &mut |_: Event<'_>, _: &State| {
            seen += 1;
            if seen == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(outcome, Err(Error::Stopped));
        let parameters = Layout::of(setup.run().network()).len();
        let bytes = encode_state(&state, &()).unwrap();
        let (mut back, ()) = decode_state(&bytes, parameters, 3, &setup.device).unwrap();
        (back.x, back.partial) = (state.x, state.partial);
        state = back;
        setup.run().run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
        assert!(bits(&state) == whole, "stopped at event {stop}");
    }
}

#[test]
fn divergence_is_an_error_that_names_the_step() {
    let mut setup = Setup::tiny();
    let mut state = setup.begin();
    state.x.row_mut(0)[0] = f32::INFINITY;
    setup.monitor.holdout = 0.0;
    setup.m_step.batch = 203;
    let error = setup.run().run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::Diverged { lap: 1, step: 0, .. }), "{error}");
    assert!(error.to_string().contains("m_step.learning_rate"));
}

#[test]
fn patience_stops_after_laps_without_a_better_score() {
    let mut setup = Setup::tiny();
    (setup.em.laps, setup.em.patience) = (50, 2);
    (setup.m_step.steps, setup.m_step.learning_rate) = (2, 0.0);
    let state = setup.all_laps();
    let best = state.best_lap().unwrap();
    assert_eq!(state.lap - 1, best + 2);
    assert!(state.lap < 50);
}

#[test]
fn monitor_prefers_reconstructions_of_the_right_law() {
    let setup = Setup::tiny();
    let em = setup.run();
    let score = |std: f32, seed| {
        let mut x = gaussian_samples(&Gaussian::isotropic(3, 1.0), 203, seed);
        x.as_mut_slice().iter_mut().for_each(|v| *v *= std);
        em.begin(x).unwrap().history[0].monitor.unwrap()
    };
    let right = score(1.0, 50);
    assert!(right.energy_score < score(2.0, 50).energy_score && right.energy_score < score(0.3, 50).energy_score);
    assert!(right.points == 10 && right.energy_floor.abs() < 1.0);
}

/// The start is fitted to the held-out observations too, so its score is not a reference for the laps.
#[test]
fn the_start_is_no_reference_for_the_laps() {
    let mut setup = Setup::tiny();
    // One step at a high learning rate makes a lap that is worse than the start.
    (setup.m_step.steps, setup.m_step.learning_rate) = (1, 0.5);
    let history = setup.all_laps().history;
    let [start, first] = [0, 1].map(|lap| history[lap].monitor.unwrap());
    assert!(first.energy_score > start.energy_score);
    assert_eq!((start.excess, first.excess), (0.0, 0.0));
}

/// Where two laps agree, there is nothing to over-relax.
#[test]
fn over_relaxation_amplifies_the_difference_between_two_laps() {
    let setup = Setup::tiny_with_levers();
    let (em, mut state) = (setup.run(), setup.begin());
    em.train(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
    let draws = |state: &State| em.e_step(&em.e_step_posterior(state), 2).all().unwrap();
    state.fitted = false;
    let plain = draws(&state);
    (state.previous, state.relaxation) = (Some(state.optim.average.clone()), 3.0);
    assert!(draws(&state) == plain);
    let initial = flatten(em.network());
    let moved = |factor: f64| {
        let relaxed = draws(&State { previous: Some(initial.clone()), relaxation: factor, ..state.clone() });
        relaxed.as_slice().iter().zip(plain.as_slice()).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let ratio = moved(1.02) / moved(1.01);
    assert!(moved(1.0) == 0.0 && (ratio - 2.0).abs() < 0.1, "{ratio}");
}

/// A network that returns 0 is the posterior of the start's Gaussian, so lap 1 has nothing to over-relax with it.
#[test]
fn the_first_lap_moves_away_from_the_start() {
    let setup = Setup::tiny_with_levers();
    let (em, mut state) = (setup.run(), setup.begin());
    let draws = |state: &State, relaxed: bool| {
        let posterior = if relaxed { em.e_step_posterior(state) } else { em.posterior(state) };
        em.e_step(&posterior, 1).all().unwrap()
    };
    assert!(state.fitted);
    state.optim.average = state.optim.average.zeros_like();
    assert!(draws(&state, true) == draws(&state, false));
    em.train(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
    assert!(draws(&state, true) != draws(&state, false));
    assert_eq!(setup.all_laps().history[1].relaxation, Some(2.0));
}

#[test]
fn a_worse_lap_is_taken_again_without_over_relaxation() {
    let mut setup = Setup::tiny_with_levers();
    // The factor is far too large for laps that hardly train.
    setup.method = Diffem { imputed_weight: 0.1, relaxation: 4.0 }.into();
    setup.m_step.learning_rate = 0.02;
    let state = setup.all_laps();
    let relaxed: Vec<_> = state.history.iter().filter(|record| record.relaxation.is_some()).collect();
    assert!(relaxed.iter().all(|record| record.monitor.unwrap().excess <= 0.0), "{:?}", state.history);
    assert!(state.relaxation == 1.0 && relaxed.len() < 3, "{:?}", state.history);
}

#[test]
fn over_relaxation_needs_held_out_observations() {
    let setup = Setup::tiny_with_levers();
    let em = Em::shared(setup.channel.clone(), setup.observations.clone()).method(setup.method.clone());
    let error = em.monitor(MonitorConfig { holdout: 0.0, ..Default::default() }).trainer(&setup.device).err().unwrap();
    assert!(error.to_string().starts_with("method.relaxation: 2 needs held-out observations"), "{error}");
}

/// The truth is a fixed point of EM, also where imputed values count less and E-steps are over-relaxed.
#[test]
fn with_all_levers_the_truth_is_a_fixed_point() {
    let truth = DMatrix::from_row_slice(3, 3, &[2.0, 0.5, 0.1, 0.5, 1.0, -0.3, 0.1, -0.3, 0.7]);
    let truth = Gaussian::new(DVector::zeros(3), truth).unwrap();
    let stages = vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.3.into() }.into()];
    let mut setup = Setup::new(&truth, stages, 8192, MlpConfig { width: 32, depth: 2, embedding: 16 });
    setup.method = Diffem { imputed_weight: 0.1, relaxation: 2.0 }.into();
    setup.em.laps = 3;
    setup.m_step = MStepConfig { steps: 400, batch: 512, ema: 0.99, ..Default::default() };
    setup.e_step.sampler = Dpmpp2mSdeConfig { steps: 24, spacing: Spacing::Geometric }.into();
    let x = InitialPrior::Full(truth.clone()).reconstruct(setup.channel.as_ref(), &setup.observations, 7).unwrap();
    let mut state = setup.run().begin(x).unwrap();
    setup.run().run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
    assert!(state.history.iter().any(|record| record.relaxation.is_some()) || state.relaxation == 1.0);
    let rows = state.x.rows().map(|r| DVector::from_iterator(3, r.iter().map(|&v| v as f64)));
    let covariance = rows.map(|r| &r * r.transpose()).sum::<DMatrix<f64>>() / state.x.n() as f64;
    // A variance from 8192 draws has a standard error of 1.6 %, that is .03 here.
    assert!((&covariance - &truth.covariance).amax() < 0.12, "{covariance}");
}

/// A store that keeps nothing cannot resume an E-step: it starts again, and ends with the same bytes.
#[test]
fn a_lost_table_of_an_e_step_is_made_again() {
    let setup = Setup::tiny();
    let whole = setup.all_laps();
    let mut state = setup.begin();
    let outcome = setup.run().run(&mut state, &mut |event: Event<'_>, _: &State| match event {
        Event::EStep { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(outcome, Err(Error::Stopped));
    assert!(state.done > 0);
    state.partial = Samples::default();
    setup.run().run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
    assert!(bits(&state) == bits(&whole));
}

#[test]
fn weights_survive_the_file_and_foreign_files_are_refused() {
    let setup = Setup::tiny();
    let layout = Layout::of(setup.run().network());
    let weights = to_host(&flatten(setup.run().network())).unwrap();
    let bytes = checkpoint::encode_weights(&layout, &weights, &"meta").unwrap_err();
    assert!(bytes.to_string().contains("checkpoint"), "a header must be a map");
    let meta = std::collections::BTreeMap::from([("lap", 3)]);
    let bytes = checkpoint::encode_weights(&layout, &weights, &meta).unwrap();
    assert_eq!(bytes, checkpoint::encode_weights(&layout, &weights, &meta).unwrap());
    let (back, read): (Vec<f32>, serde_json::Value) = checkpoint::decode_weights(&layout, &bytes).unwrap();
    assert_eq!((back, &read["lap"]), (weights, &serde_json::json!(3)));
    let other = Layout::of(&MlpConfig { width: 17, depth: 2, embedding: 8 }.init(3, 8, 1, &setup.device));
    let message = |layout: &Layout, bytes: &[u8]| {
        checkpoint::decode_weights::<serde_json::Value>(layout, bytes).unwrap_err().to_string()
    };
    assert!(message(&other, &bytes).contains("has shape"), "{}", message(&other, &bytes));
    assert!(message(&layout, &bytes[..bytes.len() / 2]).contains("not a whole safetensors file"));
    assert!(message(&layout, b"").contains("not a whole safetensors file"));
    let state = encode_state(&setup.begin(), &()).unwrap();
    assert!(message(&layout, &state).contains("expected a file of weights, found state"));
}

fn variance(x: &Samples) -> f64 {
    x.as_slice().iter().map(|&v| v as f64 * v as f64).sum::<f64>() / x.n() as f64
}

/// Compares laps of the learned posterior with s_k of the exact recursion, for a 1-D Gaussian with s* = n = 1
/// from the prior N(0, 10).
#[test]
fn learned_laps_follow_the_exact_recursion() {
    let network = MlpConfig { width: 64, depth: 2, embedding: 16 };
    let mut setup =
        Setup::new(&Gaussian::isotropic(1, 1.0), vec![NoiseConfig { std: 1.0.into() }.into()], 8192, network);
    setup.em = EmConfig { laps: 2, patience: 0 };
    setup.init = GaussianInit { iterations: 0, std: 10f64.sqrt(), rank: 0 };
    setup.m_step = MStepConfig { steps: 800, batch: 512, ema: 0.99, ..Default::default() };
    setup.e_step.sampler = HeunConfig { steps: 15, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let mut seen = vec![variance(&setup.begin().x)];
    let mut observer = |event: Event<'_>, state: &State| {
        if matches!(event, Event::Lap(_)) {
            seen.push(variance(&state.x));
        }
        ControlFlow::Continue(())
    };
    setup.run().run(&mut setup.begin(), &mut observer).unwrap();
    // Lap k's reconstructions have variance s_k+1. The sampling error of a variance from 8192 draws is 1.6 %;
    // the learned posterior and the sampler's finite sigma_max add a few percent more.
    for (k, (found, exact)) in seen.iter().zip([2.56198, 1.75392, 1.44812]).enumerate() {
        assert!((found / exact - 1.0).abs() < 0.10, "lap {k}: {found}, exact {exact}");
    }
}

/// The directions that one fixed operator does not observe stay where the start put them, also with a learned
/// posterior.
#[test]
fn learned_laps_do_not_invent_unseen_directions() {
    let stages = vec![LinearConfig { matrix: vec![vec![1.0, 0.0]] }.into(), NoiseConfig { std: 0.2.into() }.into()];
    let law =
        Gaussian::new(DVector::zeros(2), DMatrix::from_diagonal(&DVector::from_column_slice(&[0.5, 0.05]))).unwrap();
    let mut setup = Setup::new(&law, stages, 4096, MlpConfig { width: 64, depth: 2, embedding: 16 });
    setup.em = EmConfig { laps: 1, patience: 0 };
    setup.init = GaussianInit { iterations: 0, std: 1.5, rank: 0 };
    setup.m_step = MStepConfig { steps: 600, batch: 512, ema: 0.99, ..Default::default() };
    setup.e_step.sampler = HeunConfig { steps: 15, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let state = setup.all_laps();
    let column = |j: usize| state.x.rows().map(|r| (r[j] as f64).powi(2)).sum::<f64>() / state.x.n() as f64;
    // The unobserved direction keeps the prior's 2.25, not the truth's 0.05; the observed one is near the
    // truth's 0.5.
    assert!((column(1) / 2.25 - 1.0).abs() < 0.15, "{}", column(1));
    assert!((column(0) / 0.5 - 1.0).abs() < 0.25, "{}", column(0));
}

/// In 5-D with random projections, the KL divergence of the fitted distribution from the truth falls with
/// every lap and stays near that of exact EM.
#[test]
#[ignore = "slow: about a minute; run with --include-ignored"]
fn learned_laps_approach_a_correlated_gaussian() {
    let entry = |i: usize, j: usize| if i == j { 1.0 } else { 0.5 };
    let law = Gaussian::new(DVector::zeros(5), DMatrix::from_fn(5, 5, entry)).unwrap();
    let stages = vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.3.into() }.into()];
    let mut setup = Setup::new(&law, stages, 8192, MlpConfig { width: 128, depth: 3, embedding: 32 });
    setup.em = EmConfig { laps: 5, patience: 0 };
    setup.init = GaussianInit { iterations: 0, std: 2.0, rank: 0 };
    setup.m_step = MStepConfig { steps: 1200, batch: 512, ema: 0.99, ..Default::default() };
    setup.e_step.sampler = HeunConfig { steps: 15, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let moments = |x: &Samples| {
        let row = |r: &[f32]| DVector::from_iterator(5, r.iter().map(|&v| v as f64));
        let mean = x.rows().map(row).sum::<DVector<f64>>() / x.n() as f64;
        let covariance =
            x.rows().map(|r| (row(r) - &mean) * (row(r) - &mean).transpose()).sum::<DMatrix<f64>>() / x.n() as f64;
        Gaussian::new(mean, covariance).unwrap()
    };
    let mut kl = vec![law.kl(&moments(&setup.begin().x)).unwrap()];
    let mut observer = |event: Event<'_>, state: &State| {
        if matches!(event, Event::Lap(_)) {
            kl.push(law.kl(&moments(&state.x)).unwrap());
        }
        ControlFlow::Continue(())
    };
    setup.run().run(&mut setup.begin(), &mut observer).unwrap();
    let exact = Gaussian::fit(setup.channel.as_ref(), &setup.observations, 2.0, 6).unwrap();
    let exact = law.kl(&exact).unwrap();
    eprintln!("KL to the truth by lap: {kl:?}; exact EM after as many iterations: {exact}");
    assert!(kl.windows(2).all(|w| w[1] < w[0] + 0.02), "{kl:?}");
    // Exact EM goes from 1.80 to .34 here, the learned posterior (1200 steps per lap, 15 steps of heun over
    // eight e-folds of sigma) to .54, which is slower but never goes backwards.
    assert!(kl[5] < 0.35 * kl[0] && kl[5] < exact + 0.3, "{kl:?} against {exact}");
}

/// With a range, no draw leaves it; without one, some do. Means of signals within a range lie within it.
#[test]
fn draws_stay_within_the_range_of_the_signals() {
    let range = [-0.8, 0.9];
    let mut setup = Setup::tiny();
    setup.conditioning.standardize = Standardize::Coordinates;
    let beyond = |state: &State| {
        let outside = |v: &&f32| (**v as f64) < range[0] - 1e-5 || (**v as f64) > range[1] + 1e-5;
        state.x.as_slice().iter().filter(outside).count()
    };
    assert!(beyond(&setup.begin()) > 0 && beyond(&setup.all_laps()) > 0);
    setup.conditioning.range = Some(range);
    assert_eq!((beyond(&setup.begin()), beyond(&setup.all_laps())), (0, 0));
    setup.conditioning.validate(setup.channel.as_ref()).unwrap();
    for (standardize, range) in
        [(Standardize::Directions, range), (Standardize::Scale, [1.0, 1.0]), (Standardize::Scale, [0.0, f64::NAN])]
    {
        (setup.conditioning.standardize, setup.conditioning.range) = (standardize, Some(range));
        let error = setup.conditioning.validate(setup.channel.as_ref()).unwrap_err().to_string();
        assert!(error.contains("conditioning.range"), "{error}");
    }
}
