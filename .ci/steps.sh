# The steps that .ci/run and .ci/long are made of. Sourced, from the root of the repository.

readonly CARGO_DENY_VERSION=0.20.2
STARTED=$SECONDS
STEP_TIMES=()
CLEAN_UP=()

# Nothing is built twice here, and what the compiler keeps for a second time is three times as large
# as what it makes.
export CARGO_INCREMENTAL=0

trap 'clean_up' EXIT

clean_up() {
    local command
    for command in "${CLEAN_UP[@]:-}"; do
        [ -z "$command" ] || eval "$command" || true
    done
}

step() {
    local name=$1 started=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    "$@"
    STEP_TIMES+=("$(printf '%5d s  %s' $((SECONDS - started)) "$name")")
}

summary() {
    printf '\n=== all steps passed in %d s\n' $((SECONDS - STARTED))
    printf '%s\n' "${STEP_TIMES[@]}"
    printf 'what was built takes %s\n' "$(du -sh "${CARGO_TARGET_DIR:-target}" | cut -f 1)"
}

install_tools() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny $CARGO_DENY_VERSION" ]; then
        cargo install cargo-deny --version "$CARGO_DENY_VERSION" --locked
    fi
    command -v java >/dev/null || apt_install default-jre-headless
    command -v mvn >/dev/null || apt_install maven
    command -v valgrind >/dev/null || apt_install valgrind
    python3 -m venv --help >/dev/null 2>&1 || apt_install python3-venv
    cargo fetch --locked
    rustc --version
}

apt_install() {
    apt-get update -q && apt-get install -q -y --no-install-recommends "$@"
}

# With all features, and without any; the server also by itself, since others here want its features.
lints() {
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy -p znode-testing --all-targets --locked -- -D warnings
}

# The README is what a newcomer follows, so its command is the one that counts.
readme_test_command() {
    local command
    command=$(sed -nE 's/^\$ (cargo test[^#]*).*$/\1/p' README.md | head -n 1 | xargs)
    [ -n "$command" ] || { echo "README.md names no test command" >&2; return 1; }
    echo "$command"
}

readme_tests() {
    local command
    command=$(readme_test_command)
    $command
}

# What is there with its feature only.
feature_tests() {
    cargo test --locked -q -p znode --lib --all-features -- codec sasl tls
    cargo test --locked -q -p znode-recipes --lib --all-features -- discovery
    cargo test --locked -q -p znode-tests --test client --all-features -- features
    cargo test --locked -q -p znode-tests --test recipes --all-features -- compressed discovery
    cargo test --locked -q -p znode-tests --test secure --all-features
}

# Servers, links, disks and clients in simulated time; each seed is a run of its own.
simulated_world() {
    ZNODE_SIM_SEEDS=$1 cargo test --locked -q --release -p znode-testing --lib sim:: -- --nocapture
}

docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked
}

# The oldest Rust that the packages say they take.
oldest_rust() {
    local version
    version=$(sed -nE 's/^rust-version = "(.*)"$/\1/p' Cargo.toml)
    rustup toolchain install "$version" --profile minimal >/dev/null
    cargo "+$version" check --locked -q -p znode -p znode-recipes -p znode-testing --all-features
}

# What one package needs must not come to it through another's features, and nothing but what a
# user needs is published.
packages_alone() {
    local package list
    for package in znode znode-recipes znode-testing; do
        list=${CARGO_TARGET_DIR:-target}/$package.list
        cargo check --locked -p "$package"
        cargo check --locked -p "$package" --all-features
        cargo test --locked -q -p "$package" --lib
        cargo package --locked --list --allow-dirty -p "$package" >"$list"
        if grep -vE '^(src/.*\.rs|README\.md|CHANGELOG\.md|LICENSE-(MIT|APACHE)|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json)$' "$list"; then
            echo "the above files would be published with $package and no user needs them"
            return 1
        fi
    done
}

apache_start() {
    APACHE_DIR=$(mktemp -d)
    APACHE=$(tests/interop/zookeeper.sh start "$APACHE_DIR" forceSync=no)
    CLEAN_UP+=("tests/interop/zookeeper.sh stop '$APACHE_DIR'; rm -rf '$APACHE_DIR'")
    echo "Apache ZooKeeper at $APACHE"
}

apache_suites() {
    ZNODE_TEST_CONNECT=$APACHE cargo test --locked -p znode-tests --test client --test recipes
    ZNODE_TEST_CONNECT=$APACHE cargo test --locked -p znode-tests --test recipes --all-features \
        -- discovery
}

