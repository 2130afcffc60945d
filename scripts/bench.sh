#!/usr/bin/env bash
# The gateway beside nginx and the prototypes: bench.sh [PROXIES] [WORKLOADS] [ROUNDS] [TOKENS]
# Needs the side-by-side harness (../shared/bench), nginx and gcc. TOKENS: how many the store holds.
# `gateway` has one plain rule, `gateway-rules` every kind of rule and limit, with BENCH_BOTS bots
# and BENCH_ELSEWHERE rules of another bot. With BENCH_BEFORE=CHECKOUT there is `gateway-before`,
# an older one of the gateway, run as it configures itself.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
export BENCH_DIR="${BENCH_DIR:-${TMPDIR:-/tmp}/gateway-bench}"
python="${PYTHON:-$here/.venv/bin/python}"
tokens="${4:-1000}"

mkdir -p "$BENCH_DIR/conf"
[ -e "$BENCH_DIR/venv" ] || ln -s "$here/.venv" "$BENCH_DIR/venv"
[ -e "$BENCH_DIR/conf/nginx.conf" ] || "$python" "$here/../shared/bench/conf/gen.py" "$BENCH_DIR/conf"
# Both keep a record: nginx its access log, the gateway its audit file.
sed -i "s#access_log off#access_log $BENCH_DIR/access.log#" "$BENCH_DIR/conf/nginx.conf"
rm -rf "$BENCH_DIR"/gateway* "$BENCH_DIR/access.log"

entry() { # NAME PORT CHECKOUT
    echo "\"$1\": {
      \"cmd\": [\"$python\", \"-m\", \"gateway\", \"run\", \"--config\", \"$BENCH_DIR/$1/routes.yaml\"],
      \"port\": $2, \"env\": {\"UPSTREAM_KEY\": \"sk-upstream-REAL-0123456789abcdef\", \"PYTHONPATH\": \"$3\"},
      \"auth\": \"Authorization: Bearer tok-internal-0007-abcdefghijklmnop\"}"
}

configure() { # NAME PORT OPTIONS...
    PYTHONPATH="$here" "$python" "$here/scripts/bench_config.py" "$BENCH_DIR/$1" "$2" "${@:3}"
}

configure gateway 9300 --tokens "$tokens"
configure gateway-rules 9310 --tokens "$tokens" --rules \
    --bots "${BENCH_BOTS:-20}" --elsewhere "${BENCH_ELSEWHERE:-0}"
extra="$(entry gateway 9300 "$here"), $(entry gateway-rules 9310 "$here")"
if [ -n "${BENCH_BEFORE:-}" ]; then
    before="$BENCH_DIR/gateway-before"
    PYTHONPATH="$BENCH_BEFORE" "$python" "$BENCH_BEFORE/scripts/bench_config.py" "$before" "$tokens"
    sed -i 's/:9300$/:9320/; s/:9301$/:9321/' "$before/routes.yaml"
    extra="$extra, $(entry gateway-before 9320 "$BENCH_BEFORE")"
fi
export BENCH_EXTRA="{$extra}"
exec "$here/../shared/bench/bench.sh" "${1:-direct,nginx,p3,p5b-own,gateway,gateway-rules}" \
    "${2:-c1,c64,sse,up,down}" "${3:-5}"
