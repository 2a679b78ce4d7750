#!/usr/bin/env bash
# fcntl and flock between two mounts: conflicts, waiting, signals, deadlocks; what becomes of the locks of a process or
# a mount that is killed or stopped; a counter, a database and appends that both sides change at once.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring one a
mount_ring two c
one=$(at one)
two=$(at two)
locks() { CHORDFS_TEST=$work python3 "$here/locks.py" "$@"; }
start() { CHORDFS_TEST=$work python3 "$here/locks.py" "$@" 2>>"$work/log/locks.err" & last=$!; background+=("$last"); disown "$last"; }
exists() { [ -e "$1" ]; }
free() { locks try "$1" "$2"; }

locks facts "$one" "$two" >"$work/log/facts" 2>&1 || { cat "$work/log/facts" >&2; fail "see above"; }
step "conflicts, ranges, F_GETLK, closes, signals, EDEADLK ($(paste -sd, "$work/log/facts"))"

: >"$one/file"
for kind in fcntl flock ofd; do
  start hold $kind "$one/file" "$work/held.$kind"
  holder=$last
  wait_until "$kind is held" 30 exists "$work/held.$kind"
  must_fail "$kind that is held by the other mount" free $kind "$two/file"
  kill -s KILL "$holder"
  wait_until "$kind of a killed process is free" 30 free $kind "$two/file"
done
step "kill -9 of the process that holds a lock frees it"

printf '%020d' 0 >"$one/counter"
for side in "$one" "$two" "$one" "$two"; do locks counter "$side/counter" 50 & counting+=($!); done
for pid in "${counting[@]}"; do wait "$pid" || fail "a counter failed"; done
[ "$(cat "$one/counter")" = "$(printf '%020d' 200)" ] || fail "200 additions made $(cat "$one/counter")"
step "four programs on two mounts add 200 to a counter, under locks"

python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1]); c.execute("create table counter (value integer)")
c.execute("insert into counter values (0)"); c.execute("create table log (who integer, value integer unique)"); c.commit()' "$one/db"
locks database "$one/db" 20 & first=$!
locks database "$two/db" 20 & second=$!
wait $first || fail "sqlite on one"
wait $second || fail "sqlite on two"
python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
assert c.execute("pragma integrity_check").fetchone() == ("ok",), "integrity"
assert c.execute("select value from counter").fetchone() == (40,), c.execute("select value from counter").fetchone()
assert c.execute("select count(*), count(distinct who) from log").fetchone() == (40, 2)' "$two/db" || fail "the database is broken, or lost updates"
step "one sqlite database from two mounts: 40 transactions, none lost, whole"

: >"$one/log"
locks appends "$one/log" a 300 & first=$!
locks appends "$two/log" b 300 & second=$!
wait $first || fail "appending on one"
wait $second || fail "appending on two"
[ "$(grep -cx 'a\{99\}' "$two/log") $(grep -cx 'b\{99\}' "$one/log") $(stat -c %s "$one/log")" = "300 300 60000" ] ||
  fail "appended lines are lost or torn: $(sort "$two/log" | uniq -c | head -5)"
cmp "$one/log" "$two/log" || fail "the two sides read different files"
step "O_APPEND from both sides: no line lost or torn"

# A mount that is stopped for longer than its session lives, while a program has a lock and unsaved data.
start hold fcntl "$two/file" "$work/held.stopped"
wait_until "the lock is held" 30 exists "$work/held.stopped"
kill -s STOP "${mount_pid[two]}"
start wait fcntl "$one/file" "$work/woken"
wait_until "the lock of a stopped mount is passed on" 30 exists "$work/woken"
step "a mount that is stopped loses its lock: the waiter got it after $(cat "$work/woken") s"
kill -s CONT "${mount_pid[two]}"
: >"$work/held.stopped.end"
wait_until "the old holder writes" 30 exists "$work/held.stopped.wrote"
[ "$(cat "$work/held.stopped.wrote")" = EIO ] || fail "writing with a lock that is another's by now: $(cat "$work/held.stopped.wrote")"
[ ! -s "$one/file" ] || fail "written behind the new holder's back: $(cat "$one/file")"
echo again >"$two/file"
[ "$(cat "$one/file")" = again ] || fail "the woken mount is of no use any more"
step "when it wakes, the file's old handles fail; new ones work"

start hold flock "$two/file" "$work/held.dead"
holder=$last
wait_until "the lock is held" 30 exists "$work/held.dead"
kill -s KILL "${mount_pid[two]}"
wait_until "the mount is dead" 30 gone "${mount_pid[two]}"
fusermount3 -uz "$two"
unset "mount_pid[two]"
start wait flock "$one/file" "$work/woken.dead"
wait_until "the lock of a killed mount is passed on" 30 exists "$work/woken.dead"
step "kill -9 of a mount: the waiter got its lock after $(cat "$work/woken.dead") s"
: >"$work/held.dead.end"
wait_until "its holder ends" 30 gone "$holder"
finish
