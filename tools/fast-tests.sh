#!/usr/bin/env bash
# The fast tests, two processes at a time: one for each of the two cores that a small machine has. Unit files share a process safely, and starting
# one for each costs more than most of them take; six parts are few enough for that, and many enough to keep both cores busy to the end. Their
# temporary files are kept in memory where there is room: most of their time were flushes to a disk, which prove nothing here (kill -9 loses no
# page that is written; full-disk.test.ts has a real disk).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

temporary=$(mktemp -d)
if [ "$(df --output=avail -m /dev/shm 2>/dev/null | tail -1)" -ge 1024 ] 2>/dev/null && [ -w /dev/shm ]; then
  rmdir "$temporary"
  temporary=$(mktemp -d /dev/shm/skerry-tests-XXXXXX)
fi
trap 'rm -rf "$temporary"' EXIT
mkdir "$temporary/tmp"

export TMPDIR="$temporary/tmp"
seq 6 | xargs -P 2 -n 1 bash -c '
  status=0
  node --test --test-shard="$1/6" --test-isolation=none --test-reporter=dot \
    "packages/*/src/**/*.test.ts" "tools/*/*.test.ts" "test/*.test.ts" >"$TMPDIR.$1" 2>&1 || status=1
  cat "$TMPDIR.$1"
  exit $status
' shard
