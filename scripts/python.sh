#!/usr/bin/env bash
# Runs the test groups that need more than Node: python (in an environment of their own) and shared.
# The environment lies outside the checkout (TENON_PYTHON_HOME, by default ~/.cache/tenon/python), because its packages
# are gigabytes: checkouts share it, and a changed test/python/requirements.txt only adds to it.
set -euo pipefail
cd "$(dirname "$0")/.."

environment="${TENON_PYTHON_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tenon/python}"
stamp="$(python3 --version) $(sha256sum test/python/requirements.txt | cut -d ' ' -f 1)"
mkdir -p "$environment"
(
  flock 9
  grep -qxF "$stamp" "$environment/stamp" 2>/dev/null && exit 0
  if ! grep -q "^$(python3 --version) " "$environment/stamp" 2>/dev/null; then python3 -m venv --clear "$environment"; fi
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r test/python/requirements.txt
  echo "$stamp" >>"$environment/stamp"
) 9>"$environment.lock"
export TENON_PYTHON="$environment/bin/python"

status=0
for group in python shared; do
  node build/scripts/test.js --group "$group" "$@" || status=1
done
exit "$status"
