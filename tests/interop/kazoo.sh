#!/usr/bin/env bash
# Runs kazoo_suite.py against a server, in a virtual environment of its own.
#
#   kazoo.sh CONNECT [option of kazoo_suite.py…]
#
# For example, against Apache ZooKeeper:
#
#   tests/interop/kazoo.sh "$(tests/interop/zookeeper.sh start /tmp/zk)"
#   tests/interop/zookeeper.sh stop /tmp/zk

set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/venv.sh"

if [ $# -eq 0 ]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi

make_venv
exec "$venv/bin/python" "$here/kazoo_suite.py" "$@"
