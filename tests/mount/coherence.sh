#!/usr/bin/env bash
# Two mounts that each answer from memory what was leased to them: what one has changed the other sees at its next call;
# a file that was opened without a question outlives its name; a mount that is frozen holds up nobody for long, and when it
# goes on it sees what happened meanwhile; a warm stat asks nobody.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring one a
mount_ring two c
wait_whole a

python3 -B "$here/coherence.py" "$(at one)" "$(at two)" || fail "the mounts do not agree"
step "names, attributes, contents and listings, changed here and looked at there: always as they are"

python3 -B "$here/coherence_open.py" "$(at one)" "$(at two)" || fail "the mounts do not agree on a file that both have open"
step "one file open through both, written without fsync: the next read, stat and mapped page there shows it"

python3 -B "$here/coherence_shared.py" "$(at one)" "$(at two)" || fail "one file written through both mounts at once"
step "one file that a program on each writes at the same time, in the same pages: no call failed, nothing is lost"

one=$(at one) two=$(at two)
seq 100000 >"$work/open"
cp "$work/open" "$one/open"
cat "$two/open" >/dev/null
for _ in $(seq 40); do stat "$two/open" >/dev/null; sleep 0.02; done  # Until it is leased.
exec 7<"$two/open"
rm "$one/open"
sleep 3  # The leader looks for orphans twice a second.
cmp "$work/open" - <&7 || fail "a file that two had open went with its name"
exec 7<&-
step "a file that two opened by its lease alone outlived the name that one took away"

echo before >"$one/frozen"
for _ in $(seq 40); do cat "$two/frozen" >/dev/null; sleep 0.02; done
kill -s STOP "${mount_pid[two]}"
echo after >"$one/frozen" || fail "a frozen mount made a write fail"
echo more >"$one/beside" || fail "a frozen mount made a create fail"
kill -s CONT "${mount_pid[two]}"
[ "$(cat "$two/frozen")" = after ] || fail "a mount that was frozen reads what it had cached"
[ "$(cat "$two/beside")" = more ] || fail "a mount that was frozen misses a new file"
step "one frozen mount: the other went on, and the frozen one read the truth when it woke"
finish
