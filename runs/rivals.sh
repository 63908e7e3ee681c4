#!/usr/bin/env bash
# EM-MMPS, diffem, and diffem started from EM-MMPS's reconstructions, on the manifold preset: the same observations, M-step
# steps, batch and sampler, three seeds. Table and figures against laps and against seconds.
#   runs/rivals.sh [OUT]      needs `cargo build --release --workspace`; results in OUT/compare.json and OUT/figures
set -euo pipefail
out=${1:-runs/out/rivals}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
# EM-MMPS converges here in single coordinates with the range of the data, not in the preset's standardized directions;
# diffem-range has the same two settings.
"$bin" compare manifold --seeds "${SEEDS:-0,1,2}" --threads "$threads" --progress quiet --out "$out" \
  --contender diffem \
  --contender "em-mmps conditioning.method=em-mmps conditioning.standardize=coordinates conditioning.range=[-2,2]" \
  --contender "warm em.start.kind=reconstructions em.start.path={out}/em-mmps-seed{seed}" \
  --contender "diffem-range conditioning.standardize=coordinates conditioning.range=[-2,2]"
