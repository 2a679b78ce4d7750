#!/usr/bin/env bash
# ChordFS beside sshfs and the disk itself, by ../shared/bench/bench.py (root only). Prints its table.
#
#   tools/bench/run.sh [BENCH-OPTIONS...]     for example: --reps 1 --workloads seq --scale 0.1
#
# BENCH_TARGETS="chordfs ext4": other targets; CHORDFS_BENCH: where bench.py lies; CHORDFS_BIN: other programs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

bench=${CHORDFS_BENCH:-$root/../shared/bench}
if [ ! -e "$bench/bench.py" ]; then
  echo "bench: there is no $bench/bench.py here: nothing to run (CHORDFS_BENCH says where it is)" >&2
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "bench: needs root, for mounts and network namespaces" >&2
  exit 1
fi

packages=(fio sshfs openssh-server openssh-client iproute2 attr)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  # A policy that says no, for the time of the installation: the benchmark starts an sshd of its own.
  apt-get update -qq
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

export CHORDFS_BIN=${CHORDFS_BIN:-$root/build/bin} PEERBENCH_TARGETS=$bench/targets
if [ "$CHORDFS_BIN" = "$root/build/bin" ]; then
  "$root/packaging/install-build-deps.sh"
  cmake -S "$root" -B "$root/build" -G Ninja >/dev/null
  cmake --build "$root/build" --target chordfs-node chordfs-mount chordfs | tail -n 1
fi

targets=()
for target in ${BENCH_TARGETS:-chordfs sshfs ext4}; do
  [ "$target" != chordfs ] || target=$here/chordfs.sh
  targets+=("$target")
done
python3 "$bench/bench.py" "${targets[@]}" --relative-to sshfs --work "${BENCH_WORK:-/var/tmp/chordfs-bench}" "$@"
