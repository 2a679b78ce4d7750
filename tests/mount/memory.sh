#!/usr/bin/env bash
# The memory of a mount is bounded by --cache-size, and does not grow with the files that came and went.
# CHORDFS_MEMORY_FILES (600) a round, CHORDFS_MEMORY_ROUNDS (4): more by hand.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

files=${CHORDFS_MEMORY_FILES:-600} rounds=${CHORDFS_MEMORY_ROUNDS:-4}
start_ring a
mount_options=(--cache-size 16M)
mount_ring small a
mkdir "$(at small)/work"
python3 "$here/memory.py" "$(at small)/work" "${mount_pid[small]}" "$files" "$rounds" >"$work/rounds" || fail "the rounds"
sed 's/^/      KiB held, KiB at most: /' "$work/rounds"
# What is held after the last round is what was held after the first but one: that one has filled the caches.
awk '{ held[NR] = $1 } END { exit held[NR] > 1.15 * held[2] }' "$work/rounds" || fail "memory grows: $(cat "$work/rounds")"
# The program itself, the caches, and what is on its way into and out of them.
awk '{ most = $2 } END { exit most > 4 * 16 * 1024 }' "$work/rounds" || fail "16M of caches: $(cat "$work/rounds")"
step "memory stays, over $rounds rounds of $files files and 64 MiB, with caches of 16 MiB"
finish
