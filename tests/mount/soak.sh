#!/usr/bin/env bash
# Less than a minute of what tests/soak/soak.py does for hours: nodes killed, frozen, cut off, wiped and replaced at random
# while two mounts write; everything acknowledged is there. CHORDFS_TEST_SECONDS, CHORDFS_TEST_SEED; CHORDFS_TEST_STRICT=1,
# on a machine that has nothing else to do: no error reaches the writers while at most one node is disturbed.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CHORDFS_TEST=$work CHORDFS_BIN=$bin python3 "$here/../soak/soak.py" --seconds "${CHORDFS_TEST_SECONDS:-45}" \
  ${CHORDFS_TEST_SEED:+--seed "$CHORDFS_TEST_SEED"} --directory "$work/soak" --verbose ${CHORDFS_TEST_STRICT:+--strict} &
soak=$!
# It removes its namespaces when it is told to end; clean_up would only kill it.
trap 'kill -s TERM $soak; wait $soak; exit 130' INT TERM HUP
code=0
wait "$soak" || code=$?
[ $code -eq 0 ] || fail "the soak ended with code $code"
finish
