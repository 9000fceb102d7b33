#!/usr/bin/env bash
# Runs a real Apache ZooKeeper server for the interoperability tests.
#
#   zookeeper.sh fetch                       get the server's jars (quick when they are there)
#   zookeeper.sh start DIR [zoo.cfg line…]   start one standalone server with fresh data under DIR
#   zookeeper.sh stop DIR                    end the server that was started in DIR
#   zookeeper.sh ensemble DIR N [line…]      start N servers under DIR/1 to DIR/N as one ensemble;
#                                            prints the connect string of each, one a line
#   zookeeper.sh prepare DIR N [line…]       as ensemble, but start nothing: write each DIR/zoo.cfg
#   zookeeper.sh resume DIR                  start the stopped server of DIR on the data it has
#   zookeeper.sh run DIR                     the same in the foreground, as this very process
#
# `fetch` resolves Apache ZooKeeper with Maven into
# `${CARGO_TARGET_DIR:-target}/interop/zookeeper-<version>/lib`. Where Maven fails it unpacks (not
# installs: no root needed) Debian's packages of an older release instead and says what differs.
#
# `start` fetches what is missing, waits until the server answers, and prints nothing but the
# connect string `127.0.0.1:PORT`. Under DIR it leaves `zoo.cfg`, `server.log`, `pid`, `data/`;
# whatever data stood there before is removed, unless ZK_KEEP_DATA is set. The server listens on
# loopback only. Defaults:
#
#   tickTime=100            sessions from 200 ms (two ticks) ...
#   maxSessionTimeout=60000 ... to one minute; an expired session is gone within one tick
#   all four-letter words, container and TTL nodes on; admin server off; no connection limit
#   super user              auth scheme `digest`, credentials `super:secret`
#
# Each further argument is one line of zoo.cfg; the last line for a key wins (all but clientPort,
# which `start` chooses). In `secureClientPort=free` a port is put in place of `free`; DIR/zoo.cfg
# tells which. An example that trades durability for speed:
#
#   zookeeper.sh start /tmp/zk forceSync=no
#
# Environment:
#
#   ZK_JVM_FLAGS   heap, collector and compiler; the default suits short test runs. For a
#                  benchmark say, for example, ZK_JVM_FLAGS="-Xmx1g -XX:+UseG1GC"
#   ZK_JVM_EXTRA   further flags, none by default; the way to set what zoo.cfg cannot, such as
#                  -Djute.maxbuffer=... or -Dznode.container.checkIntervalMs=...
#   ZK_SOURCE      `maven` or `debian`: insist on one source; without it, Maven and then Debian
#   ZK_KEEP_DATA   not empty: start on the data that is in DIR/data
#   ZK_OBSERVERS   how many servers of an ensemble, the last ones, have no vote; 0 by default
#   ZK_LOG_LEVEL   level of server.log, INFO by default

set -euo pipefail

readonly VERSION=3.9.5
# The last release of this module that there is a jar of; it takes any 3.9 server.
readonly PROMETHEUS_VERSION=3.9.4
readonly DEBIAN_VERSION=3.8.0
readonly DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

readonly START_SECONDS_MAX=30
readonly STOP_SECONDS_MAX=5
# Below the range from which Linux takes the ports of outgoing connections, so that nothing else
# on the machine is handed our port between our choice and the server's bind.
readonly PORT_FIRST=20000
readonly PORT_COUNT=10000
readonly PORT_TRIES_MAX=20
readonly START_TRIES_MAX=3

# Base64 of the SHA-1 of `super:secret`, in the server's own notation.
readonly SUPER_DIGEST='super:lK75jTNcA+U9vtVEw5vB51mj/w4='

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly ROOT
readonly INTEROP="${CARGO_TARGET_DIR:-$ROOT/target}/interop"
readonly MAVEN_LIB="$INTEROP/zookeeper-$VERSION/lib"
readonly DEBIAN_LIB="$INTEROP/zookeeper-$DEBIAN_VERSION/lib"

main() {
    local lib
    case "${1:-}" in
    fetch)
        [ $# -eq 1 ] || usage
        lib="$(fetch)"
        echo "Apache ZooKeeper jars: $lib"
        ;;
    start)
        [ $# -ge 2 ] || usage
        shift
        start "$@"
        ;;
    stop)
        [ $# -eq 2 ] || usage
        stop "$2"
        ;;
    ensemble | prepare)
        [ $# -ge 3 ] || usage
        "$@"
        ;;
    resume)
        [ $# -eq 2 ] || usage
        launch "$2" "$(fetch)"
        ;;
    run)
        [ $# -eq 2 ] || usage
        run "$2" "$(fetch)"
        ;;
    *) usage ;;
    esac
}

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

