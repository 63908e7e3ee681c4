#!/usr/bin/env bash
# Builds the browser package into web/js/dist, which is two WebAssembly modules (CPU, WebGPU) and the
# JavaScript around them, and prints their sizes. It installs what is missing: the wasm32 target (see
# build-core.sh), the command of wasm-bindgen in the crate's version into the cache folder, and wasm-opt and
# tsc from npm into web/node_modules.
#
#   web/build.sh [--cpu-only | --js-only | --tools-only] [--check]
#
# --cpu-only leaves out the WebGPU module, which takes longest to build. --js-only compiles only the JavaScript around existing
# modules. --tools-only only installs what a build needs. --check builds modules with the comparison of
# backends for the tests, into web/test/modules.
set -euo pipefail
cd "$(dirname "$0")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/diffem-target-wasm}
dist=js/dist
modules=(cpu gpu)
check=
for flag in "$@"; do
    case $flag in
    --cpu-only) modules=(cpu) ;;
    --js-only) modules=() ;;
    --tools-only) modules=(tools) ;;
    --check) check=1 dist=test/modules ;;
    *) echo "error: $flag: expected --cpu-only, --js-only, --tools-only or --check" >&2 && exit 2 ;;
    esac
done

# Prints the path of wasm-bindgen's command, which must have the version of the crate in Cargo.lock.
bindgen() {
    local version root
    version=$(grep -A1 '^name = "wasm-bindgen"$' ../Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
    root=$cache/diffem-wasm-bindgen-$version
    if [ ! -x "$root/bin/wasm-bindgen" ]; then
        local install=(cargo install --quiet --root "$root" --version "$version" wasm-bindgen-cli)
        # A registry mirror may lack a version in the command's own lock file.
        CARGO_TARGET_DIR=$CARGO_TARGET_DIR/bindgen "${install[@]}" --locked >&2 ||
            CARGO_TARGET_DIR=$CARGO_TARGET_DIR/bindgen "${install[@]}" >&2
    fi
    echo "$root/bin/wasm-bindgen"
}

# Runs no optimizing passes of wasm-opt, which take minutes: their result is a tenth smaller but, once
# compressed for download, a twentieth larger, at the same speed. Only functions with the same code are kept once; where trim.mjs has
# removed the bodies there are hundreds.
shrink() {
    local features=(simd bulk-memory nontrapping-float-to-int sign-ext mutable-globals reference-types multivalue)
    node_modules/.bin/wasm-opt "$1" "${features[@]/#/--enable-}" --remove-unused-module-elements --duplicate-function-elimination \
        --remove-unused-module-elements --strip-debug --output "$1"
}

# Builds one module. Arguments: module, cargo profile.
build_module() {
    local module=$1 profile=$2 out=$dist/$1
    ./build-core.sh build --profile "$profile" -p diffem-web --lib \
        --no-default-features --features "$module${check:+,check}"
    rm -rf "$out"
    "$(bindgen)" --target web --out-dir "$out" --out-name "diffem_$module" \
        "$CARGO_TARGET_DIR/wasm32-unknown-unknown/$profile/diffem_web.wasm"
    [ "$module" = gpu ] || node trim.mjs "$out/diffem_cpu_bg.wasm"
    shrink "$out/diffem_${module}_bg.wasm"
}

# Writes a replacement for the WebGPU module that reports that it is missing.
leave_out_gpu() {
    mkdir -p $dist/gpu
    echo "export default async () => { throw new Error('WebGPU: this package was built without its module') }" >$dist/gpu/diffem_gpu.js
    echo 'export default function init(): Promise<never>' >$dist/gpu/diffem_gpu.d.ts
}

print_sizes() {
    node -e '
        const { gzipSync, brotliCompressSync } = require("node:zlib")
        for (const file of process.argv.slice(1)) {
            const bytes = require("node:fs").readFileSync(file)
            const kB = (n) => `${(n / 1000).toFixed(0)} kB`
            console.log(`${file}: ${kB(bytes.length)} raw, ${kB(gzipSync(bytes, { level: 9 }).length)} gzip, ` +
                `${kB(brotliCompressSync(bytes).length)} brotli`)
        }' "$@"
}

[ -d node_modules ] || npm ci --no-audit --no-fund --silent
if [ "${modules[*]}" = tools ]; then
    bindgen >/dev/null
    exit
fi
# The modules are built side by side because linking uses one core only. What both need is fetched first.
if [ ${#modules[@]} -gt 0 ]; then
    bindgen >/dev/null
    ./build-core.sh fetch --quiet
fi
building=()
for module in "${modules[@]}"; do
    case $module in
    cpu) build_module cpu web & ;;
    gpu) build_module gpu web-small & ;;
    esac
    building+=($!)
done
for one in "${building[@]}"; do wait "$one"; done
if [ -n "$check" ]; then
    print_sizes $dist/*/*.wasm
    exit
fi
[ -f $dist/gpu/diffem_gpu_bg.wasm ] || leave_out_gpu
node_modules/.bin/tsc -p js
print_sizes $dist/*/*.wasm $dist/*.js $dist/*/*.js
