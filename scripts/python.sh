#!/usr/bin/env bash
# Runs the test groups that need more than Node: python (in an environment of their own, .cache/python) and shared.
# The environment is kept while test/python/requirements.txt and the interpreter stay the same.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.cache/python
stamp="$(python3 --version) $(sha256sum test/python/requirements.txt | cut -d ' ' -f 1)"
if [ ! -x "$environment/bin/python" ] || [ "$(cat "$environment/stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r test/python/requirements.txt
  echo "$stamp" >"$environment/stamp"
fi
export TENON_PYTHON="$PWD/$environment/bin/python"

status=0
for group in python shared; do
  node build/scripts/test.js --group "$group" "$@" || status=1
done
exit "$status"
