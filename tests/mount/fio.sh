#!/usr/bin/env bash
# fio with checksums in every block: each engine, buffered and O_DIRECT, several jobs; read back at once, and once more
# through another node.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring m a

verified() {  # verified NAME OPTION...: writes, and reads what it wrote while it writes and at the end.
  local name=$1
  mkdir -p "$(at m)/$name"
  fio --name="$name" --directory="$(at m)/$name" --size=6m --numjobs=3 --thread --randrepeat=1 --verify=crc32c --verify_fatal=1 \
    --group_reporting --output="$work/log/fio" "${@:2}" >"$work/log/fio.err" 2>&1 ||
    { cat "$work/log/fio.err" "$work/log/fio" >&2; fail "fio $name"; }
}
run() {
  verified "$@"
  step "$1: written and verified"
}
each() {  # each FUNCTION: with every combination.
  "$1" psync --ioengine=psync --rw=randwrite --bsrange=512-64k
  "$1" psync-mixed --ioengine=psync --rw=randrw --bs=4k --verify_backlog=64 --fsync=100
  "$1" psync-direct --ioengine=psync --direct=1 --rw=randwrite --bsrange=4k-128k
  "$1" mmap --ioengine=mmap --rw=randwrite --bs=4k --fsync=500
  "$1" libaio --ioengine=libaio --iodepth=16 --rw=randwrite --bs=8k
  "$1" libaio-direct --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bsrange=4k-64k
  "$1" io_uring --ioengine=io_uring --iodepth=16 --rw=randwrite --bs=8k
  "$1" io_uring-direct --ioengine=io_uring --iodepth=16 --direct=1 --rw=randwrite --bsrange=4k-64k
  "$1" sync-appended --ioengine=sync --rw=write --bs=20k --sync=1 --size=1m
}
each run
remount_ring m c
# fio cannot repeat a mixed run: its reads were of other places.
again() { [ "$1" = psync-mixed ] || verified "$@" --verify_only; }
each again
step "all of them once more after a fresh mount"
finish
