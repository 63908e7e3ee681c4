#!/usr/bin/env bash
# Compares the manifold preset with the published recipe at equal M-step steps, batch and network calls, for three seeds,
# and writes a table and figures against laps and against seconds.
#   runs/manifold.sh [OUT]      writes OUT/compare.json and OUT/figures
# Needs `cargo build --release --workspace`.
set -euo pipefail
out=${1:-runs/out/manifold}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
# The published recipe conditions on (y, A) as they are, freezes the corruption for a lap, decays the learning rate
# linearly from 1e-3 to 1e-6, keeps no average of the weights and samples with ddpm.
# What the preset was when these runs were logged.
plain='em.laps=16 m_step.steps=1000 m_step.learning_rate=1e-3 m_step.optimizer=adam'
published='conditioning.features=observation conditioning.standardize=none conditioning.measurement_update=false
  m_step.recorruption=every-lap m_step.decay=linear m_step.final_learning_rate=1e-6 m_step.ema=0
  e_step.sampler={kind="ddpm",steps=30}'
"$bin" compare manifold --seeds "${SEEDS:-0,1,2}" --threads "$threads" --progress quiet --out "$out" \
  --contender levers \
  --contender "diffem $plain method.imputed_weight=1.0 method.relaxation=1.0" \
  --contender "published-once $plain method.imputed_weight=1.0 method.relaxation=1.0 $published m_step.restart_optimizer=false" \
  --contender "published $plain method.imputed_weight=1.0 method.relaxation=1.0 $published"
