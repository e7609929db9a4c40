#!/usr/bin/env bash
# All tests: the fast gate, then whole-system tests with real containerd, kubectl and network namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/check.sh
export PATH="$PWD/node_modules/.bin:$PATH"
# One file at a time: each runs real containers, and two cores are soon too few for the patience of any test.
node tools/prepare-system-tests.ts
node --test --test-concurrency=1 --test-reporter=spec --test-timeout=600000 "packages/*/test/**/*.test.ts" "test/system/*.test.ts"
