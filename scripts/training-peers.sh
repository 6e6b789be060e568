#!/usr/bin/env bash
# Sets up what bench/train.ts compares with beside PyTorch, below ~/.cache/tenon/peers/training: candle and burn (built
# by cargo, some minutes), tfjs and jax-js, JAX. What is there already stays as it is.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
home="${XDG_CACHE_HOME:-$HOME/.cache}/tenon/peers/training"
mkdir -p "$home"

if [ ! -e "$home/node_modules/@jax-js/jax" ]; then
  [ -e "$home/package.json" ] || echo '{ "private": true }' >"$home/package.json"
  npm install --prefix "$home" --ignore-scripts --no-audit --no-fund \
    @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 @jax-js/jax@0.1.25
fi
if [ ! -e "$home/jax/ready" ]; then
  python3 -m venv "$home/jax"
  "$home/jax/bin/pip" install --quiet --disable-pip-version-check jax
  touch "$home/jax/ready"
fi
# For the processor at hand, as the others choose their kernels by it.
CARGO_TARGET_DIR="$home/target" RUSTFLAGS="-C target-cpu=native" \
  cargo build --release --manifest-path "$here/bench/peers/train_rust/Cargo.toml"
