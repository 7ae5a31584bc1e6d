#!/usr/bin/env bash
# Finds or builds the etcd and kube-apiserver that `cargo test --test real` boots, and prints the folder
# they are in on stdout (everything else goes to stderr), so that this works:
#
#     KUBEBUILDER_ASSETS=$(tools/envtest/build.sh) cargo test --test real
#
# The tests look in the same places by themselves (`--find`), so running this once is enough.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binaries=(etcd kube-apiserver)

usage() {
  cat <<EOF
usage: tools/envtest/build.sh [--find | --rebuild | --help]

Prints a folder that holds etcd and kube-apiserver, the first of:
  1. \$KUBEBUILDER_ASSETS, as setup-envtest sets it (an error when a binary is missing in it)
  2. an earlier build:  $(cache_dir)
  3. a new build, put there, of Kubernetes $kubernetes and etcd $etcd from their published Go modules
     (Go >= $go_needed and network access to a Go module proxy; 4 minutes and 3 GB on two cores)

  --find      build nothing; exit 1 with the reason when neither 1 nor 2 has them
  --rebuild   build even when an earlier build exists
  --help      this text

Environment: KUBEBUILDER_ASSETS, KUBE_INFORMER_ENVTEST_DIR (where builds are kept; default
\${XDG_CACHE_HOME:-~/.cache}/kube-informer/envtest).
EOF
}

say() { printf 'envtest: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# The version a module file requires of a module: the one place where versions are written.
required() { # <go.mod> <module>
  awk -v module="$2" '$1 == module && $2 != "=>" { sub(/^v/, "", $2); print $2; exit }' "$1"
}

kubernetes=$(required "$here/apiserver/go.mod" k8s.io/kubernetes)
etcd=$(required "$here/etcd/go.mod" go.etcd.io/etcd/server/v3)
go_needed=$(awk '$1 == "go" { print $2; exit }' "$here/apiserver/go.mod")
[[ -n $kubernetes && -n $etcd && -n $go_needed ]] || die "cannot read the versions from $here/*/go.mod"

cache_dir() {
  local base=${KUBE_INFORMER_ENVTEST_DIR:-}
  if [[ -z $base ]]; then
    base=${XDG_CACHE_HOME:-${HOME:?set HOME, XDG_CACHE_HOME or KUBE_INFORMER_ENVTEST_DIR}/.cache}
    base=$base/kube-informer/envtest
  fi
  [[ $base == /* ]] || base=$PWD/$base
  printf '%s/kubernetes-%s_etcd-%s_%s\n' "$base" "$kubernetes" "$etcd" "$(uname -sm | tr 'A-Z ' 'a-z-')"
}

# Names the binaries that a folder lacks.
missing_in() { # <folder>
  local name absent=()
  for name in "${binaries[@]}"; do
    [[ -f $1/$name && -x $1/$name ]] || absent+=("$name")
  done
  [[ ${#absent[@]} -eq 0 ]] || printf '%s\n' "${absent[*]}"
}

# Is dotted version $1 at least $2? Compares numerically, since `sort -V` is not everywhere.
at_least() {
  awk -v have="$1" -v need="$2" 'BEGIN {
    split(have, h, "."); n = split(need, w, ".")
    for (i = 1; i <= n; i++) { if (h[i] + 0 != w[i] + 0) exit !(h[i] + 0 > w[i] + 0) }
  }'
}

go_version() { (cd "$here/apiserver" && go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//') || true; }

check_go() {
  local hint="install Go >= $go_needed (https://go.dev/dl), or take the binaries from setup-envtest
(go install sigs.k8s.io/controller-runtime/tools/setup-envtest@latest; setup-envtest use -p path ${kubernetes%.*})
and set KUBEBUILDER_ASSETS to their folder"
  command -v go >/dev/null || die "no go command: $hint"
  if ! at_least "$(go_version)" "$go_needed"; then
    # From 1.21 on, an older Go fetches the toolchain that a module asks for, when it is let.
    export GOTOOLCHAIN=auto
    at_least "$(go_version)" "$go_needed" || die "$(go version) is too old: $hint"
  fi
}

# Runs a command with a sign of life every 30 s, and its output on stderr only when it fails.
with_progress() { # <title> <log> <command..>
  local title=$1 log=$2 start=$SECONDS pid status=0
  shift 2
  say "$title"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  trap 'kill "$pid" 2>/dev/null || true' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    if (((SECONDS - start) % 30 == 29)); then say "  ... $((SECONDS - start)) s"; fi
  done
  wait "$pid" || status=$?
  trap - INT TERM
  if ((status != 0)); then
    tail -n 40 "$log" >&2
    die "$title failed (exit $status)"
  fi
  say "  done in $((SECONDS - start)) s"
}

# Becomes the compiler, so that ending this background job ends it.
go_build() { # <module folder> <output> <linker flags>
  exec go -C "$here/$1" build -mod=readonly -buildvcs=false -ldflags "-s -w $3" -o "$2" .
}

build() { # <target folder>
  local target=$1 work version=k8s.io/component-base/version
  check_go
  mkdir -p "$target"
  work=$(mktemp -d "$target.build.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now is meant
  trap "rm -rf '$work'" EXIT

  with_progress "building etcd $etcd (a minute the first time)" "$work/etcd.log" \
    go_build etcd "$work/etcd" ""
  # Without these the server reports version 0 and refuses some of its own feature gates.
  with_progress "building kube-apiserver $kubernetes (3 to 4 minutes the first time)" "$work/kube-apiserver.log" \
    go_build apiserver "$work/kube-apiserver" "-X $version.gitVersion=v$kubernetes \
      -X $version.gitMajor=${kubernetes%%.*} -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"

  local said
  said=$("$work/kube-apiserver" --version)
  [[ $said == *"v$kubernetes" ]] || die "the built kube-apiserver calls itself '$said', not v$kubernetes"
  said=$("$work/etcd" --version)
  [[ $said == *"$etcd"* ]] || die "the built etcd calls itself '$said', not $etcd"

  # One rename each, from the same file system: a second build at the same time does no harm, and nobody
  # ever sees half a binary.
  local name
  for name in "${binaries[@]}"; do mv -f "$work/$name" "$target/$name"; done
}

case ${1:-} in
  "") mode="build" ;;
  --find) mode="find" ;;
  --rebuild) mode="rebuild" ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
(($# <= 1)) || { usage >&2; exit 2; }

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  missing=$(missing_in "$KUBEBUILDER_ASSETS")
  [[ -z $missing ]] || die "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks: $missing"
  (cd "$KUBEBUILDER_ASSETS" && pwd)
  exit
fi

folder=$(cache_dir)
missing=$(missing_in "$folder")
if [[ $mode == find && -n $missing ]]; then
  die "no etcd and kube-apiserver: KUBEBUILDER_ASSETS is not set and there is no earlier build; run tools/envtest/build.sh"
fi
if [[ $mode == rebuild || -n $missing ]]; then
  build "$folder"
fi
printf '%s\n' "$folder"
