#!/usr/bin/env bash
# Draws docs/grafana/dashboard.json without Grafana: runs `inspect --http` on the API server in its process, lets a real
# Prometheus scrape it, sends the expressions of the dashboard to that Prometheus and draws the answers. It fails if
# Prometheus refuses an expression.
#
#   bash tools/dashboard/draw.sh [FILE]    the picture [default: docs/img/dashboard.png]
#
# Needs prometheus ($PROMETHEUS or the PATH) and python3 with matplotlib ($PYTHON or the PATH). $SECONDS_SHOWN is how long
# the demonstration runs before the picture [default: 300].
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=${1:-docs/img/dashboard.png}
shown=${SECONDS_SHOWN:-300}
work=$(mktemp -d)
finish() {
  jobs -p | xargs -r kill 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

die() { printf 'draw: %s\n' "$*" >&2; exit 1; }
[[ ${1:-} != --help ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit; }
prometheus=$(command -v "${PROMETHEUS:-prometheus}") || die "prometheus is not installed; set PROMETHEUS"
python=$(command -v "${PYTHON:-python3}") || die "python3 is not installed; set PYTHON"
"$python" -c 'import matplotlib' 2>/dev/null || die "python3 has no matplotlib; set PYTHON"

cargo build -q --all-features --example inspect
RUST_LOG=error target/debug/examples/inspect --http 127.0.0.1:0 > "$work/inspect.out" 2>&1 &
for _ in $(seq 100); do
  page=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/inspect.out" | head -1) && break
  sleep 0.1
done
[[ -n ${page:-} ]] || die "inspect printed no address: $(cat "$work/inspect.out")"

cat > "$work/prometheus.yml" <<YAML
global: { scrape_interval: 2s }
scrape_configs:
  - { job_name: inspect, static_configs: [ { targets: [ "$page" ] } ] }
YAML
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
  --web.listen-address="127.0.0.1:$port" > "$work/prometheus.log" 2>&1 &

for left in $(seq "$shown" -1 1); do
  kill -0 %1 %2 2>/dev/null || die "a program ended early: $(tail -3 "$work/inspect.out" "$work/prometheus.log")"
  [[ ! -t 2 ]] || printf '\r%4d s left' "$left" >&2
  sleep 1
done
[[ ! -t 2 ]] || printf '\r            \r' >&2
"$python" tools/dashboard/draw.py "http://127.0.0.1:$port" docs/grafana/dashboard.json "$shown" "$out"
printf '%s\n' "$out"
