#!/usr/bin/env bash
# The gateway beside nginx and the prototypes: bench.sh [PROXIES] [WORKLOADS] [ROUNDS] [TOKENS]
# Needs the side-by-side harness (../shared/bench), nginx and gcc. TOKENS: how many the store holds.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
export BENCH_DIR="${BENCH_DIR:-${TMPDIR:-/tmp}/gateway-bench}"
python="${PYTHON:-$here/.venv/bin/python}"
config="$BENCH_DIR/gateway"

mkdir -p "$BENCH_DIR/conf"
[ -e "$BENCH_DIR/venv" ] || ln -s "$here/.venv" "$BENCH_DIR/venv"
[ -e "$BENCH_DIR/conf/nginx.conf" ] || "$python" "$here/../shared/bench/conf/gen.py" "$BENCH_DIR/conf"
# Both keep a record: nginx its access log, the gateway its audit file.
sed -i "s#access_log off#access_log $BENCH_DIR/access.log#" "$BENCH_DIR/conf/nginx.conf"
rm -rf "$config" "$BENCH_DIR/access.log"
PYTHONPATH="$here" "$python" "$here/scripts/bench_config.py" "$config" "${4:-1000}"

export BENCH_EXTRA="{\"gateway\": {
  \"cmd\": [\"$python\", \"-m\", \"gateway\", \"run\", \"--config\", \"$config/routes.yaml\"],
  \"port\": 9300, \"env\": {\"UPSTREAM_KEY\": \"sk-upstream-REAL-0123456789abcdef\", \"PYTHONPATH\": \"$here\"},
  \"auth\": \"Authorization: Bearer tok-internal-0007-abcdefghijklmnop\"}}"
exec "$here/../shared/bench/bench.sh" "${1:-direct,nginx,p3,p5b-own,gateway}" \
  "${2:-c1,c64,sse,up,down}" "${3:-5}"
