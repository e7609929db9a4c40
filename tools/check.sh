#!/usr/bin/env bash
# The fast gate, about a minute on two cores: types, lint, format, fast tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh
export PATH="$PWD/node_modules/.bin:$PATH"
step() {
  local started=$SECONDS
  "${@:2}" || { echo "check: $1 failed" >&2; exit 1; }
  echo "check: $1 ok ($((SECONDS - started)) s)"
}
step types tsc -p .
step lint oxlint --type-aware --quiet
step format oxfmt --check
step tests bash tools/fast-tests.sh
