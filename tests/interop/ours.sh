# Our server as a program, for the scripts here. Sourced; they run from the root of the repository.
#
#   start_ours DIR [zoo.cfg line…]   start one with fresh data under DIR; sets `ours` to host:port
#   stop_ours                        end the one that was started last
#   for_both_servers                 a directory for ours and Apache's, at `ours` and `theirs` in it;
#                                    sets `dir`. Servers and directory go when the script ends

OURS_PID=""

build_ours() {
    cargo build --locked -q -p znode-testing --features program --bin znode-server
}

start_ours() {
    local dir="$1" waited
    shift
    rm -rf "$dir"
    mkdir -p "$dir"
    {
        printf '%s\n' "dataDir=$dir/data" clientPort=0 clientPortAddress=127.0.0.1 tickTime=100 \
            maxSessionTimeout=60000 maxClientCnxns=0 '4lw.commands.whitelist=*' \
            extendedTypesEnabled=true preAllocSize=64 forceSync=no \
            'DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4='
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$dir/zoo.cfg"
    "${CARGO_TARGET_DIR:-target}/debug/znode-server" "$dir/zoo.cfg" >"$dir/out" 2>"$dir/err" &
    OURS_PID=$!
    for waited in $(seq 200); do
        if grep -q . "$dir/out"; then
            ours="$(head -n1 "$dir/out")"
            return 0
        fi
        kill -0 "$OURS_PID" 2>/dev/null || break
        sleep 0.05
    done
    echo "our server did not start within $waited looks:" >&2
    cat "$dir/err" >&2
    return 1
}

stop_ours() {
    [ -n "$OURS_PID" ] || return 0
    kill "$OURS_PID" 2>/dev/null || true
    wait "$OURS_PID" 2>/dev/null || true
    OURS_PID=""
}

for_both_servers() {
    dir="$(mktemp -d)"
    trap stop_both EXIT
}

stop_both() {
    stop_ours
    tests/interop/zookeeper.sh stop "$dir/theirs" >/dev/null 2>&1 || true
    rm -rf "$dir"
}

# A port of 127.0.0.1 on which nobody answers, below those of outgoing connections.
a_free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        :
    done
    echo "$port"
}
