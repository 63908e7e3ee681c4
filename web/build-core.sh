#!/usr/bin/env bash
# Builds for wasm32-unknown-unknown, with rustup's target where it is installed or rustup can install it. On
# Debian without rustup it uses the distribution's second toolchain, whose standard library for wasm32 is
# built once and kept in the cache folder. Arguments are passed on to cargo. Without arguments it builds the
# browser's CPU module and the check of the noise, whose dependencies have the same features so that they are
# compiled once.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
cache=${XDG_CACHE_HOME:-$HOME/.cache}
packages=(rustc-web cargo-web rust-web-src lld-22)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/diffem-target-wasm}
if [ $# -eq 0 ]; then
    set -- build --profile web --lib -p diffem-web -p diffem-noise-check --no-default-features --features diffem-web/cpu
fi

# The kernels' loops are unrolled to four vectors per iteration, because every iteration loads its constants
# anew. trim.mjs reads type parameters from the names of functions, which only v0 mangling keeps. Panic
# messages name source files without the folders of the build machine.
rustflags() {
    local sources=${CARGO_HOME:-$HOME/.cargo}/registry/src library
    local loops="-C target-feature=+simd128 -C llvm-args=-force-vector-interleave=4" names="-C symbol-mangling-version=v0"
    library=$(rustc --print sysroot)/lib/rustlib/src/rust
    echo "$loops $names --remap-path-prefix=$sources= --remap-path-prefix=$library="
}
RUSTFLAGS=$(rustflags)
export RUSTFLAGS

# Succeeds if the default toolchain has the target, after asking rustup to install it.
has_target() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$target")
    [ -d "$libraries" ] && return
    command -v rustup >/dev/null || return 1
    timeout 120 rustup target add "$target" >/dev/null 2>&1 && [ -d "$libraries" ]
}

install_packages() {
    dpkg-query -W -f '${Status}\n' "${packages[@]}" 2>/dev/null | grep -c ' installed$' | grep -qx "${#packages[@]}" && return
    if [ "$(id -u)" != 0 ]; then
        echo "error: no $target target; run \`rustup target add $target\`, or as root \`apt-get install ${packages[*]}\`" >&2
        return 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

# Compiles std for the target in folder $1.
build_std() {
    mkdir -p "$1/src"
    printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n[profile.release]\npanic = "abort"\n' >"$1/Cargo.toml"
    : >"$1/src/lib.rs"
    # -Z build-std needs a nightly compiler; RUSTC_BOOTSTRAP makes a stable one accept it.
    (cd "$1" && CARGO_TARGET_DIR="$1/target" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo build --release \
        -Z build-std=std,panic_abort --target "$target")
}

# Makes a toolchain folder $1 of the compiled std, where the compiler finds its libraries and the linker by
# --sysroot.
make_sysroot() {
    local host work libraries
    host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
    work=$(mktemp -d)
    build_std "$work"
    libraries="$work/sysroot/lib/rustlib/$target/lib"
    mkdir -p "$libraries" "$work/sysroot/bin" "$work/sysroot/lib/rustlib/$host/bin"
    cp "$work/target/$target/release/deps"/lib*.rlib "$libraries/"
    rm -f "$libraries"/libempty-*.rlib
    ln -s "/usr/lib/rustlib/$host/lib" "$work/sysroot/lib/rustlib/$host/lib"
    ln -s /usr/lib/llvm-22/bin/lld "$work/sysroot/lib/rustlib/$host/bin/rust-lld"
    printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$1" >"$work/sysroot/bin/rustc"
    chmod +x "$work/sysroot/bin/rustc"
    mkdir -p "$(dirname "$1")"
    rm -rf "$1"
    mv "$work/sysroot" "$1"
    rm -rf "$work"
}

if has_target; then
    exec cargo "$@" --target "$target"
fi
install_packages
sysroot="$cache/diffem-wasm-sysroot-$(/usr/bin/rustc --version | cut -d ' ' -f 2)"
if [ ! -x "$sysroot/bin/rustc" ]; then
    make_sysroot "$sysroot"
fi
RUSTC="$sysroot/bin/rustc" exec /usr/bin/cargo "$@" --target "$target"
