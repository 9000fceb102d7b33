#!/usr/bin/env bash
# Has the C client's command line, cli_mt, judge our server: what it prints of c_client.txt must be
# the same as on Apache ZooKeeper.
#
#   c_client.sh
#
# The tool comes from Debian's packages, which are unpacked (not installs: no root needed) into
# `${CARGO_TARGET_DIR:-target}/interop/c-client`. Its requests are answered by another thread than
# the one that reads them, so what that one says is compared by itself. Only dates, durations, ports
# and session ids are masked; zxids must be the same.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/ours.sh

tool_dir="${CARGO_TARGET_DIR:-$PWD/target}/interop/c-client"
for_both_servers

fetch_tool() {
    [ ! -x "$tool_dir/usr/lib/zookeeper/bin/cli_mt" ] || return 0
    command -v apt-get >/dev/null || {
        echo "c_client.sh: cli_mt comes from Debian's packages, and there is no apt-get here" >&2
        return 1
    }
    local work="$dir/packages"
    mkdir -p "$work"
    if ! (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" \
        download zookeeper-bin libzookeeper-mt2) >&2; then
        echo "c_client.sh: Debian's packages zookeeper-bin and libzookeeper-mt2 cannot be had;" \
            "has 'apt-get update' been run?" >&2
        return 1
    fi
    mkdir -p "$tool_dir"
    for package in "$work"/*.deb; do
        dpkg-deb --extract "$package" "$tool_dir"
    done
}

# What is asked, and how one sees that all of it was answered.
readonly END='/the-end: rc = '
readonly ANSWER_TRIES_MAX=200

# talk SERVER OUT
talk() {
    local server="$1" out="$2" fifo="$dir/fifo" try
    rm -f "$fifo"
    mkfifo "$fifo"
    TZ=UTC LD_LIBRARY_PATH="$(echo "$tool_dir"/usr/lib/*-linux-gnu*)" \
        "$tool_dir/usr/lib/zookeeper/bin/cli_mt" "$server" <"$fifo" >"$out.raw" 2>&1 &
    local tool=$!
    exec 8>"$fifo"
    cat tests/interop/c_client.txt >&8
    for try in $(seq "$ANSWER_TRIES_MAX"); do
        ! grep -q "^$END" "$out.raw" || break
        sleep 0.05
    done
    echo quit >&8
    exec 8>&-
    wait "$tool" || true
    if ! grep -q "^$END" "$out.raw"; then
        echo "c_client.sh: after $try looks, not everything was answered:" >&2
        cat "$out.raw" >&2
        return 1
    fi
    sed -E -e '/ZOO_(INFO|DEBUG|WARN|ERROR)@/d' -e '/^time = /d' -e '/^ *$/d' \
        -e 's/([cm]time ?= ?).*/\1DATE/' -e 's/(session [Ii]d(:| =) ).*/\1SESSION/' \
        -e 's/(ephemeralOwner = )[1-9a-f][0-9a-f]*/\1SESSION/' "$out.raw" >"$out.masked"
    local said='^(Creating|Error|Quitting|session Id)'
    grep -vE "$said" "$out.masked" >"$out"
    grep -E "$said" "$out.masked" >>"$out"
}

fetch_tool
build_ours
theirs="$(tests/interop/zookeeper.sh start "$dir/theirs" forceSync=no)"
start_ours "$dir/ours"
talk "$theirs" "$dir/theirs.out"
talk "$ours" "$dir/ours.out"
if ! diff -u "$dir/theirs.out" "$dir/ours.out"; then
    echo "c_client.sh: cli_mt prints something else on our server" >&2
    exit 1
fi
lines=$(wc -l <"$dir/ours.out")
if [ "$lines" -lt 50 ] || ! grep -q 'CREATED_EVENT' "$dir/ours.out"; then
    echo "c_client.sh: $lines lines were printed, and maybe no event:" >&2
    cat "$dir/ours.out" >&2
    exit 1
fi
echo "c_client.sh: $lines lines, all the same"
