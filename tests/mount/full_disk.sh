#!/usr/bin/env bash
# A node's disk runs full under a mount at work: writers hear ENOSPC, nothing that was acknowledged is lost, reading goes
# on, and with more space writing does, too.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir "$work/data/a"
mount -t tmpfs -o size=64m none "$work/data/a" 2>/dev/null || skip "mounting a tmpfs is not permitted here"

start_node a
mount_ring m a
m=$(at m)
head -c 8000000 /dev/urandom >"$work/kept"
cp "$work/kept" "$m/kept"
sync "$m/kept"

# Until it says so: far more than there is room for.
full() {
  ! dd if=/dev/urandom of="$m/$1" bs=1M count=200 conv=fsync status=none 2>"$work/log/dd"
}
full large || fail "200 MB fitted on a disk of 64"
grep -q 'No space left on device' "$work/log/dd" || fail "a full disk is told as: $(cat "$work/log/dd")"
step "a full disk: $(tail -n 1 "$work/log/dd")"

cmp "$work/kept" "$m/kept" || fail "what was acknowledged is not there any more"
running "${node_pid[a]}" || fail "the node has ended"
grep -i 'space\|full' "${node_log[a]}" | tail -n 1 || true
step "reading goes on"

mount -o remount,size=512m "$work/data/a"
copied() { cp "$work/kept" "$m/again" 2>/dev/null && sync "$m/again" 2>/dev/null; }
wait_until "writing goes on when there is room" 120 copied
cmp "$work/kept" "$m/again"
remount_ring m a
cmp "$work/kept" "$m/again"
cmp "$work/kept" "$m/kept"
step "with more room, so does writing"

restart() { stop_node a; restart_node a; }
unmount_ring m
restart
mount_ring m a
cmp "$work/kept" "$m/kept"
cmp "$work/kept" "$m/again"
step "the same after a restart"
unmount_ring m
stop_node a
finish
