#!/usr/bin/env bash
# SQLite: rollback journal and write-ahead log under two processes, of which one is killed in the middle again and again;
# one database written from two mounts, also with a journal that a killed writer left to the other mount.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring one a
mount_ring two c
sqlite() { CHORDFS_TEST=$work python3 "$here/sqlite.py" "$@"; }
lines() { if [ -e "$1" ]; then wc -l <"$1"; else echo 0; fi; }
has_lines() { [ "$(lines "$1")" -ge "$2" ]; }
start_writer() {  # start_writer DATABASE WHO: its log is WHO.log; its number goes to $last.
  CHORDFS_TEST=$work python3 "$here/sqlite.py" write "$1" "$work/$2.log" "$2" 2>>"$work/$2.err" &
  last=$!
  background+=("$last")
  disown "$last"
}
goes_on() {  # goes_on WHO PID N: until it has committed N more.
  logged_or_dead() { has_lines "$work/$1.log" "$3" || gone "$2"; }
  wait_until "$1 commits" 300 logged_or_dead "$1" "$2" $(($(lines "$work/$1.log") + $3))
  running "$2" || { cat "$work/$1.err" >&2; fail "$1 ended by itself"; }
}
killed() { kill -s KILL "$1"; wait_until "the writer is dead" 60 gone "$1"; }

for mode in delete wal; do
  database=$(at one)/$mode.db
  sqlite make "$database" $mode
  start_writer "$database" $mode-stays
  stays=$last
  for round in $(seq 6); do
    start_writer "$database" $mode-killed
    victim=$last
    goes_on $mode-killed "$victim" $((round * 2))
    killed "$victim"
    goes_on $mode-stays "$stays" 3
  done
  killed "$stays"
  acknowledged=$(sqlite check "$database" "$work/$mode"-*.log) || fail "$mode: see above"
  remount_ring one b
  sqlite check "$database" "$work/$mode"-*.log >"$work/log/check" || fail "$mode, after a fresh mount: see above"
  step "$mode: 7 writers killed, $acknowledged transactions acknowledged, all there; whole"
done

database=$(at one)/shared.db
other=$(at two)/shared.db
sqlite make "$database" delete
for round in $(seq 3); do
  start_writer "$database" shared-killed
  goes_on shared-killed "$last" 3
  killed "$last"
  sqlite write "$other" "$work/shared-two.log" shared-two 3 || fail "after a writer on the other mount was killed"
done
step "the other mount finds what killed writers left, and goes on"
writers=()
for who in one-a two-a one-b two-b; do
  sqlite write "$(at ${who%-*})/shared.db" "$work/shared-$who.log" "shared-$who" 25 &
  writers+=($!)
done
for pid in "${writers[@]}"; do wait "$pid" || fail "a writer failed"; done
acknowledged=$(sqlite check "$other" "$work"/shared-*.log) || fail "from two mounts: see above"
[ "$(sqlite check "$database" "$work"/shared-*.log)" = "$acknowledged" ] || fail "the mounts see different databases"
[ "$(cat "$work"/shared-{one,two}-?.log | wc -l)" -eq 100 ] || fail "100 transactions, logged $(cat "$work"/shared-{one,two}-?.log | wc -l)"
step "four writers on two mounts: $acknowledged transactions acknowledged, all there; whole"
finish
