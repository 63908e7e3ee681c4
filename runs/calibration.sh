#!/usr/bin/env bash
# Tests the calibration of the posteriors of three presets, and of a sampler with too few steps, which the test must
# catch: coverage, ranks and spread against skill, for clean signals and for the runs' own reconstructions.
#   runs/calibration.sh [OUT]      takes about half an hour on two cores
# Needs `cargo build --release --workspace`.
set -euo pipefail
out=${1:-runs/out/calibration}; bin=${DIFFEM:-target/release/diffem}; threads=${THREADS:-2}
mkdir -p "$out"
train() { # arguments: name, then preset and settings
  "$bin" train "${@:2}" --threads "$threads" --progress quiet --out "$out/$1"
}
calibrate() { # arguments: name, then settings
  echo "== $1 ${*:2}"
  "$bin" calibrate "$out/$1" --threads "$threads" "${@:2}"
}
train gaussian gaussian --set em.laps=1 --set init.iterations=32
calibrate gaussian
calibrate gaussian --set 'e_step.sampler={kind="ddpm",steps=12}'
# The presets as they were when these runs were logged.
plain=(--set method.imputed_weight=1.0 --set method.relaxation=1.0)
train manifold manifold --set em.laps=16 --set m_step.steps=1000 --set m_step.learning_rate=1e-3 \
  --set m_step.optimizer=adam "${plain[@]}"
calibrate manifold
train digits digits --set 'network={kind="mlp",width=384}' --set m_step.batch=512 --set m_step.micro_batch=256 --set em.laps=8 --set monitor.holdout=0.0 "${plain[@]}" \
  --set 'e_step.sampler={kind="ddpm",steps=30}'
calibrate digits --signals 360