say() {
    echo "zookeeper.sh: $*" >&2
}

# --- fetch ------------------------------------------------------------------------------------

# Prints the directory with the jars, after getting them if need be.
fetch() {
    local source="${ZK_SOURCE:-}"
    case "$source" in
    '' | maven | debian) ;;
    *)
        say "ZK_SOURCE must be maven or debian, not '$source'"
        return 1
        ;;
    esac

    if [ "$source" != debian ]; then
        if is_complete "$MAVEN_LIB" || fetch_with_maven; then
            echo "$MAVEN_LIB"
            return 0
        fi
        say "Maven could not get ZooKeeper $VERSION"
    fi
    if [ "$source" != maven ]; then
        if is_complete "$DEBIAN_LIB" || fetch_from_debian; then
            tell_what_debian_lacks
            echo "$DEBIAN_LIB"
            return 0
        fi
        say "Debian's packages could not be had either"
    fi
    return 1
}

fetch_with_maven() {
    command -v mvn >/dev/null || {
        say "mvn is not installed"
        return 1
    }
    local home work
    home="$(dirname "$MAVEN_LIB")"
    mkdir -p "$home" || return 1
    work="$(mktemp -d "$home/fetch.XXXXXX")" || return 1

    say "getting ZooKeeper $VERSION with Maven"
    write_pom >"$work/pom.xml"
    if mvn --batch-mode --quiet -Dstyle.color=never --file "$work/pom.xml" \
        "$DEPENDENCY_PLUGIN:copy-dependencies" \
        -DincludeScope=runtime -DoutputDirectory="$work/lib" >&2 &&
        keep "$work/lib" "$MAVEN_LIB"; then
        rm -rf "$work"
    else
        rm -rf "$work"
        return 1
    fi
}

# What the server asks of its user at run time is declared `provided` in its own pom, so it is
# named again here; the release's parent pom supplies the versions. Jetty and Jackson are the admin
# server's. The boringssl binaries, five platforms of them, are left out: TLS works with the JDK's own
# provider.
write_pom() {
    cat <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>interop</groupId>
  <artifactId>interop</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencyManagement>
    <dependencies>
      <dependency>
        <groupId>org.apache.zookeeper</groupId>
        <artifactId>parent</artifactId>
        <version>$VERSION</version>
        <type>pom</type>
        <scope>import</scope>
      </dependency>
    </dependencies>
  </dependencyManagement>
  <dependencies>
    <dependency>
      <groupId>org.apache.zookeeper</groupId>
      <artifactId>zookeeper</artifactId>
      <version>$VERSION</version>
      <exclusions>
        <exclusion>
          <groupId>io.netty</groupId>
          <artifactId>netty-tcnative-boringssl-static</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.zookeeper</groupId>
      <artifactId>zookeeper-prometheus-metrics</artifactId>
      <version>$PROMETHEUS_VERSION</version>
    </dependency>
$(provided ch.qos.logback logback-classic)
$(provided com.fasterxml.jackson.core jackson-databind)
$(provided commons-cli commons-cli)
$(provided io.dropwizard.metrics metrics-core)
$(provided org.eclipse.jetty jetty-server)
$(provided org.eclipse.jetty jetty-servlet)
$(provided org.xerial.snappy snappy-java)
  </dependencies>
</project>
POM
}

provided() {
    cat <<POM
    <dependency>
      <groupId>$1</groupId>
      <artifactId>$2</artifactId>
      <scope>runtime</scope>
    </dependency>
POM
}

fetch_from_debian() {
    command -v apt-get >/dev/null || {
        say "apt-get is not installed: this is no Debian"
        return 1
    }
    local home work
    home="$(dirname "$DEBIAN_LIB")"
    mkdir -p "$home" || return 1
    work="$(mktemp -d "$home/fetch.XXXXXX")" || return 1

    say "getting ZooKeeper $DEBIAN_VERSION from Debian's packages"
    if unpack_from_debian "$work" && keep "$work/lib" "$DEBIAN_LIB"; then
        rm -rf "$work"
    else
        rm -rf "$work"
        return 1
    fi
}

