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

# Names may be of one group alone.
holds() {
  local group="$1"
  shift
  [ $# -eq 0 ] || find "build/test/$group" -name '*.test.js' | grep -qF "$(printf '%s\n' "$@")"
}

groups=()
for group in python shared; do
  if holds "$group" "$@"; then groups+=("$group"); fi
done
for group in "${groups[@]:?no test has such a name}"; do
  if node build/scripts/test.js --group "$group" "$@"; then :; else failed=1; fi
done
exit "${failed:-0}"