# Starts servers of its own, each with what a test needs.
apache_secure() {
    ZNODE_TEST_APACHE=1 cargo test --locked -p znode-tests --test secure --test ensemble --all-features
}

# The suites of ours on each role that a server of an ensemble may have.
cluster_suites() {
    local role
    for role in "$@"; do
        ZNODE_TEST_CLUSTER=$role cargo test --locked -q -p znode-tests --test client --test recipes
    done
}

# Ensembles of processes, of both kinds: `ensembles VARIABLE=VALUE…`.
ensembles() {
    env ZNODE_TEST_APACHE=1 "$@" cargo test --locked -q -p znode-tests --test ensemble
}

# kazoo's suite and ours, while the leader is killed every few seconds.
suites_under_blows() {
    local suite program
    suite='tests/interop/kazoo.sh "$CONNECT" --no-4lw --blows "$BLOWS"'
    ZNODE_TEST_SUITE=$suite cargo test --locked -q -p znode-tests --test ensemble -- a_suite --nocapture
    program=$(cargo test --locked -p znode-tests --test client --no-run 2>&1 |
        sed -n 's/^ *Executable.*(\(.*\))$/\1/p')
    # What the servers know of each other is what they know of each other anywhere.
    suite="ZNODE_TEST_CLUSTER=leader tests/interop/under_blows.py \"\$CONNECT\" \"\$BLOWS\" '$(realpath "$program")'"
    # Left out, since it does not hold of any ensemble, at peace either: a configuration that names
    # nobody.
    suite+=" --skip a_configuration_that_names_nobody_in_reach"
    ZNODE_TEST_SUITE=$suite cargo test --locked -q -p znode-tests --test ensemble -- a_suite --nocapture
}

# A server of its own: what earlier tests have left would show, and the reaper would take zxids.
apache_differential() {
    local dir address
    dir=$(mktemp -d)
    address=$(ZK_JVM_EXTRA="-Dznode.container.checkIntervalMs=100000000" \
        tests/interop/zookeeper.sh start "$dir" forceSync=no enforceQuota=true)
    CLEAN_UP+=("tests/interop/zookeeper.sh stop '$dir' 2>/dev/null; rm -rf '$dir'")
    env ZNODE_TEST_CONNECT="$address" "$@" cargo test --locked -p znode-tests --test differential
    tests/interop/zookeeper.sh stop "$dir"
}

# Starts servers of its own, too, on files that ours has written.
files_to_and_fro() {
    tests/interop/files.sh
}

apache_lock() {
    ZNODE_CONNECT=$APACHE/ci cargo run --locked -q --example lock
}

# Debian's list of packages may never have been fetched.
c_client() {
    apt-cache show zookeeper-bin >/dev/null 2>&1 || apt-get update -q
    tests/interop/c_client.sh
}

kazoo_ours() {
    local out fifo
    out=$(mktemp) fifo=$(mktemp -u)
    mkfifo "$fifo"
    cargo build --locked -q --example test_server
    # It runs for as long as its standard input is open.
    "${CARGO_TARGET_DIR:-target}/debug/examples/test_server" <"$fifo" >"$out" &
    local pid=$!
    exec 9>"$fifo"
    CLEAN_UP+=("exec 9>&-; rm -f '$out' '$fifo'")
    local waited
    for waited in $(seq 100); do
        grep -q . "$out" && break
        sleep 0.05
    done
    tests/interop/kazoo.sh "$(head -n1 "$out")" "$@"
    exec 9>&-
    wait "$pid"
}

bench_smoke() {
    local mode
    for mode in get set mixed create-delete connect churn fan-out lock contend contend-once queue \
        counter cache start start-cluster failover fsync ping-pong grow-nodes grow-watches grow-sessions; do
        cargo run --locked -q --release --example bench -- \
            --mode "$mode" --sessions 2 --nodes 1000 --seconds 0.3
    done
    cargo run --locked -q --release --example bench -- --rate 1000 --seconds 0.3
    cargo run --locked -q --release --example bench -- --unordered --seconds 0.3
    cargo run --locked -q --release --example bench -- --constant --no-embedded --seconds 0.3
}

# What no load changes: fails if anything takes a tenth more than is committed.
instructions() {
    cargo run --locked -q --release -p znode-examples --features counting --example instructions
}
