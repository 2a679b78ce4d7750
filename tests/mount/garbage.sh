#!/usr/bin/env bash
# Mounts are killed while programs write: the blocks that no file came to name go, those that one names stay; and what is
# deleted makes room, until far more was written than there is space.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

volume_mb=320
for name in a b c; do
  mkdir "$work/data/$name"
  mount -t tmpfs -o "size=${volume_mb}m" none "$work/data/$name" 2>/dev/null || skip "mounting a tmpfs is not permitted here"
done
node_options=(--sweep-every 2)
start_ring a b c
wait_whole a

# Bytes in the blocks of a node's disk: files with headers and checksums, see daemon/store/FORMAT.md.
held() {
  find "$work/data/$1/blocks" -type f -not -name '.put-*' -printf '%s\n' 2>/dev/null |
    awk '{ pieces = int(($1 - 52 + 16387) / 16388); sum += $1 - 52 - 4 * pieces } END { printf "%d\n", sum }'
}
# Bytes of the blocks that files name: each file here was written once, so no block is named in part.
named() { find "$(at m)" -type f -printf '%b\n' | awk '{ sum += $1 * 512 } END { printf "%d\n", sum }'; }
used() { df -k --output=used "$(at m)" | tail -n 1; }

mount_ring m a
used_before=$(used)
step "three nodes on disks of $volume_mb MB; $used_before KB used"

write_on() {  # Until the mount is gone.
  local number=0
  while dd if=/dev/zero of="$(at m)/$1.$number" bs=64K count=400 status=none 2>/dev/null; do number=$((number + 1)); done
  true
}
kill_mount() {
  kill -s KILL "${mount_pid[$1]}"
  wait_until "mount $1 is gone" 60 gone "${mount_pid[$1]}"
  wait "${mount_pid[$1]}" 2>/dev/null || true
  unset "mount_pid[$1]"
  wait_until "fusermount3 -u $1" 60 unmounted "$1"
}
for round in 1 2 3; do
  before=$(held a)
  write_on "$round" &
  writer=$!
  background+=("$writer")
  under_way() { [ "$(held a)" -ge $((before + 5000000)) ]; }
  wait_until "blocks of round $round are stored" 120 under_way
  kill_mount m
  wait "$writer" || fail "the writer of round $round failed"
  background=()
  mount_ring m b
  step "a mount was killed: $(held a) bytes of blocks, $(named) of them named"
done

all_named() {
  local bytes name
  bytes=$(named)
  for name in a b c; do [ "$(held "$name")" -eq "$bytes" ] || return 1; done
}
wait_until "every node holds what files name, and no more" 300 all_named
find "$(at m)" -type f -exec cat {} + >/dev/null || fail "something cannot be read"
grep -ch 'blocks that no file names are deleted' "$work"/log/node-*.log | awk '{ sum += $1 } END { exit sum == 0 }' ||
  fail "nothing was found to delete: no mount was killed in time"
step "its garbage is gone: $(named) bytes of blocks, all of them named"

nothing_held() { local name; for name in a b c; do [ "$(held "$name")" -eq 0 ] || return 1; done; }
for round in 1 2 3 4; do
  for number in 1 2 3; do
    dd if=/dev/zero of="$(at m)/large.$number" bs=1M count=40 conv=fsync status=none || fail "no room in round $round"
  done
  rm -f "$(at m)"/*
  # Once the mount that deleted them is gone before the blocks are.
  [ "$round" -ne 2 ] || { unmount_ring m; mount_ring m c; }
  wait_until "the space of round $round comes back" 300 nothing_held
done
# The records' own log is all that may have grown.
room_is_back() { [ "$(used)" -le $((used_before + 65536)) ]; }
wait_until "df tells of the room" 60 room_is_back
step "480 MB written and deleted on disks of $volume_mb MB: $(used) KB used"

chordfs verify --via "$(peer a)" >"$work/log/verify" 2>&1 || { tail -n 5 "$work/log/verify" >&2; fail "chordfs verify"; }
unmount_ring m
for name in a b c; do stop_node "$name"; umount "$work/data/$name"; done
finish
