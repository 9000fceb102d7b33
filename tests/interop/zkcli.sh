#!/usr/bin/env bash
# Has Java's own command line, zkCli, judge our server: what it prints of a long session must be
# the same as on Apache ZooKeeper.
#
#   zkcli.sh
#
# Three sessions are held on each server: the whole of zkcli.txt in plain text, a short one by SASL
# DIGEST-MD5, and a short one by TLS with a client's certificate. Only what must differ is masked:
# ports, dates and session ids. Zxids must be the same. Events come from another thread, and who one
# is comes in any order, so both are compared by themselves.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/ours.sh

for_both_servers

lib="$(tests/interop/zookeeper.sh fetch | sed -n 's/^Apache ZooKeeper jars: //p')"
build_ours
cat >"$dir/logback.xml" <<'LOGBACK'
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="ERROR"><appender-ref ref="OUT"/></root>
</configuration>
LOGBACK

# cli SERVER COMMANDS OUT [flag of the virtual machine…]
cli() {
    local server="$1" commands="$2" out="$3"
    shift 3
    # It ends with the exit code of its last command.
    java -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 "$@" \
        "-Dlogback.configurationFile=$dir/logback.xml" \
        -cp "$lib/*" org.apache.zookeeper.ZooKeeperMain -server "$server" \
        <"$commands" >"$out.raw" 2>&1 || true
    sed -E -e 's/^(Connecting to ).*/\1SERVER/' \
        -e 's/[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} [A-Z]+ [0-9]{4}/DATE/' \
        -e 's/(ephemeralOwner = 0x)[1-9a-f][0-9a-f]+/\1SESSION/' \
        -e '/^$/d' -e '/^WATCHER::$/d' "$out.raw" >"$out.masked"
    local apart='^(WatchedEvent |(ip|digest|sasl|x509|super): )'
    grep -vE "$apart" "$out.masked" >"$out"
    grep '^WatchedEvent' "$out.masked" >>"$out"
    grep -E "$apart" "$out.masked" | grep -v '^WatchedEvent' | sort >>"$out"
}

# compare NAME LINES TEXT: what was printed on both; so many lines at least, and this among them.
compare() {
    if ! diff -u "$dir/$1.theirs" "$dir/$1.ours"; then
        echo "zkcli.sh: $1: zkCli prints something else on our server" >&2
        exit 1
    fi
    lines=$(wc -l <"$dir/$1.ours")
    if [ "$lines" -lt "$2" ] || ! grep -qxF "$3" "$dir/$1.ours"; then
        echo "zkcli.sh: $1: $lines lines were printed, and maybe no '$3'" >&2
        cat "$dir/$1.ours" >&2
        exit 1
    fi
    echo "zkcli.sh: $1: $lines lines, all the same"
}

plain() {
    local theirs
    theirs="$(tests/interop/zookeeper.sh start "$dir/theirs" forceSync=no)"
    start_ours "$dir/ours"
    cli "$theirs" tests/interop/zkcli.txt "$dir/plain.theirs"
    cli "$ours" tests/interop/zkcli.txt "$dir/plain.ours"
    compare plain 130 'digest: bob'
}

by_sasl() {
    local theirs module=org.apache.zookeeper.server.auth.DigestLoginModule
    local provider=authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
    echo "Server { $module required user_bob=\"secret\"; };" >"$dir/server.jaas"
    echo "Client { $module required username=\"bob\" password=\"secret\"; };" >"$dir/client.jaas"
    printf '%s\n' whoami 'create /of-bob x sasl:bob:cdrwa' 'getAcl /of-bob' 'get /of-bob' \
        'create /of-ann x sasl:ann:cdrwa' 'get /of-ann' quit >"$dir/sasl.txt"
    theirs="$(ZK_JVM_EXTRA="-Djava.security.auth.login.config=$dir/server.jaas -Dzookeeper.fips-mode=false" \
        tests/interop/zookeeper.sh start "$dir/theirs" forceSync=no "$provider" \
        sessionRequireClientSASLAuth=true)"
    start_ours "$dir/ours" "$provider" sessionRequireClientSASLAuth=true \
        "java.security.auth.login.config=$dir/server.jaas"
    local flags=("-Djava.security.auth.login.config=$dir/client.jaas" -Dzookeeper.fips-mode=false)
    cli "$theirs" "$dir/sasl.txt" "$dir/sasl.theirs" "${flags[@]}"
    cli "$ours" "$dir/sasl.txt" "$dir/sasl.ours" "${flags[@]}"
    compare sasl 12 'sasl: bob'
}

# A key of its own for each side, whom the other side trusts.
make_stores() {
    local side other
    for side in server client; do
        keytool -genkeypair -alias "$side" -keyalg EC -groupname secp256r1 -storetype PKCS12 \
            -keystore "$dir/$side.p12" -storepass secret -ext san=dns:localhost,ip:127.0.0.1 \
            -dname "CN=$side, OU=interop, O=znode" 2>/dev/null
        keytool -exportcert -rfc -alias "$side" -keystore "$dir/$side.p12" -storepass secret \
            >"$dir/$side.pem" 2>/dev/null
    done
    for side in server client; do
        other=$([ "$side" = server ] && echo client || echo server)
        keytool -importcert -noprompt -alias "$other" -file "$dir/$other.pem" -storetype PKCS12 \
            -keystore "$dir/$side-trust.p12" -storepass secret 2>/dev/null
    done
}

by_tls() {
    local side flags port
    make_stores
    port="$(a_free_port)"
    local lines=(
        secureClientPortAddress=127.0.0.1
        serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
        "ssl.keyStore.location=$dir/server.p12" ssl.keyStore.password=secret
        "ssl.trustStore.location=$dir/server-trust.p12" ssl.trustStore.password=secret
    )
    printf '%s\n' whoami 'create /mine x x509:CN=client,OU=interop,O=znode:cdrwa' 'getAcl /mine' \
        'get /mine' 'create /shut x x509:CN=other:cdrwa' 'get /shut' quit >"$dir/tls.txt"
    tests/interop/zookeeper.sh start "$dir/theirs" forceSync=no secureClientPort=free \
        "${lines[@]}" >/dev/null
    start_ours "$dir/ours" "secureClientPort=$port" "${lines[@]}"
    flags=(
        -Dzookeeper.client.secure=true
        -Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty
        "-Dzookeeper.ssl.keyStore.location=$dir/client.p12" -Dzookeeper.ssl.keyStore.password=secret
        "-Dzookeeper.ssl.trustStore.location=$dir/client-trust.p12"
        -Dzookeeper.ssl.trustStore.password=secret
    )
    side="localhost:$(sed -n 's/^secureClientPort=//p' "$dir/theirs/zoo.cfg")"
    cli "$side" "$dir/tls.txt" "$dir/tls.theirs" "${flags[@]}"
    cli "localhost:$port" "$dir/tls.txt" "$dir/tls.ours" "${flags[@]}"
    compare tls 12 'x509: CN=client,OU=interop,O=znode'
}

for round in plain by_sasl by_tls; do
    "$round"
    stop_ours
    tests/interop/zookeeper.sh stop "$dir/theirs"
done
