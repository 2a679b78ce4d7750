#!/usr/bin/env bash
# Some thousand calls, each done on the mount and in a native directory: results, errno and attributes are the same.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring m a
mkdir "$work/native" "$(at m)/ring"
[ "$(id -u)" -eq 0 ] || step "not root: owners and other users' permissions are left out"
python3 "$here/posix_basics.py" "$work/native" "$(at m)/ring"
finish
