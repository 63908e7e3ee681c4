#!/usr/bin/env bash
# Trains an image experiment of runs/README.md and scores it lap by lap: PSNR, SSIM and fit of unseen images, and feature
# distances with their floors. Each experiment takes about half an hour on two cores.
#   runs/images.sh NAME [OUT]
# NAME is fashion-mask75, fashion-blur, or emoji-mask75; the latter needs DATA=DIR, a folder of Noto emoji as PNG files.
# Needs `cargo build --release --workspace` and Fashion-MNIST (apt-get install dataset-fashion-mnist). The feature
# distances also need the file that `diffem fetch-weights efficientnet-lite0` names, in the folder DIFFEM_WEIGHTS.
set -euo pipefail
name=$1; out=${2:-runs/out/$name}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
# The presets as they were when these runs were logged; leave them out for what they are now.
settings=(--set method.imputed_weight=1.0 --set 'e_step.sampler={kind="ddpm",steps=24,spacing="edm"}')
draws=8 points=300
if [ "$name" = emoji-mask75 ]; then
  settings+=(--set "data.path=${DATA:?a folder of PNG files}" --set data.n=2048 --set em.laps=4 --set m_step.steps=500)
  draws=4 points=200
fi
features=()
[ -z "${DIFFEM_WEIGHTS:-}" ] || features=(--features efficientnet-lite0 --points "$points")
"$bin" train "$name" --seed "${SEED:-0}" --threads "$threads" "${settings[@]}" --out "$out"
"$bin" evaluate "$out" --threads "$threads" --laps all --draws "$draws" "${features[@]}"
