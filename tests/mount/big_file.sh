#!/usr/bin/env bash
# Half a GiB (CHORDFS_TEST_MIB=1024: a whole one) that compresses in no way, written through one mount and read by another through another node.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=${CHORDFS_TEST_MIB:-512}
# Always the same bytes: AES in counter mode under a fixed key.
generate() {
  set +o pipefail
  openssl enc -aes-256-ctr -nosalt -K "$(printf '%064d' 20)" -iv "$(printf '%032d' 0)" -in /dev/zero 2>/dev/null |
    head -c $((mib * 1024 * 1024))
}
start_ring a b c
mount_ring writer a
mount_ring reader c

expected=$(generate | sha256sum)
start=$EPOCHREALTIME
generate | dd of="$(at writer)/big" bs=1M iflag=fullblock conv=fsync status=none
speed() { echo "$mib $start $EPOCHREALTIME" | awk '{ printf "%.0f MiB/s", $1 / ($3 - $2) }'; }
step "written and synced: $mib MiB, $(speed)"

[ "$(stat -c %s "$(at reader)/big")" -eq $((mib * 1024 * 1024)) ] || fail "size: $(stat -c %s "$(at reader)/big")"
start=$EPOCHREALTIME
[ "$(sha256sum <"$(at reader)/big")" = "$expected" ] || fail "SHA-256 differs"
step "read through another node, $(speed): $expected"

# From the middle, not aligned to anything.
cmp <(generate | tail -c +300000002 | head -c 5000000) <(tail -c +300000002 "$(at reader)/big" | head -c 5000000) ||
  fail "a piece from the middle differs"
rm "$(at reader)/big"
must_fail "stat of what the other mount has removed" stat "$(at writer)/big"
stored() { du -sm "$work/data" | cut -f 1; }
shrunk() { [ "$(stored)" -lt $((mib / 2)) ]; }
wait_until "the nodes give the space back (they hold $(stored) MiB)" 120 shrunk
step "a piece from the middle; removed, and the nodes hold $(stored) MiB"
finish
