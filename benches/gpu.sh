#!/usr/bin/env bash
# The first minutes on a GPU: what diffem finds, whether it computes there what flex computes, how long its steps take and
# what they ask of the device, beside the same step in PyTorch. Prints one table at the end.
#
#   benches/gpu.sh DEVICE [BINARY]        DEVICE is cuda, cuda:n or wgpu; BINARY a diffem with that backend
#
# Without BINARY it is built (features cuda,wgpu,tuned; burn's build script downloads LLVM). `.ci/cuda` makes a binary elsewhere:
# carry it with libdevice.10.bc and set CUDA_PATH to the folder that has it as nvvm/libdevice/libdevice.10.bc.
# Settings: OUT (a folder, default runs/out/gpu), CIFAR (a folder with the CIFAR-10 batches), SECONDS_EACH (at most that many
# seconds for each part, 120).
set -uo pipefail
cd "$(dirname "$0")/.."
device=${1:?"usage: benches/gpu.sh DEVICE [BINARY]"}
binary=${2:-}
out=${OUT:-runs/out/gpu}
each=${SECONDS_EACH:-120}
mkdir -p "$out"
if [ -z "$binary" ]; then
    cargo build --release -p diffem-cli --features cuda,wgpu,tuned || exit 1
    binary=${CARGO_TARGET_DIR:-target}/release/diffem
fi
rows=()

# Runs `part NAME COMMAND...`, keeps its output in OUT/NAME.txt and a row of the table. A part that fails ends nothing.
part() {
    local name=$1 began=$SECONDS code=0
    shift
    echo "== $name: $*"
    timeout "$each" "$@" >"$out/$name.txt" 2>&1 || code=$?
    tail -n 12 "$out/$name.txt"
    local state=done
    [ $code = 0 ] || state="exit code $code"
    [ $code != 124 ] || state="stopped after $each s"
    rows+=("$(printf '%-24s %6d s  %s' "$name" $((SECONDS - began)) "$state")")
}

part devices "$binary" devices
part check-backends "$binary" check-backends
for preset in gaussian manifold; do
    part "train-$preset" "$binary" train "$preset" --device "$device" --out "$out/$preset-$$" --set em.laps=2
done
# Counts, memory and times of the preset at its full size. The first time each kernel is chosen from several, which is kept.
part tune-cifar10 "$binary" train cifar10-mask75 --device "$device" --dry-run
part dry-run-cifar10 "$binary" train cifar10-mask75 --device "$device" --dry-run
part tune-bf16 "$binary" train cifar10-mask75 --device "$device" --dry-run --set network.precision=bf16
part dry-run-bf16 "$binary" train cifar10-mask75 --device "$device" --dry-run --set network.precision=bf16
part dry-run-again "$binary" train cifar10-mask75 --device "$device" --dry-run --set m_step.gradient_checkpointing=true
if [ -n "${CIFAR:-}" ]; then
    part train-cifar10 "$binary" train cifar10-mask75 --device "$device" --out "$out/cifar10-$$" --set "data.path=$CIFAR" \
        --set data.n=2048 --set em.laps=1 --set m_step.steps=100 --set e_step.sampler.steps=32
else
    rows+=("train-cifar10            not run: CIFAR is not set")
fi
if command -v nvidia-smi >/dev/null; then
    part memory nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv
else
    rows+=("memory                   not run: no nvidia-smi")
fi
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    for precision in tf32 bf16; do
        part "pytorch-$precision" python3 benches/peers/unet_gpu_torch.py --precision "$precision"
    done
else
    rows+=("pytorch                  not run: no PyTorch with CUDA")
fi

echo
printf '%s\n' "${rows[@]}"
for run in cifar10 bf16 again; do
    sed -nE "s/^  (step|call|time|memory) /$run: \\1 /p" "$out/dry-run-$run.txt"
done
grep -hE 'quantities agree|not run' "$out/check-backends.txt"
grep -hE '"seconds_per_step"' "$out"/pytorch-*.txt 2>/dev/null
exit 0
