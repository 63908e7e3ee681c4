#!/usr/bin/env bash
# Fashion-MNIST with three quarters of the pixels missing: diffem, Ambient Diffusion, EM-MMPS, diffem started from EM-MMPS's
# reconstructions, and the bound, the same network trained on the truth for as many steps; a set and a number of laps that two
# cores manage in an hour. Three laps of EM-MMPS take 1.6 times the forward passes of four of diffem. Per lap the PSNR of the
# reconstructions' missing pixels; at the end the posteriors of 512 unseen images.
#   runs/fashion.sh [OUT]      needs `cargo build --release --workspace` and Fashion-MNIST (apt-get install dataset-fashion-mnist)
set -euo pipefail
out=${1:-runs/out/fashion}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
"$bin" compare fashion-mask75 --seeds "${SEEDS:-0}" --threads "$threads" --progress quiet --out "$out" --draws 2 \
  --set data.n=2048 --set em.laps=4 --set m_step.steps=600 --set 'conditioning.range=[-2,2]' \
  --contender diffem \
  --contender "ambient conditioning.method=ambient" \
  --contender "clean em.start.kind=reconstructions em.start.path={out}/diffem-seed{seed}/truth.safetensors em.laps=1 m_step.steps=2400" \
  --contender "em-mmps conditioning.method=em-mmps em.laps=3" \
  --contender "warm em.start.kind=reconstructions em.start.path={out}/em-mmps-seed{seed}"
