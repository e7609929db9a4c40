#!/usr/bin/env bash
# Brings the npm packages, with the pinned Node, when they are not there or the lock has changed. Says what it does, before it does it.
set -euo pipefail
cd "$(dirname "$0")/.."
node_bin=node_modules/.bin/node
stamp=node_modules/.skerry-lock
want=$(sed -n 's/^ *"node": "\([0-9.]*\)",\{0,1\}$/\1/p' package.json | head -1)

if ! command -v npm >/dev/null; then
  echo "skerry: npm is missing; install it with: apt-get install npm" >&2
  exit 1
fi
if ! cmp -s package-lock.json "$stamp" 2>/dev/null || ! "$node_bin" --version >/dev/null 2>&1; then
  echo "skerry: installing npm packages and Node $want into ./node_modules" >&2
  log=$(mktemp)
  # Not `npm ci`: it refuses a lock file whose optional packages for other platforms cannot all be had.
  # Not saved: what npm would add for its own platform is no change of the user's clone.
  if ! npm install --no-save --no-audit --no-fund --loglevel=error >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "skerry: npm install failed; see above" >&2
    exit 1
  fi
  # npm leaves out what does not run on the Node that runs npm. Where that is an older one than ours, ours asks for the rest.
  if [ "$(node --version 2>/dev/null)" != "$("$node_bin" --version 2>/dev/null)" ]; then
    PATH="$PWD/node_modules/.bin:$PATH" npm install --no-save --no-audit --no-fund --loglevel=error >"$log" 2>&1 || cat "$log" >&2
  fi
  rm -f "$log"
  if ! have=$("$node_bin" --version 2>&1); then
    echo "skerry: Node $want does not start: $have" >&2
    case "$have" in *libatomic*) echo "skerry: install its library with: apt-get install libatomic1" >&2 ;; esac
    exit 1
  fi
  cp package-lock.json "$stamp"
  # Without it daemons start all the same, with more memory.
  "$node_bin" tools/bundle.ts >/dev/null || echo "skerry: the daemons could not be bundled; they run from their sources" >&2
  if [ "$(uname -m)" = x86_64 ]; then
    echo "skerry: bringing kubectl, for ./skerry kubectl" >&2
    "$node_bin" tools/kubectl/install.ts 1.35 >/dev/null 2>&1 || echo "skerry: kubectl could not be had now; ./skerry kubectl will try again" >&2
  fi
fi
have=$("$node_bin" --version)
case "$have" in
  "v${want%%.*}."*) ;;
  *)
    echo "skerry: this needs Node ${want%%.*}, but $node_bin is $have; remove node_modules and try again" >&2
    exit 1
    ;;
esac
