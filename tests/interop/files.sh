#!/usr/bin/env bash
# Has Apache ZooKeeper judge the files of our server, and ours those of Apache ZooKeeper.
#
#   files.sh
#
# The two take turns on one data directory, each starting on what the other has left; what they
# show must be the same node for node, with every Stat and every access control list, and a session
# must live on (tests/files). Then Java's own tools read every file.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

dir="$(mktemp -d)"
stop() {
    tests/interop/zookeeper.sh stop "$dir" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap stop EXIT

lib="$(tests/interop/zookeeper.sh fetch | sed -n 's/^Apache ZooKeeper jars: //p')"
ZNODE_TEST_FILES="$dir" cargo test --locked -q -p znode-tests --test files

# Runs one of the tools, and fails if it complains in any of its ways.
tool() {
    local class="$1" file="$2" out="$dir/tool.out"
    if ! java -XX:TieredStopAtLevel=1 -cp "$lib/*" "org.apache.zookeeper.server.$class" "$file" \
        >"$out" 2>&1 || grep -E 'CRC ERROR|Exception|ERROR|invalid' "$out"; then
        echo "files.sh: $class complains of $file:" >&2
        tail -n 20 "$out" >&2
        return 1
    fi
}

snapshots=0 compressed=0 logs=0
for file in "$dir"/data/version-2/snapshot.*; do
    tool SnapshotFormatter "$file"
    snapshots=$((snapshots + 1))
    case "$file" in *.gz) compressed=$((compressed + 1)) ;; esac
done
for file in "$dir"/data/version-2/log.*; do
    tool persistence.TxnLogToolkit "$file"
    logs=$((logs + 1))
done
if [ "$snapshots" -lt 3 ] || [ "$compressed" -lt 2 ] || [ "$logs" -lt 3 ]; then
    echo "files.sh: there were only $snapshots snapshots, $compressed of them compressed," \
        "and $logs logs to read" >&2
    exit 1
fi
echo "Java's tools have read $snapshots snapshots, $compressed of them compressed, and $logs logs"
