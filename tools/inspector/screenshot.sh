#!/usr/bin/env bash
# Opens the page of `inspect --http` in headless Chromium, on the API server in its process: checks that the page shows
# the informers, indexes and controller, that no name is shown unasked, and takes screenshots, light and dark.
#
#   bash tools/inspector/screenshot.sh [DIR]    screenshots into DIR [default: a temporary folder]
#
# The pictures of the documents: bash tools/inspector/screenshot.sh docs/img
#
# Takes chromium from $CHROMIUM or the PATH; on Debian, root installs it if it is missing. $INSPECT is a built example
# [default: cargo builds it]; $PAUSE is how long the demonstration runs before the screenshots, in seconds; $PHONE names
# one more screenshot, as narrow as a phone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
out=${1:-$work}
mkdir -p "$out"
program=
finish() {
  [[ -z $program ]] || kill "$program" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

die() { printf 'screenshot: %s\n' "$*" >&2; exit 1; }

find_chromium() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [[ -n $name ]] && command -v "$name" && return
  done
  return 1
}

if ! chromium=$(find_chromium); then
  command -v apt-get >/dev/null || die "there is no chromium; set CHROMIUM"
  { apt-get update && apt-get install -y --no-install-recommends chromium fonts-liberation; } >&2
  chromium=$(find_chromium) || die "chromium was installed and is not there"
fi

if [[ -z ${INSPECT:-} ]]; then
  cargo build --example inspect
  INSPECT=${CARGO_TARGET_DIR:-target}/debug/examples/inspect
fi

# Starts the inspector at a free port: sets `program` and `url`.
start() { # [option..]
  : >"$work/output"
  "$INSPECT" --http 127.0.0.1:0 --seconds 600 "$@" >>"$work/output" 2>&1 &
  program=$!
  local waited
  for waited in {1..200}; do
    url=$(sed -n 's/^\(http:.*\)$/\1/p' "$work/output")
    [[ -z $url ]] || return 0
    kill -0 "$program" 2>/dev/null || die "the inspector has ended ($waited): $(cat "$work/output")"
    sleep 0.1
  done
  die "the inspector does not listen: $(cat "$work/output")"
}

stop() {
  kill "$program"
  wait "$program" 2>/dev/null || true
  program=
}

# The budget is in the page's own time: enough for a few requests of the state.
browse() { # <option..> <url>
  timeout 120 "$chromium" --headless --no-sandbox --disable-gpu --no-proxy-server --hide-scrollbars \
    --disable-dev-shm-usage --user-data-dir="$work/profile" --virtual-time-budget=5000 "$@" 2>"$work/chromium" ||
    die "chromium failed: $(cat "$work/chromium")"
}

shoot() { # <file> <size> <0: dark, 1: light>
  browse --screenshot="$out/$1" --window-size="$2" --blink-settings="preferredColorScheme=$3" "$url/"
  [[ -s $out/$1 ]] || die "no screenshot $1"
}

expect() { # <text..>: parts of the page
  local text
  for text in "$@"; do grep -qF -- "$text" "$work/page.html" || die "the page has no '$text'"; done
}

# Names of objects and of index keys are not shown unasked.
start
# The line of a queue needs two samples, which a busy machine may not have in time.
for _ in {1..10}; do
  browse --dump-dom "$url/" >"$work/page.html"
  ! grep -qF 'class="line"' "$work/page.html" || break
done
expect 'data-kind="pods"' 'data-kind="deployments.apps"' 'data-kind="subnets.kubeovn.io"' 'class="phase good">watching' \
  'by namespace' 'by label app' 'class="controller"' 'class="line"' '>live<'
for name in 'pod-0' shop cart; do
  ! grep -qF -- "$name" "$work/page.html" || die "the page shows the name $name"
done
stop

start --show-names
sleep "${PAUSE:-5}"
browse --dump-dom "$url/" >"$work/page.html"
expect 'shop ' 'cart ' 'class="phase good">running'
shoot inspector-light.png 1280,1275 1
shoot inspector-dark.png 1280,1275 0
[[ -z ${PHONE:-} ]] || shoot "$PHONE" 390,3000 1
stop
[[ $out == "$work" ]] || echo "screenshot: pictures are in $out"
echo "screenshot: the page shows the informers, indexes and controller, and names only when asked"
