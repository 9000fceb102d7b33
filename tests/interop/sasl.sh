#!/usr/bin/env bash
# Has kazoo prove by SASL DIGEST-MD5 who it is, to Apache ZooKeeper and to our server.
#
#   sasl.sh

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/venv.sh
. tests/interop/ours.sh

for_both_servers

make_venv
build_ours
logins="$dir/jaas.conf"
cat >"$logins" <<'JAAS'
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
    user_bob="secret";
};
JAAS
lines=(
    authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
    sessionRequireClientSASLAuth=true
)
flags="-Djava.security.auth.login.config=$logins -Dzookeeper.fips-mode=false"
theirs="$(ZK_JVM_EXTRA="$flags" tests/interop/zookeeper.sh start "$dir/theirs" "${lines[@]}")"
start_ours "$dir/ours" "${lines[@]}" "java.security.auth.login.config=$logins"
for server in "$theirs" "$ours"; do
    "$venv/bin/python" tests/interop/kazoo_sasl.py "$server"
done
