#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment, and tests the command and the module there.
# cargo compiles in CARGO_TARGET_DIR and reuses what the tests' release build has compiled there.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skip() {
    echo "the wheel is not checked: $1"
    exit 0
}
python3 -m venv "$work/build" >/dev/null 2>&1 || skip "python3 with venv is not available"
"$work/build/bin/pip" install -q 'maturin>=1.9,<2' numpy safetensors 2>/dev/null || skip "maturin is not available"

# The figures of notebooks, where the page is built.
rm -rf python/diffem/elements
if [ -d ../web/site/dist/diffem ]; then
    cp -r ../web/site/dist/diffem python/diffem/elements
fi

# maturin builds only the command's package, whose dependencies have other features than in the whole
# workspace with its tests, so all of burn would be compiled again. This cargo wrapper builds the command as
# the tests do.
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
"$work/user/bin/pip" install -q anywidget 2>/dev/null || echo "anywidget is not available: the widget of notebooks is not made"
export PATH="$work/user/bin:$PATH"
diffem presets
cd "$work"
python3 -m unittest discover -v -s "$OLDPWD/tests/python"
