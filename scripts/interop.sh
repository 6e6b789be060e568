#!/usr/bin/env bash
# Runs the tests against programs that others built, after setting them up in ~/.cache/tenon/interop: perf_analyzer of
# the Python package tritonclient 2.46.0, with the two libraries that it needs (Debian's libb64-0d, CUDA's runtime); the
# Triton server inside nvidia-pytriton; the SDK of KServe, the parser of prometheus_client, the client of
# OpenAI, and schemathesis.
set -euo pipefail
cd "$(dirname "$0")/.."
home="${XDG_CACHE_HOME:-$HOME/.cache}/tenon/interop"
mkdir -p "$home"

if [ ! -x "$home/perf/bin/perf_analyzer" ]; then
  python3 -m venv "$home/perf"
  "$home/perf/bin/pip" install --quiet --no-deps tritonclient==2.46.0 nvidia-cuda-runtime-cu12==12.4.127
fi
if [ ! -d "$home/b64" ]; then
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && { apt-get download -qq libb64-0d || { apt-get update -qq && apt-get download -qq libb64-0d; }; } && dpkg-deb -x libb64-0d_*.deb "$home/b64")
fi

if [ ! -e "$home/triton/ready" ]; then
  python3 -m venv "$home/triton"
  "$home/triton/bin/pip" install --quiet --no-deps nvidia-pytriton==0.7.0 numpy==1.26.4
  touch "$home/triton/ready"
fi
clients="kserve==0.21.0 prometheus-client==0.21.1 openai==3.57.0 schemathesis==4.32.5"
if [ "$(cat "$home/clients/ready" 2>/dev/null)" != "$clients" ]; then
  python3 -m venv "$home/clients"
  # Several packages in one variable.
  # shellcheck disable=SC2086
  "$home/clients/bin/pip" install --quiet $clients
  echo "$clients" >"$home/clients/ready"
fi

export TENON_INTEROP="$home"
exec node build/scripts/test.js --group interop "$@"
