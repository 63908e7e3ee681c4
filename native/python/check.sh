#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment and tests the command and the module there.
# cargo compiles in CARGO_TARGET_DIR; what the tests' release build has compiled there is used again.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skip() {
    echo "the wheel is not checked: $1"
    exit 0
}
python3 -m venv "$work/build" >/dev/null 2>&1 || skip "python3 with venv is not to be had"
"$work/build/bin/pip" install -q 'maturin>=1.9,<2' numpy safetensors 2>/dev/null || skip "maturin is not to be had"

# maturin builds the command's package alone, whose dependencies have other features than those of the whole workspace
# with its tests: all of burn would be compiled again. This cargo builds the command as the tests do.
mkdir "$work/bin"
cat >"$work/bin/cargo" <<END
#!/bin/sh
case \$1 in
rustc) exec "$(command -v cargo)" build --release --workspace --bin diffem --test backends --message-format json-render-diagnostics ;;
*) exec "$(command -v cargo)" "\$@" ;;
esac
END
chmod +x "$work/bin/cargo"
PATH="$work/bin:$work/build/bin:$PATH" CARGO="$work/bin/cargo" "$work/build/bin/maturin" build --quiet --release --out "$work/wheels"

python3 -m venv "$work/user"
"$work/user/bin/pip" install -q "$work"/wheels/*.whl
export PATH="$work/user/bin:$PATH"
diffem presets
cd "$work"
python3 -m unittest discover -v -s "$OLDPWD/tests/python"
