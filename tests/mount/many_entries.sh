#!/usr/bin/env bash
# A directory of 8,000 files (CHORDFS_TEST_ENTRIES: others): created, listed, asked for each, half removed, listed again; by two mounts.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring one a
mount_ring two b
python3 "$here/many_entries.py" "$(at one)/many" "$(at two)/many" "${CHORDFS_TEST_ENTRIES:-8000}"
finish
