#!/usr/bin/env bash
# The manifold preset against the published recipe at equal M-step steps, batch and network calls, three seeds; then table and
# figures against laps and against seconds.
#   runs/manifold.sh [OUT]      needs `cargo build --release --workspace`; results in OUT/compare.json and OUT/figures
set -euo pipefail
out=${1:-runs/out/manifold}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
# Published: conditioning on (y, A) as they are, corruption frozen for a lap, linear 1e-3 -> 1e-6, no average, ddpm.
published='conditioning.features=observation conditioning.standardize=none conditioning.measurement_update=false
  m_step.recorruption=every-lap m_step.decay=linear m_step.final_learning_rate=1e-6 m_step.ema=0
  e_step.sampler={kind="ddpm",steps=30}'
"$bin" compare manifold --seeds "${SEEDS:-0,1,2}" --threads "$threads" --progress quiet --out "$out" \
  --contender diffem \
  --contender "published-once $published m_step.restart_optimizer=false" \
  --contender "published $published"
