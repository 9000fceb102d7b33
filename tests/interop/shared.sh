#!/usr/bin/env bash
# Has our counters, queues, barriers, parts, nodes, groups and services, Curator's and kazoo's work at
# the same nodes, each for so long.
#
#   shared.sh SECONDS

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/venv.sh

make_venv
tests/interop/curator.sh fetch
ZNODE_TEST_SHARED="${1:?shared.sh SECONDS}" ZNODE_TEST_PYTHON="$venv/bin/python" \
    cargo test --locked -q -p znode-tests --features discovery --test shared -- --nocapture --test-threads=2
