#!/usr/bin/env bash
# The manifold preset against the published recipe at equal M-step steps, batch and network calls, three seeds.
#   runs/manifold.sh [OUT]      needs `cargo build --release --workspace`; results in OUT/*/metrics.jsonl
set -euo pipefail
out=${1:-runs/out/manifold}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
# Published: conditioning on (y, A) as they are, corruption frozen for a lap, linear 1e-3 -> 1e-6, no average, ddpm.
published=(--set conditioning.features=observation --set conditioning.standardise=none
  --set conditioning.measurement_update=false --set m_step.recorruption=every-lap --set m_step.decay=linear
  --set m_step.final_learning_rate=1e-6 --set m_step.ema=0 --set 'e_step.sampler={kind="ddpm",steps=30}')
for seed in ${SEEDS:-0 1 2}; do
  common=(--seed "$seed" --threads "$threads" --progress quiet)
  "$bin" train manifold "${common[@]}" --out "$out/diffem-$seed"
  "$bin" train manifold "${common[@]}" --out "$out/published-once-$seed" "${published[@]}" --set m_step.restart_optimizer=false
  "$bin" train manifold "${common[@]}" --out "$out/published-$seed" "${published[@]}"
done
