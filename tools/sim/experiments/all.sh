#!/usr/bin/env bash
# All experiments, one after the other, with their JSON, tables and pictures in a folder; half an hour to an hour of CPU.
#   tools/sim/experiments/all.sh [FOLDER] [chordfs-sim experiment's options, as --seed 7 or --quick]
# Ends with 1 if something was worse than its tolerance.
set -euo pipefail

here=$(cd "$(dirname "$0")/../../.." && pwd)
sim=${CHORDFS_BIN:-$here/build/bin}/chordfs-sim
# A simulation makes and drops small objects by the million: glibc is to keep more than seven of a size at hand.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.tcache_count=1000}
out=${1:-$here/build/experiments}
shift || true
mkdir -p "$out"
worse=0
for name in load virtual-nodes path-length failures churn latency stretch exploration storage speed; do
  if "$sim" experiment "$name" --json "$@" >"$out/$name.json"; then result=ok; else result=WORSE worse=1; fi
  echo "$name: $result"
  case $name in
    load | virtual-nodes | path-length | failures | churn) "$sim" plot "$out/$name.json" -o "$out/$name.svg" ;;
  esac
done
git -C "$here" log -1 --format='made by %h' >"$out/commit" 2>/dev/null || true
exit $worse
