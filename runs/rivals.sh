#!/usr/bin/env bash
# Compares EM-MMPS, diffem, and diffem started from the reconstructions of EM-MMPS on the manifold preset, with the same
# observations, M-step steps, batch and sampler, for three seeds; writes a table and figures against laps and seconds.
#   runs/rivals.sh [OUT]      writes OUT/compare.json and OUT/figures
# Needs `cargo build --release --workspace`.
set -euo pipefail
out=${1:-runs/out/rivals}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
# EM-MMPS converges here in single coordinates with the range of the data, but not in the preset's standardized
# directions; diffem-range shows what the same two settings do to diffem.
# What the preset was when these runs were logged.
plain='em.laps=16 m_step.steps=1000 m_step.learning_rate=1e-3 m_step.optimizer=adam'
diffem="$plain method.imputed_weight=1.0 method.relaxation=1.0"
"$bin" compare manifold --seeds "${SEEDS:-0,1,2}" --threads "$threads" --progress quiet --out "$out" \
  --contender "diffem $diffem" \
  --contender "em-mmps $plain method.kind=em-mmps conditioning.standardize=coordinates conditioning.range=[-2,2]" \
  --contender "warm $diffem init.kind=reconstructions init.path={out}/em-mmps-seed{seed}" \
  --contender "diffem-range $diffem conditioning.standardize=coordinates conditioning.range=[-2,2]"
