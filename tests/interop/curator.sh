#!/usr/bin/env bash
# Runs a contender, or a worker, that is a JVM with Apache Curator.
#
#   curator.sh fetch                            get Curator, and build both
#   curator.sh run CONNECT RECIPE PATH REFEREE  contend until standard input ends
#   curator.sh work CONNECT RECIPE PATH         do what the lines of standard input say
#
# RECIPE is mutex, write, read, semaphore-N or latch; REFEREE is host:port of who is told of every
# turn. See curator/Contender.java; for the recipes to work with, curator/Worker.java. Everything
# lies in `${CARGO_TARGET_DIR:-target}/interop`.

set -euo pipefail

readonly VERSION=5.9.0
readonly DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
home="${CARGO_TARGET_DIR:-$here/../../target}/interop/curator-$VERSION"

fetch() {
    [ ! -f "$home/lib/curator-test-$VERSION.jar" ] || return 0
    local work
    mkdir -p "$home"
    work="$(mktemp -d "$home/fetch.XXXXXX")"
    cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>interop</groupId>
  <artifactId>interop</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.curator</groupId>
      <artifactId>curator-recipes</artifactId>
      <version>$VERSION</version>
      <exclusions>
        <exclusion>
          <groupId>io.netty</groupId>
          <artifactId>netty-tcnative-boringssl-static</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.curator</groupId>
      <artifactId>curator-x-discovery</artifactId>
      <version>$VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.apache.curator</groupId>
      <artifactId>curator-test</artifactId>
      <version>$VERSION</version>
      <exclusions>
        <exclusion>
          <groupId>io.netty</groupId>
          <artifactId>netty-tcnative-boringssl-static</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version>
      <scope>runtime</scope>
    </dependency>
  </dependencies>
</project>
POM
    mvn --batch-mode --quiet -Dstyle.color=never --file "$work/pom.xml" \
        "$DEPENDENCY_PLUGIN:copy-dependencies" \
        -DincludeScope=runtime -DoutputDirectory="$work/lib" >&2
    rm -rf "$home/lib"
    mv "$work/lib" "$home/lib"
    rm -rf "$work"
}

build() {
    local class source
    for class in Contender Worker; do
        source="$here/curator/$class.java"
        [ "$home/classes/$class.class" -nt "$source" ] ||
            javac -nowarn -cp "$home/lib/*" -d "$home/classes" "$source"
    done
}

java_of() {
    exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m \
        -cp "$home/classes:$home/lib/*" "$@"
}

case "${1:-}" in
fetch)
    fetch
    build
    ;;
run)
    [ $# -eq 5 ] || exit 2
    shift
    java_of Contender "$@"
    ;;
work)
    [ $# -eq 4 ] || exit 2
    shift
    java_of Worker "$@"
    ;;
*)
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
