#!/usr/bin/env bash
# Has Apache ZooKeeper judge what our server tells operators over HTTP.
#
#   operators.sh
#
# The same session is opened on both; every command of the admin server must tell the same names,
# with values of the same kinds, and the figures for Prometheus must have the same names and kinds.
# A snapshot that our admin server has taken is restored by Apache's.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/venv.sh
. tests/interop/ours.sh

for_both_servers

make_venv
build_ours
admin_lines() {
    printf 'admin.enableServer=true admin.serverAddress=127.0.0.1 admin.serverPort=%s' "$1"
}
metrics_lines() {
    printf 'metricsProvider.className=%s.PrometheusMetricsProvider metricsProvider.httpHost=127.0.0.1 metricsProvider.httpPort=%s' \
        org.apache.zookeeper.metrics.prometheus "$1"
}

our_admin="$(a_free_port)" our_metrics="$(a_free_port)"
their_admin="$(a_free_port)" their_metrics="$(a_free_port)"
# Lines are split at blanks on purpose.
# shellcheck disable=SC2046
start_ours "$dir/ours" $(admin_lines "$our_admin") $(metrics_lines "$our_metrics")

# shellcheck disable=SC2046
theirs="$(tests/interop/zookeeper.sh start "$dir/theirs" $(admin_lines "$their_admin"))"
"$venv/bin/python" tests/interop/operators.py commands \
    "$theirs" "127.0.0.1:$their_admin" "$ours" "127.0.0.1:$our_admin"
"$venv/bin/python" tests/interop/operators.py snapshot \
    "$theirs" "127.0.0.1:$their_admin" "$ours" "127.0.0.1:$our_admin"
tests/interop/zookeeper.sh stop "$dir/theirs"

# With this provider, Apache's `monitor` tells other names.
# shellcheck disable=SC2046
tests/interop/zookeeper.sh start "$dir/theirs" $(metrics_lines "$their_metrics") >/dev/null
"$venv/bin/python" tests/interop/operators.py metrics \
    "127.0.0.1:$their_metrics" "127.0.0.1:$our_metrics"
