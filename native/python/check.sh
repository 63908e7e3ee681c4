#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment and tests the command and the module there.
# cargo compiles in CARGO_TARGET_DIR, with the release profile: what a release build there has compiled is used again.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skip() {
    echo "the wheel is not checked: $1"
    exit 0
}
python3 -m venv "$work/build" >/dev/null 2>&1 || skip "python3 with venv is not to be had"
"$work/build/bin/pip" install -q 'maturin>=1.5,<2' numpy safetensors 2>/dev/null || skip "maturin is not to be had"
"$work/build/bin/pip" wheel -q --no-deps --no-build-isolation --wheel-dir "$work/wheels" .
python3 -m venv "$work/user"
"$work/user/bin/pip" install -q "$work"/wheels/*.whl
export PATH="$work/user/bin:$PATH"
cd "$work"
diffem presets | head -3
python3 -m unittest discover -v -s "$OLDPWD/tests/python"
