#!/usr/bin/env bash
# Makes all generated tables again. Needs Debian's containerd, and npm for what the generators read (half a gigabyte).
# With a folder as argument, outputs go there instead of into the repository.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/node_modules/.bin:$PATH"
(cd tools/codegen && npm install --ignore-scripts --no-progress)
node tools/codegen/cri.ts /usr/bin/containerd "$@"
node tools/codegen/kinds.ts "$@"
