#!/usr/bin/env bash
# Scores every sampler at several numbers of network calls, on the trained manifold model of one run.
#   runs/samplers.sh RUN [OUT]   prints sampler, network calls and Sinkhorn divergence
# The variable OBSERVATIONS sets the number of points. Needs `cargo build --release --workspace` and, for python3, numpy
# and safetensors.
set -euo pipefail
run=$1; out=${2:-runs/out/samplers}; bin=${DIFFEM:-target/release/diffem}; n=${OBSERVATIONS:-4096}
mkdir -p "$out"
python3 - "$run" "$out/observations.npz" "$n" <<'P'
import sys, numpy as np
from safetensors.numpy import load_file
t = load_file(f"{sys.argv[1]}/observations.safetensors")
np.savez(sys.argv[2], **{k: v[: int(sys.argv[3])] for k, v in t.items()})
P
score() { # arguments: name, calls, sampler
  "$bin" sample "$run" --observations "$out/observations.npz" --seed "${SEED:-0}" --out "$out/draws.safetensors" --set "e_step.sampler=$3" >/dev/null
  echo "$1 $2 $("$bin" evaluate "$run" --samples "$out/draws.safetensors" --points "$n" | tail -1 | awk '{print $2}')"
}
for calls in ${CALLS:-9 17 31 65 129}; do
  one=$((calls - 1)); two=$(((calls - 1) / 2))
  for spacing in geometric edm; do
    score "ddpm/$spacing" "$calls" "{kind=\"ddpm\",steps=$one,spacing=\"$spacing\"}"
    score "ddim/$spacing" "$calls" "{kind=\"ddim\",steps=$one,spacing=\"$spacing\"}"
    score "heun/$spacing" "$calls" "{kind=\"heun\",steps=$two,spacing=\"$spacing\"}"
    score "dpmpp2m/$spacing" "$calls" "{kind=\"dpmpp2m\",steps=$one,spacing=\"$spacing\"}"
    score "dpmpp2m-sde/$spacing" "$calls" "{kind=\"dpmpp2m-sde\",steps=$one,spacing=\"$spacing\"}"
    score "pc/$spacing" "$calls" "{kind=\"pc\",steps=$two,spacing=\"$spacing\"}"
  done
done
[ -n "${SKIP_REFERENCE:-}" ] || score "ddpm/geometric" 4097 '{kind="ddpm",steps=4096}'
