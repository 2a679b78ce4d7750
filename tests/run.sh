#!/usr/bin/env bash
# The test command: installs what is needed (as root), builds, runs every test, and once more those that are worth it under
# the address, undefined-behaviour and thread sanitizers, and the fuzz targets. The last line says how many passed and failed.
#
#   tests/run.sh [--quick] [CTEST-OPTIONS...]     --quick: no sanitizers. For example:  tests/run.sh --quick -R mount_git
#
# Builds in build/, build-asan/ and build-tsan/ of the checkout; CHORDFS_JOBS limits the jobs (default: one a processor).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=
if [ "${1-}" = --quick ]; then
  quick=yes
  shift
fi
jobs=${CHORDFS_JOBS:-$(nproc)}
passed=0
failed=0
skipped=0

say() { printf '\n==== %3d min %02d s: %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }

build() {  # build DIR SANITIZERS TARGET...: the targets that exist; a folder without such tests has none.
  local dir=$1 sanitizers=$2 known target targets=()
  shift 2
  say "building $dir: $*"
  cmake -S . -B "$dir" -G Ninja -DCHORDFS_SANITIZE="$sanitizers" >"$dir.log" || { cat "$dir.log"; return 1; }
  rm "$dir.log"
  known=$(ninja -C "$dir" -t targets all)
  for target in "$@"; do
    if grep -q "^$target: phony" <<<"$known"; then targets+=("$target"); fi
  done
  # Ninja shows a line a step: only the last ones are of use to a reader.
  if [ ${#targets[@]} -gt 0 ]; then
    ninja -C "$dir" -j "$jobs" "${targets[@]}" >"$dir/build.log" || { tail -n 60 "$dir/build.log"; return 1; }
    tail -n 1 "$dir/build.log"
  fi
}

run() {  # run DIR CTEST-OPTIONS...
  local dir=$1 log summary
  shift
  say "testing $dir: $*"
  log=$dir/ctest.log
  ctest --test-dir "$dir" -j "$jobs" --output-on-failure --no-tests=ignore "$@" | tee "$log" || true
  # "97% tests passed, 1 tests failed out of 33". Skipped tests are in the total and have not passed.
  summary=$(grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$log" || true)
  if [ -z "$summary" ]; then
    grep -q 'No tests were found' "$log" || failed=$((failed + 1))  # ctest itself fell.
    return 0
  fi
  local bad total omitted
  bad=$(sed -E 's/.*, ([0-9]+) tests failed.*/\1/' <<<"$summary")
  total=$(sed -E 's/.*out of ([0-9]+)/\1/' <<<"$summary")
  omitted=$(grep -cE '^ *[0-9]+/[0-9]+ Test.*\*\*\*Skipped' "$log" || true)
  failed=$((failed + bad))
  skipped=$((skipped + omitted))
  passed=$((passed + total - bad - omitted))
}

packaging/install-build-deps.sh
build build "" all
if [ -z "$quick" ]; then
  build build-asan address,undefined,fuzzer-no-link tests_unit tests_sim tests_fuzz
  build build-tsan thread tests_tsan
fi

export ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
run build "$@"
if [ -z "$quick" ]; then
  # The seeds were all run without sanitizers; here a tenth of the speed buys another look at a few of them.
  CHORDFS_SIM_SEEDS=${CHORDFS_SIM_SEEDS:-1} run build-asan -L 'unit|sim' -LE 'mount|slow' "$@"
  # Ten seconds for each target: CHORDFS_FUZZ_SECONDS.
  run build-asan -L fuzz "$@"
  run build-tsan -L tsan "$@"
fi

say "done"
[ $skipped -eq 0 ] || echo "$skipped skipped: their output above says why"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
