#!/usr/bin/env bash
# The fast tests, in two processes: one for each of the two cores that a small machine has, since unit files share a process safely and starting
# one for each costs more than most of them take. Their temporary files are kept in memory where there is room: most of their time were flushes
# to a disk, which prove nothing here (kill -9 loses no page that is written; full-disk.test.ts has a real disk).
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

shard() {
  TMPDIR="$temporary/tmp" node --test --test-shard="$1/2" --test-isolation=none --test-reporter=dot \
    "packages/*/src/**/*.test.ts" "tools/*/*.test.ts" "test/*.test.ts"
}
shard 2 >"$temporary/shard-2.log" 2>&1 &
failed=0
shard 1 || failed=1
wait $! || failed=1
cat "$temporary/shard-2.log"
exit "$failed"
