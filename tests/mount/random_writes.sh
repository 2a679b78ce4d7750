#!/usr/bin/env bash
# Random writes: fio, which verifies what it wrote; then random writes, truncates, appends and holes in step with a
# native file. Both are read again by another mount through another node.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring here a
mount_ring there b

random_write() {  # random_write NAME FIO-OPTIONS...
  local name=$1 job
  shift
  job=(--name="$name" --rw=randwrite --ioengine=psync --bsrange=4k-64k --fallocate=none --randseed=20 --invalidate=1
    --verify=crc32c --verify_fatal=1 --verify_state_save=0 --group_reporting --minimal "$@")
  fio "${job[@]}" --filename="$(at here)/$name" --do_verify=1 >"$work/log/fio.$name" 2>&1 ||
    { tail -5 "$work/log/fio.$name" >&2; fail "fio $name"; }
  fio "${job[@]}" --filename="$(at there)/$name" --verify_only=1 >"$work/log/fio.$name" 2>&1 ||
    { tail -5 "$work/log/fio.$name" >&2; fail "fio $name, verified through the other mount"; }
  step "fio $name: $*"
}
random_write buffered --size=96m
random_write synced --size=24m --fsync=16
random_write o_sync --size=8m --sync=1
random_write overwritten --size=16m --loops=2 --io_size=32m --norandommap=0

python3 "$here/random_writes.py" "$work/native" "$(at here)/beside" "$(at there)/beside" "${CHORDFS_TEST_SEED:-20}" 3000
finish
