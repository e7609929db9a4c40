#!/usr/bin/env bash
# All tests: the fast gate, then whole-system tests with real containerd, kubectl and network namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/check.sh
export PATH="$PWD/node_modules/.bin:$PATH"
node tools/prepare-system-tests.ts
node --test --test-concurrency=2 --test-reporter=spec --test-timeout=600000 "packages/*/test/**/*.test.ts" "test/system/*.test.ts"
