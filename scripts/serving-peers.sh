#!/usr/bin/env bash
# Sets up the servers that bench/serving.ts compares with, each in an environment of its own below
# ~/.cache/tenon/peers. What is there already stays as it is.
set -euo pipefail
home="${XDG_CACHE_HOME:-$HOME/.cache}/tenon/peers"
mkdir -p "$home"

# Name of the environment, then its packages.
environment() {
  [ -e "$home/$1/ready" ] && return
  python3 -m venv "$home/$1"
  "$home/$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
  touch "$home/$1/ready"
}

environment mosec mosec onnxruntime numpy
environment litserve litserve onnxruntime numpy
environment bentoml bentoml onnxruntime numpy
# Its workers need an event loop that later versions of uvloop do not make by themselves.
environment mlserver mlserver uvloop==0.21.0 onnxruntime numpy
if [ ! -e "$home/triton/ready" ]; then
  python3 -m venv "$home/triton"
  # Its server needs none of what the package itself depends on.
  "$home/triton/bin/pip" install --quiet --disable-pip-version-check --no-deps nvidia-pytriton==0.7.0
  "$home/triton/bin/pip" install --quiet --disable-pip-version-check onnxruntime numpy==1.26.4
  touch "$home/triton/ready"
fi
