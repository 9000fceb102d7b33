#!/usr/bin/env bash
# Has fleets of our recipes, of Curator's and of kazoo's contend for the same, each for so long.
#
#   fleets.sh SECONDS

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/venv.sh

make_venv
tests/interop/curator.sh fetch
ZNODE_TEST_FLEETS="${1:?fleets.sh SECONDS}" ZNODE_TEST_PYTHON="$venv/bin/python" \
    cargo test --locked -q -p znode-tests --test fleet -- --nocapture --test-threads=1
