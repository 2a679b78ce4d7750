#!/usr/bin/env bash
# Three nodes join and two leave while cp -a runs: the same tree, the leavers hold nothing, no block is held by more than three.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

real_tree "$work/tree"
start_ring a b c
mount_ring m b
mkdir "$(at m)/before"
cp -a "$work/tree/." "$(at m)/before"
step "three nodes; $(find "$work/tree" | wc -l) objects copied in"

copy_on() {  # Until told to stop, but once at least.
  local round=0
  until [ -e "$work/enough" ]; do
    round=$((round + 1))
    cp -a "$work/tree" "$(at m)/during$round" || return 1
    echo $round >"$work/rounds"
  done
}
CHORDFS_TEST=$work copy_on &  # Marked: what it started goes with it, should the test fail.
copier=$!
background+=("$copier")
read_on() {
  until [ -e "$work/enough" ]; do diff -r --no-dereference "$work/tree" "$(at m)/before" || return 1; done
}
CHORDFS_TEST=$work read_on >"$work/log/read_on" 2>&1 &
reader=$!
background+=("$reader")

leave() {
  leave_node "$1" "$2"
  running "$copier" || fail "cp -a ended while $1 left"
  step "$1 has left"
}
for name in d e f; do
  start_node "$name" a
  step "$name has joined"
done
leave a b
leave e d
running "$copier" || fail "cp -a was over before the last node had left"
: >"$work/enough"
wait "$copier" || fail "cp -a failed"
wait "$reader" || fail "a reader saw something else: $(head -5 "$work/log/read_on")"
background=()
rounds=$(cat "$work/rounds")
step "cp -a ran $rounds times meanwhile, and diff -r read on"

wait_until "the ring has four nodes" 60 ring_has b 4
remount_ring m f
for copy in before $(seq -f 'during%g' "$rounds"); do
  same_tree "$work/tree" "$(at m)/$copy"
done
step "every copy is the same tree"

# Blocks are files named by their identifier; see daemon/store/FORMAT.md.
blocks() { find "$work/data/$1" -type f -path '*/blocks/*' -printf '%f\n'; }
for name in a e; do
  left_none() { [ "$(blocks "$name" | wc -l)" -eq 0 ]; }
  wait_until "$name holds no block" 60 left_none
done
wait_whole b
copies() { for name in b c d f; do blocks "$name"; done | sort | uniq -c; }
at_most_three() { [ -z "$(copies | awk '$1 > 3')" ]; }
wait_until "no block is held more than three times" 60 at_most_three
count=$(copies | awk '$1 == 3' | wc -l)
[ "$count" -gt 0 ] || fail "no block is held by three nodes"
step "a and e hold nothing; $count blocks on three nodes each"
finish
