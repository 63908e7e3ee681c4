#!/usr/bin/env bash
# Makes the golden files beside this script with the command line: checkpoints of runs for the browser,
# posterior draws of their observations, reconstructions, and corrupted signals.
#
#   web/test/golden/make.sh [DIFFEM]     DIFFEM is the command, by default `cargo run`
set -euo pipefail
cd "$(dirname "$0")"
if [ $# -gt 0 ]; then
    diffem() { "$command" "$@"; }
    command=$1
else
    diffem() { cargo run --quiet --release -p diffem-cli -- "$@"; }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for name in curve digits waves; do
    run=$work/$name
    diffem train $name.toml --out "$run" --progress quiet
    diffem export "$run" --web --f32 --examples 3 --out $name.safetensors
    cp "$run/observations.safetensors" $name-observations.safetensors
    diffem sample "$run" --draws 3 --seed 7 --out $name-draws.safetensors
    diffem corrupt "$run/truth.safetensors" --config $name.toml --seed 11 --out "$work/corrupted.safetensors"
    python3 first_rows.py "$run/truth.safetensors" "$work/corrupted.safetensors" $name-corrupted.safetensors
done
# Other channels and methods, with small networks; what they call of burn must be in the module (see web/trim.mjs).
noise='{kind="noise",std=0.05}'
mask='channel=[{kind="mask",rate=0.5},'$noise']'
blur='channel=[{kind="blur",sigma=1.0},'$noise']'
down='channel=[{kind="downsample",factor=2},'$noise']'
small=(--set data.n=3 --set network.channels=[4,4] --set network.heads=[0,1] --set network.embedding=4 --set m_step.steps=4 --set m_step.batch=2)
for kind in "blur $blur diffem" "mmps $mask em-mmps" "down $down em-mmps" "ambient $mask ambient"; do
    read -r name channel method <<<"$kind"
    run=$work/$name
    diffem train digits.toml "${small[@]}" --set "$channel" --set "method={kind=\"$method\"}" --out "$run" --progress quiet
    diffem export "$run" --web --f32 --examples 0 --out kind-$name.safetensors
    cp "$run/observations.safetensors" kind-$name-observations.safetensors
    diffem sample "$run" --draws 3 --seed 7 --out kind-$name-draws.safetensors
done
cp "$work/curve/lap-001/reconstructions.safetensors" curve-lap-1.safetensors
cp "$work/curve/metrics.jsonl" "$work/metrics.jsonl"
sed -n 's/.*"event":"lap","lap":1,.*"sinkhorn":\([0-9.e-]*\),"sinkhorn_floor":\([0-9.e-]*\).*/{"divergence":\1,"floor":\2}/p' \
    "$work/metrics.jsonl" >curve-lap-1.json