unpack_from_debian() {
    local work="$1" package
    (
        cd "$work"
        apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
            libzookeeper-java libslf4j-java liblog4j1.2-java libnetty-java \
            libdropwizard-metrics-java libsnappy-java libcommons-cli-java libcommons-io-java >&2
    ) || return 1
    for package in "$work"/*.deb; do
        dpkg-deb --extract "$package" "$work/root" || return 1
    done
    [ -e "$work/root/usr/share/java/zookeeper-$DEBIAN_VERSION.jar" ] || {
        say "Debian's package is of another release than $DEBIAN_VERSION"
        return 1
    }
    mkdir "$work/lib"
    for package in zookeeper zookeeper-jute slf4j-api slf4j-log4j12 log4j-1.2 metrics-core \
        snappy-java commons-cli commons-io netty-buffer netty-codec netty-common netty-handler \
        netty-resolver netty-transport netty-transport-native-unix-common; do
        cp -L "$work/root/usr/share/java/$package.jar" "$work/lib/" || return 1
    done
}

tell_what_debian_lacks() {
    say "NOTE: this is ZooKeeper $DEBIAN_VERSION, not $VERSION. It differs:"
    say "  notifications carry zxid -1 instead of the transaction's"
    say "  one watch mode per path and connection: a later registration replaces an earlier one"
    say "  check/removeWatches: no watcher types 4 and 5; type 2 removes a persistent watch too"
    say "  exists asks for no permission"
    say "  create2 inside a multi is answered as create is, without a stat"
    say "  unknown flags inside a multi are that operation's error, not the whole request's"
    say "  a top-level check (13) gets no answer at all, instead of -6 and a closed connection"
    say "  IPv6 addresses are not valid in ACLs"
}

# Moves a finished directory to its place in one step; where two fetches raced, the first wins.
keep() {
    local made="$1" place="$2"
    if ! is_complete "$place"; then
        write_pom | cksum >"$made/.complete" && rm -rf "$place" && mv "$made" "$place"
    fi
}

# Whether everything is there that this script asks for, and not what an older one did.
is_complete() {
    [ "$(cat "$1/.complete" 2>/dev/null)" = "$(write_pom | cksum)" ]
}

# --- start ------------------------------------------------------------------------------------

start() {
    local dir="$1" lib port try
    shift
    mkdir -p "$dir"
    dir="$(cd "$dir" && pwd)"
    if alive "$dir"; then
        say "a server is running in $dir already"
        return 1
    fi
    lib="$(fetch)"

    for ((try = 1; try <= START_TRIES_MAX; try++)); do
        port="$(free_port)"
        rm -rf "$dir/pid"
        [ -n "${ZK_KEEP_DATA:-}" ] || rm -rf "$dir/data"
        write_config "$dir" "$port" "$@" >"$dir/zoo.cfg"
        write_logging "$dir"
        launch "$dir" "$lib"
        if wait_until_serving "$dir" "$port"; then
            echo "127.0.0.1:$port"
            return 0
        fi
        stop "$dir"
        if ! grep -q 'Address already in use' "$dir/server.log"; then
            break
        fi
        say "port $port was taken by somebody else; trying another"
    done
    say "the server did not start; the end of $dir/server.log:"
    tail -n 20 "$dir/server.log" >&2
    return 1
}

# Each member is stopped, and resumed, by its own directory.
ensemble() {
    local dir="$1" count="$2" lib number addresses
    addresses="$(prepare "$@")"
    dir="$(cd "$dir" && pwd)"
    lib="$(fetch)"
    for ((number = 1; number <= count; number++)); do
        launch "$dir/$number" "$lib"
    done
    for ((number = 1; number <= count; number++)); do
        wait_until_serving "$dir/$number" "$(sed -n "${number}s/.*://p" <<<"$addresses")"
    done
    echo "$addresses"
}

# Writes what the servers of an ensemble start from, with no data.
prepare() {
    local dir="$1" count="$2" number role chosen members=() ports=()
    shift 2
    mkdir -p "$dir"
    dir="$(cd "$dir" && pwd)"
    for ((number = 1; number <= count; number++)); do
        role=participant
        ((number <= count - ${ZK_OBSERVERS:-0})) || role=observer
        for chosen in client quorum election; do
            ports+=("$(free_port "${ports[@]}")")
        done
        members+=("server.$number=127.0.0.1:${ports[-2]}:${ports[-1]}:$role;127.0.0.1:${ports[-3]}")
    done
    for ((number = 1; number <= count; number++)); do
        rm -rf "${dir:?}/$number"
        mkdir -p "$dir/$number/data"
        echo "$number" >"$dir/$number/data/myid"
        write_config "$dir/$number" 0 initLimit=100 syncLimit=50 standaloneEnabled=false \
            reconfigEnabled=true "${members[@]}" "$@" |
            grep -v '^clientPort' >"$dir/$number/zoo.cfg"
        write_logging "$dir/$number"
        echo "127.0.0.1:${ports[3 * number - 3]}"
    done
}

# A port of 127.0.0.1 on which nobody answers, and none of those that are named.
free_port() {
    local try port
    for ((try = 1; try <= PORT_TRIES_MAX; try++)); do
        port=$((PORT_FIRST + RANDOM % PORT_COUNT))
        if [[ " $* " != *" $port "* ]] && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return 0
        fi
    done
    say "no free port found"
    return 1
}

# Keys that the server's parser does not know become system properties `zookeeper.<key>`: so the
# names without that prefix below.
write_config() {
    local dir="$1" port="$2" line
    shift 2
    cat <<CONFIG
dataDir=$dir/data
clientPort=$port
clientPortAddress=127.0.0.1
tickTime=100
maxSessionTimeout=60000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
extendedTypesEnabled=true
DigestAuthenticationProvider.superDigest=$SUPER_DIGEST
CONFIG
    for line in "$@"; do
        case "$line" in
        secureClientPort=free) line="secureClientPort=$(free_port)" ;;
        esac
        printf '%s\n' "$line"
    done
}

# Both kinds of logging configuration: 3.9 logs with logback, Debian's 3.8 with log4j.
write_logging() {
    local dir="$1" level="${ZK_LOG_LEVEL:-INFO}"
    cat >"$dir/logback.xml" <<LOGBACK
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level [%thread] %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="$level"><appender-ref ref="OUT"/></root>
</configuration>
LOGBACK
    cat >"$dir/log4j.properties" <<LOG4J
log4j.rootLogger=$level, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d{HH:mm:ss.SSS} %-5p [%t] %c{1}: %m%n
LOG4J
}

launch() {
    local dir="$1" command=()
    command_of "$dir" "$2"
    nohup "${command[@]}" >"$dir/server.log" 2>&1 </dev/null &
    echo "$!" >"$dir/pid"
}

# Becomes the server of a directory.
run() {
    local command=()
    command_of "$1" "$2"
    exec "${command[@]}"
}

# Sets `command` to what runs the server of a directory.
command_of() {
    local dir="$1" lib="$2"
    local flags="${ZK_JVM_FLAGS:--Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}"
    mkdir -p "$dir/data"
    # Flags are split at blanks on purpose.
    # shellcheck disable=SC2206
    command=(java $flags -XX:-UsePerfData -Djava.net.preferIPv4Stack=true
        "-Dlogback.configurationFile=$dir/logback.xml"
        "-Dlog4j.configuration=file:$dir/log4j.properties"
        -Dzookeeper.jmx.log4j.disable=true ${ZK_JVM_EXTRA:-}
        -cp "$lib/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zoo.cfg")
}

wait_until_serving() {
    local dir="$1" port="$2" tries=$((START_SECONDS_MAX * 20))
    while ((tries-- > 0)); do
        if ! alive "$dir"; then
            return 1
        fi
        if serving "$port"; then
            return 0
        fi
        sleep 0.05
    done
    say "no answer within $START_SECONDS_MAX seconds"
    return 1
}

# `ruok` is answered as soon as the port is open; `srvr` names a mode only once requests are
# served.
serving() {
    local port="$1"
    (
        exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
        printf srvr >&3
        IFS= read -r -t 2 -d '' answer <&3 || true
        [[ "$answer" == *"Mode: "* ]]
    ) 2>/dev/null
}

# --- stop -------------------------------------------------------------------------------------

stop() {
    local dir="$1" pid
    if ! alive "$dir"; then
        say "no server is running in $dir"
        rm -f "$dir/pid"
        return 0
    fi
    pid="$(cat "$dir/pid")"
    kill "$pid" 2>/dev/null || true
    if ! wait_until_dead "$dir"; then
        say "pid $pid did not end within $STOP_SECONDS_MAX seconds; killing it"
        kill -9 "$pid" 2>/dev/null || true
        wait_until_dead "$dir" || {
            say "pid $pid cannot be ended"
            return 1
        }
    fi
    rm -f "$dir/pid"
}

wait_until_dead() {
    local dir="$1" tries=$((STOP_SECONDS_MAX * 20))
    while ((tries-- > 0)); do
        alive "$dir" || return 0
        sleep 0.05
    done
    return 1
}

# Whether the process named in DIR/pid runs and is the server of DIR: a pid may have been reused.
alive() {
    local dir="$1" pid
    dir="$(cd "$dir" 2>/dev/null && pwd)" || return 1
    pid="$(cat "$dir/pid" 2>/dev/null)" || return 1
    [ -n "$pid" ] || return 1
    case "$(ps -o stat=,command= -p "$pid" 2>/dev/null)" in
    Z*) return 1 ;;
    *"$dir/zoo.cfg"*) return 0 ;;
    *) return 1 ;;
    esac
}

main "$@"
