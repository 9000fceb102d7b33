# A virtual environment with kazoo, for the scripts here. Sourced; `make_venv` sets `venv`.
#
# It is made on first use at `${CARGO_TARGET_DIR:-target}/interop/venv`, and again when a version
# below changes. pure-sasl is what kazoo speaks SASL with.

readonly KAZOO_VERSION=2.11.0
readonly PURE_SASL_VERSION=0.6.2

make_venv() {
    local here wanted="kazoo $KAZOO_VERSION pure-sasl $PURE_SASL_VERSION"
    here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
    venv="${CARGO_TARGET_DIR:-$here/../../target}/interop/venv"
    if [ "$(cat "$venv/.versions" 2>/dev/null)" != "$wanted" ]; then
        python3 -m venv --clear "$venv"
        "$venv/bin/pip" --quiet --disable-pip-version-check install \
            "kazoo==$KAZOO_VERSION" "pure-sasl==$PURE_SASL_VERSION"
        echo "$wanted" >"$venv/.versions"
    fi
}
