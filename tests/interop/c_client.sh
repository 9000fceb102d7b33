#!/usr/bin/env bash
# Has the C client's command line, cli_mt, judge our server: what it prints of c_client.txt must be
# the same as on Apache ZooKeeper.
#
#   c_client.sh
#
# The tool comes from Debian's packages, which are unpacked (not installs: no root needed) into
# `${CARGO_TARGET_DIR:-target}/interop/c-client`. Only dates, durations, ports and session ids are
# masked; zxids must be the same.

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

# How often one looks whether a request has been answered.
readonly ANSWER_TRIES_MAX=200

# await RAW LINE: until the tool has printed that line, and all of it.
await() {
    local raw="$1" line="$2" try
    for try in $(seq "$ANSWER_TRIES_MAX"); do
        if grep -qE "^$line\$" "$raw" && [ -z "$(tail -c 1 "$raw")" ]; then
            return 0
        fi
        sleep 0.02
    done
    echo "c_client.sh: after $try looks, nothing says '$line':" >&2
    cat "$raw" >&2
    return 1
}

# talk SERVER OUT
#
# A request is read only when the one before it is answered, and what it made happen is told: two
# threads print, each in pieces. The answer to a deletion is one line, and comes after all that.
talk() {
    local server="$1" out="$2" fifo="$dir/fifo" line number=0
    rm -f "$fifo"
    mkfifo "$fifo"
    TZ=UTC LD_LIBRARY_PATH="$(echo "$tool_dir"/usr/lib/*-linux-gnu*)" \
        "$tool_dir/usr/lib/zookeeper/bin/cli_mt" "$server" <"$fifo" >"$out.raw" 2>&1 &
    local tool=$!
    exec 8>"$fifo"
    await "$out.raw" 'Got a new session id: .*'
    while read -r line; do
        number=$((number + 1))
        printf '%s\n' "$line" "delete /answered-$number" >&8
        await "$out.raw" "/answered-$number: rc = -101"
    done <tests/interop/c_client.txt
    echo quit >&8
    exec 8>&-
    wait "$tool" || true
    sed -E -e '/ZOO_(INFO|DEBUG|WARN|ERROR)@/d' -e '/^time = /d' -e '/^ *$/d' \
        -e '/^\/answered-/d' \
        -e 's/([cm]time ?= ?).*/\1DATE/' -e 's/(session [Ii]d(:| =) ).*/\1SESSION/' \
        -e 's/(ephemeralOwner = )[1-9a-f][0-9a-f]*/\1SESSION/' "$out.raw" >"$out"
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
