#!/usr/bin/env bash
# Counts the instructions of what benches/instructions.rs does, and compares them with benches/instructions.txt.
#
#   tools/instructions/check.sh             fails if one takes more than 5 % more instructions than recorded
#   tools/instructions/check.sh --update    records what is counted now
#
# The counts depend on the compiler, and a little on the C library (malloc, memcpy). The file says with which they were
# recorded. With another compiler or another processor architecture nothing fails: the difference is only shown, and the
# file should be updated. With another C library, the limit is 10 %.
#
# Needs valgrind, which is installed with apt-get if it is missing and this is root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

recorded=benches/instructions.txt
limit=5
names=(get find-64 update-2-indexes event-from-bytes event-decoded list-from-bytes list-decoded list-of-part)

case ${1:-} in
  '' | --update) ;;
  -h | --help) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; exit ;;
  *) echo "unknown: $1 (see --help)"; exit 2 ;;
esac

if ! command -v valgrind >/dev/null; then
  apt-get update -q && apt-get install -q -y --no-install-recommends valgrind
fi

program=$(cargo bench --bench instructions --no-run --message-format=json-render-diagnostics |
  sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[[ -x $program ]] || { echo "cargo has built no benchmark 'instructions'"; exit 1; }

# Instructions for each operation.
count() { # <name>
  local out collected operations
  out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
    --toggle-collect='*counted_by_callgrind*' "$program" "$1" 2>&1)
  collected=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$out")
  operations=$(sed -n "s/^$1 \([0-9]*\)\$/\1/p" <<<"$out")
  if [[ -z $operations || ! ${collected:-0} -gt 0 ]]; then
    printf '%s\n' "$out" "nothing was counted for $1" >&2
    return 1
  fi
  echo $((collected / operations))
}

compiler="$(rustc --version | cut -d' ' -f2) $(uname -m)"
library=$(ldd --version 2>&1 | sed -n '1s/.* //p')

declare -A counts
for name in "${names[@]}"; do
  counts[$name]=$(count "$name")
done

if [[ ${1:-} == --update ]]; then
  {
    echo "# Instructions for each operation: written by tools/instructions/check.sh --update."
    echo "compiler $compiler"
    echo "library $library"
    for name in "${names[@]}"; do echo "$name ${counts[$name]}"; done
  } >"$recorded"
  cat "$recorded"
  exit
fi

value() { sed -n "s/^$1 //p" "$recorded"; }
gate=yes
if [[ $(value compiler) != "$compiler" ]]; then
  echo "recorded with $(value compiler), this is $compiler: nothing fails; run with --update"
  gate=no
elif [[ $(value library) != "$library" ]]; then
  limit=10
  echo "recorded with the C library $(value library), this is $library: the limit is $limit %"
fi

failed=0
for name in "${names[@]}"; do
  before=$(value "$name")
  [[ -n $before ]] || { echo "$name: not in $recorded; run with --update"; failed=1; continue; }
  now=${counts[$name]}
  # In tenths of a percent.
  change=$(((now - before) * 1000 / before))
  sign=+ size=${change#-}
  ((change >= 0)) || sign=-
  line=$(printf '%-18s %8d, recorded %8d: %s%d.%d %%' "$name" "$now" "$before" "$sign" $((size / 10)) $((size % 10)))
  if ((change > limit * 10)) && [[ $gate == yes ]]; then
    line+="  more than $limit %"
    failed=1
  elif ((change < -limit * 10)); then
    line+="  less; record it with --update"
  fi
  echo "$line"
done
exit $failed
