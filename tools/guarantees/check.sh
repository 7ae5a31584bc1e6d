#!/usr/bin/env bash
# Whether every test that a document names exists and runs: docs/GUARANTEES.md, or the documents given.
#
#   bash tools/guarantees/check.sh [FILE..]
#
# A name is a code span of lower case with `::` in it, its folders separated by `/`:
#
#   `guarantees/read::p02_a_held_snapshot_never_changes`  tests/guarantees/read.rs; so for each folder or file of tests/
#   `both_servers/waiting::own_writes_are_read`          a case of tests/real.rs
#   `trie/sharing::a_change_copies_one_path`            a unit test in src/; modules called `tests` are left out
#   `::p02_another`                                     another test of the place named before
#   `trie/model::*`, `guarantees/streams::p05_*`          at least one
#
# A test's name without its place is an error too, since nothing would check it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

(($# > 0)) || set -- docs/GUARANTEES.md

# The tests of a target that are run (or, with --ignored, those that are not), one a line.
list() { # <--lib | --test> [name] -- [--ignored]
  cargo test --quiet "${@:1:$#-1}" -- --list --format terse ${!#} 2>/dev/null | sed -n 's/: test$//p' | sort -u
}
running() { # <--lib | --test> [name]
  comm -23 <(list "$@" "") <(list "$@" --ignored)
}

# Where names can point to: one `place::test` a line, as the documents write it with `::` for `/`.
tests() {
  running --lib | sed 's/\(^\|::\)tests::/\1/g'
  local main target
  for main in tests/*.rs tests/*/main.rs; do
    target=${main#tests/} target=${target%/main.rs} target=${target%.rs}
    grep -qE "^\`?$target(/|::)|\`$target(/|::)" "$@" || continue
    running --test "$target" | sed "s/^/$target::/"
  done
  # The cases are listed once for each server, without their module.
  if grep -q '`both_servers/' "$@"; then
    local cases
    cases=$(running --test real | sed 's/.*:://' | sort -u)
    sed -n 's/.*case!(\([a-z_]*\)::\([a-z_0-9]*\)).*/\2 \1/p' tests/both_servers/mod.rs | sort |
      join - <(printf '%s\n' "$cases") | awk '{ print "both_servers::" $2 "::" $1 }'
  fi
}

known=$(tests "$@")
[[ $known == *::* ]] || { echo "no tests found: does cargo test build?"; exit 1; }

printf '%s\n' "$known" | awk '
  function wrong(what) {
    printf "%s:%d: `%s`: %s\n", FILENAME, FNR, span, what
    failed = 1
  }
  function any(prefix,    name) {
    for (name in exists) if (index(name, prefix) == 1) return 1
    return 0
  }
  NR == FNR {
    exists[$0] = 1
    last = $0
    sub(/.*::/, "", last)
    bare[last] = 1
    next
  }
  FNR == 1 { place = "" }
  {
    parts = split($0, spans, "`")
    for (part = 2; part <= parts; part += 2) {
      span = spans[part]
      if (span !~ /^[a-z0-9_\/]*::[a-z0-9_]*[*]?$/) {
        if (span in bare || span ~ /^([.][.]_|p[0-9][0-9]_)/) wrong("a test without its place, or `::`")
        continue
      }
      name = span
      if (name ~ /^::/) name = place name
      else { place = name; sub(/::.*/, "", place) }
      gsub("/", "::", name)
      sub(/(^|::)tests::/, "::", name)
      sub(/^::/, "", name)
      checked++
      if (name ~ /[*]$/) {
        if (!any(substr(name, 1, length(name) - 1))) wrong("no test has such a name")
      } else if (!(name in exists)) wrong("no such test runs")
    }
  }
  END {
    if (!checked) { print "no test is named"; failed = 1 }
    printf "%d names of tests, %s\n", checked, failed ? "some of them wrong" : "all of them of tests that run"
    exit failed
  }
' - "$@"
