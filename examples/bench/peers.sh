#!/usr/bin/env bash
# Gets the clients of others, and has one of them do what the bench does.
#
#   peers.sh fetch                  get and build all of them
#   peers.sh versions               one a line
#   peers.sh run PEER MODE CONNECT SESSIONS DEPTH PAYLOAD WARMUP SECONDS NODES
#
# PEER is zookeeper-client (of kezhuw), zookeeper-client-one-thread, zookeeper-async,
# tokio-zookeeper, java, curator, c or kazoo, MODE one of the bench's that it has.
# It prints one object of JSON with the bench's figures. Everything lies in
# `${CARGO_TARGET_DIR:-target}/interop` and `${CARGO_TARGET_DIR:-target}/peers`.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/venv.sh

readonly CURATOR_VERSION=5.9.0
readonly C_VERSION=3.8.0
readonly PEERS="${CARGO_TARGET_DIR:-$PWD/target}/peers"
readonly INTEROP="${CARGO_TARGET_DIR:-$PWD/target}/interop"
readonly SOURCES=examples/bench/peers

# Debian's packages are unpacked, not installed: no root needed.
fetch_c() {
    local root="$PEERS/c" work
    if [ ! -f "$root/complete" ]; then
        work="$(mktemp -d)"
        apt-cache show libzookeeper-mt-dev >/dev/null 2>&1 || apt-get update -q >&2
        (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" \
            download libzookeeper-mt-dev libzookeeper-mt2) >&2
        mkdir -p "$root"
        for package in "$work"/*.deb; do
            dpkg-deb --extract "$package" "$root"
        done
        rm -rf "$work"
        touch "$root/complete"
    fi
    local libraries
    libraries="$(dirname "$(find "$root/usr/lib" -name 'libzookeeper_mt.so.2' | head -n 1)")"
    cc -O2 -I "$root/usr/include" -o "$PEERS/peer-c" "$SOURCES/c/peer.c" \
        -L "$libraries" -l:libzookeeper_mt.so.2 -lpthread -Wl,-rpath,"$libraries"
}

fetch() {
    mkdir -p "$PEERS/java"
    CARGO_TARGET_DIR="$PEERS/rust" \
        cargo build --release --quiet --locked --manifest-path "$SOURCES/rust/Cargo.toml"
    tests/interop/curator.sh fetch
    javac -nowarn -cp "$INTEROP/curator-$CURATOR_VERSION/lib/*" -d "$PEERS/java" \
        "$SOURCES/java/Peer.java"
    make_venv
    fetch_c
}

run() {
    local peer="$1"
    shift
    case "$peer" in
    zookeeper-client | zookeeper-async | tokio-zookeeper)
        exec "$PEERS/rust/release/peer" "$peer" "$@"
        ;;
    zookeeper-client-one-thread)
        PEER_ONE_THREAD=1 exec "$PEERS/rust/release/peer" zookeeper-client "$@"
        ;;
    java | curator)
        exec java -Xmx1g -XX:+UseG1GC \
            -cp "$PEERS/java:$INTEROP/curator-$CURATOR_VERSION/lib/*" Peer "$@"
        ;;
    c) exec "$PEERS/peer-c" "$@" ;;
    kazoo) exec "$INTEROP/venv/bin/python" "$SOURCES/kazoo_peer.py" "$@" ;;
    *)
        echo "peers.sh: there is no $peer" >&2
        exit 2
        ;;
    esac
}

versions() {
    local jar
    for jar in "$INTEROP/curator-$CURATOR_VERSION"/lib/zookeeper-[0-9]*.jar; do
        jar="${jar##*/zookeeper-}"
        echo "ZooKeeper's Java client ${jar%.jar}"
    done
    echo "Curator $CURATOR_VERSION"
    sed -nE 's/^((tokio-)?zookeeper-?(client|async)?) =.*"=([0-9.]+)".*/\1 \4/p' \
        "$SOURCES/rust/Cargo.toml"
    echo "ZooKeeper's C client $C_VERSION"
    echo "kazoo $KAZOO_VERSION"
}

case "${1:-}" in
fetch) fetch ;;
versions) versions ;;
run)
    [ $# -eq 10 ] || exit 2
    shift
    run "$@"
    ;;
*)
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
