#!/usr/bin/env bash
# Compares five contenders on Fashion-MNIST with three quarters of the pixels missing: diffem, Ambient Diffusion, EM-MMPS,
# diffem started from the reconstructions of EM-MMPS, and the bound (the same network trained on the truth for as many
# steps). EM-MMPS takes three laps where diffem takes four, for 1.6 times the forward passes. The script reports the
# PSNR of the reconstructions' missing pixels per lap, and at the end the posteriors of 512 unseen images.
#   runs/fashion.sh [OUT] [--set ...]                 takes two hours on two cores, at the preset's size
#   N=2048 LAPS=4 STEPS=600 runs/fashion.sh [OUT]     takes half an hour
# Runs logged before 2026-11-29 had plain weights and another sampler: WEIGHT=method.imputed_weight=1.0 and
# --set 'e_step.sampler={kind="ddpm",steps=24,spacing="edm"}'.
# Runs logged before 2026-11-30 had Adam: --set m_step.optimizer=adam.
# Needs `cargo build --release --workspace` and Fashion-MNIST (apt-get install dataset-fashion-mnist).
set -euo pipefail
out=${1:-runs/out/fashion}; shift || true; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
n=${N:-4096}; weight=${WEIGHT:-}; laps=${LAPS:-8}; steps=${STEPS:-800}
"$bin" compare fashion-mask75 --seeds "${SEEDS:-0}" --threads "$threads" --progress quiet --out "$out" --draws "${DRAWS:-16}" \
  --set "data.n=$n" --set "em.laps=$laps" --set "m_step.steps=$steps" --set 'conditioning.range=[-2,2]' "$@" \
  --contender "diffem $weight" \
  --contender "ambient method.kind=ambient" \
  --contender "clean method.imputed_weight=1.0 init.kind=reconstructions init.path={out}/diffem-seed{seed}/truth.safetensors em.laps=1 m_step.steps=$((laps * steps))" \
  --contender "em-mmps method.kind=em-mmps em.laps=$((laps * 3 / 4))" \
  --contender "warm init.kind=reconstructions init.path={out}/em-mmps-seed{seed} $weight"
