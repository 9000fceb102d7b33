#!/usr/bin/env bash
# Runs kazoo_suite.py against a server, in a virtual environment of its own.
#
#   kazoo.sh CONNECT [option of kazoo_suite.py…]
#
# For example, against Apache ZooKeeper:
#
#   tests/interop/kazoo.sh "$(tests/interop/zookeeper.sh start /tmp/zk)"
#   tests/interop/zookeeper.sh stop /tmp/zk
#
# The environment is made on first use at `${CARGO_TARGET_DIR:-target}/interop/venv`, and again
# when the version below changes.

set -euo pipefail

readonly KAZOO_VERSION=2.11.0

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="${CARGO_TARGET_DIR:-$here/../../target}/interop/venv"

if [ $# -eq 0 ]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi

if [ "$(cat "$venv/.kazoo-version" 2>/dev/null)" != "$KAZOO_VERSION" ]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" --quiet --disable-pip-version-check install "kazoo==$KAZOO_VERSION"
    echo "$KAZOO_VERSION" >"$venv/.kazoo-version"
fi

exec "$venv/bin/python" "$here/kazoo_suite.py" "$@"
