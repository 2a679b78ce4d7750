#!/usr/bin/env bash
# The command on a real ring, without a mount: every subcommand, its JSON, its exit codes and one-line errors, and
# transfers that are interrupted.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
CHORDFS_VIA=$(peer a)
export CHORDFS_VIA
: >"$work/log/mount-none.log"  # No mount here.

# ends_with CODE PATTERN COMMAND...: the exit code, and one line on stderr that matches.
ends_with() {
  local code=$1 pattern=$2 got=0
  shift 2
  chordfs "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
  [ $got -eq "$code" ] || fail "chordfs $* ends with $got instead of $code: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" -eq 1 ] || fail "chordfs $* does not say one line: $(cat "$work/err")"
  grep -qE -- "$pattern" "$work/err" || fail "chordfs $* says: $(cat "$work/err")"
}
# json EXPRESSION COMMAND...: with every line of its output as `all`.
json() {
  local expression=$1
  shift
  chordfs "$@" --json >"$work/json" || fail "chordfs $* --json"
  python3 -c '
import json, sys
all = [json.loads(line) for line in open(sys.argv[1])]
first = all[0] if all else None
assert eval(sys.argv[2]), (sys.argv[2], all)' "$work/json" "$expression" || fail "chordfs $* --json: see above"
}

head -c 5000000 /dev/urandom >"$work/large"
echo 'Nothing is lost.' >"$work/small"

chordfs mkdir -p /a/b
chordfs put "$work/large" /a/large
chordfs put "$work/small" /a/b/
chordfs put - /a/piped <"$work/small"
chordfs cat /a/b/small /a/piped | cmp - <(cat "$work/small" "$work/small")
chordfs get /a/large "$work/back"
cmp "$work/large" "$work/back"
[ "$(chordfs ls /a)" = $'b/\nlarge\npiped' ] || fail "ls /a: $(chordfs ls /a)"
chordfs ls -l /a | grep -qE '^-rw.* 4\.8 MiB .* large$' || fail "ls -l: $(chordfs ls -l /a)"
chordfs mv /a/piped /a/b/moved
[ "$(chordfs ls /a/b)" = $'moved\nsmall' ] || fail "ls /a/b: $(chordfs ls /a/b)"
chordfs get -r /a "$work/tree"
cmp "$work/large" "$work/tree/large"
chordfs put -r "$work/tree" /copy
[ "$(chordfs cat /copy/b/moved)" = 'Nothing is lost.' ] || fail "put -r"
step "in and out"

json 'len(first["nodes"]) == 3 and first["arcs"] == 256 and all[0]["nodes"][0]["state"] == "up"' ring
json 'first["path"] == "/a/large" and first["hops"] and len(first["key"]) == 40' locate /a/large --trace
json 'first' fingers "$(peer b)"
json 'first' ls /a
json 'len(first["nodes"]) == 3' watch --count 1
# The nodes are asked one after the other, and copies may still be on their way to the newest.
records_on_all_nodes() {
  local name path
  for name in a b c; do
    json 'first["endpoint"] and first["arcs"]' files "$(peer $name)"
    cat "$work/json"
  done >"$work/files"
  for path in /a/large /a/b/small /copy/b/moved; do
    [ "$(grep -c "\"path\":\"$path\".*\"record\":true" "$work/files")" -eq 3 ] || return 1
  done
}
wait_until "each record is on all three nodes" 120 records_on_all_nodes
grep -q '"path":"/a/large".*"blocks_here":[1-9]' "$work/files" || fail "no node stores blocks of /a/large"
chordfs fingers "$(peer b)" | grep -qi lookups || fail "fingers tells nothing of lookups"
chordfs ring --drawing | grep -q ring || fail "ring --drawing"
step "what is where"

# Quiet when not a terminal.
chordfs put "$work/large" /a/quiet 2>"$work/err" >"$work/out"
[ ! -s "$work/err" ] && [ ! -s "$work/out" ] || fail "put is not quiet: $(cat "$work/err" "$work/out")"

ends_with 1 '/absent' cat /absent
ends_with 1 '/a' rm /a
ends_with 1 '/absent' get /absent "$work/nothing"
ends_with 1 "$work/absent" put "$work/absent" /x
ends_with 1 '/a' mkdir /a
ends_with 1 '/a/large' ls /a/large/below
ends_with 3 'no node answered' ring --via "$(free_port)"
ends_with 2 'abc' ring --via abc
ends_with 2 '0' leave 0
code=0
chordfs frobnicate >/dev/null 2>&1 || code=$?
[ $code -eq 2 ] || fail "a subcommand that does not exist ends with $code"
[ ! -e "$work/nothing" ] || fail "a get that failed has left a file"
python3 - <<'PY' >"$work/port" &
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"220 no ring here\r\n"); c.close()
PY
background+=($!)
stranger=$!
wait_until "a server that is no node" 60 test -s "$work/port"
ends_with 1 'ChordFS' ring --via "$(cat "$work/port")"
kill $stranger
step "errors"

# Interrupted: at a byte a second it takes weeks, so it is certainly under way.
temporary() { chordfs ls / | grep -q '^\.chordfs-put\.'; }
interrupted() {  # interrupted "begun" COMMAND...
  local begun=$1 pid code=0
  shift
  CHORDFS_TEST=$work "$bin/chordfs" "$@" >"$work/out" 2>"$work/err" </dev/null &
  pid=$!
  wait_until "chordfs $1 is under way" 60 $begun
  kill -s INT $pid
  wait $pid || code=$?
  [ $code -eq 1 ] || fail "chordfs $1 interrupted ends with $code: $(cat "$work/err")"
}
interrupted temporary put --limit 1 "$work/large" /interrupted
temporary && fail "an interrupted put leaves its part"
must_fail "an interrupted put is there" chordfs cat /interrupted
interrupted "test -e $work/slow.part" get --limit 1 /a/large "$work/slow"
[ ! -e "$work/slow.part" ] && [ ! -e "$work/slow" ] || fail "an interrupted get leaves something"
interrupted "test -s $work/slow.part" get --resume --limit 1 /a/large "$work/slow"
[ -e "$work/slow.part" ] || fail "get --resume does not keep its part"
chordfs get --resume /a/large "$work/slow"
cmp "$work/large" "$work/slow"
# From a pipe that never ends, and a tree.
mkfifo "$work/pipe"
sleep infinity >"$work/pipe" &
background+=($!)
CHORDFS_TEST=$work "$bin/chordfs" put - /endless <"$work/pipe" >"$work/out" 2>"$work/err" &
pid=$!
wait_until "put from a pipe is under way" 60 temporary
kill -s TERM $pid
code=0
wait $pid || code=$?
[ $code -eq 1 ] || fail "put from a pipe, interrupted, ends with $code"
temporary && fail "an interrupted put from a pipe leaves its part"
interrupted temporary put -r --limit 1 "$work/tree" /interrupted
temporary && fail "an interrupted put -r leaves its part"
interrupted "test -e $work/slow-tree.part" get -r --limit 1 /a "$work/slow-tree"
[ ! -e "$work/slow-tree" ] && [ ! -e "$work/slow-tree.part" ] || fail "an interrupted get -r leaves something"
step "interrupted, undone, resumed"

# On a terminal.
on_terminal() {  # on_terminal PATTERN ACTION CODE SUBCOMMAND...: the output is in $work/out.
  local code=$3 got=0
  CHORDFS_TEST=$work python3 "$here/terminal.py" "$1" "$2" "$bin/chordfs" "${@:4}" >"$work/out" 2>"$work/err" </dev/null || got=$?
  [ $got -eq "$code" ] || fail "chordfs ${*:4} on a terminal ends with $got instead of $code: $(cat "$work/err" "$work/out")"
}
on_terminal 'MiB/s.* left' INT 1 put --limit 1 "$work/large" /shown
grep -qE '[0-9]+% \[=+>? *\]' "$work/out" || fail "put shows no bar on a terminal: $(cat "$work/out")"
must_fail "an interrupted put is there" chordfs cat /shown
on_terminal 'of 4.8 MiB' none 0 get /a/large "$work/shown"
cmp "$work/large" "$work/shown"
on_terminal 'positions 24' q 0 watch
for sequence in '\[\?1049h' '\[\?1049l' '\[\?25h'; do
  grep -qE "$sequence" "$work/out" || fail "watch does not enter and leave its screen"
done
on_terminal 'positions 24' INT 1 watch
grep -qE '\[\?1049l' "$work/out" || fail "watch does not leave its screen when it is interrupted"
on_terminal 'positions 24' none 0 ring
step "on a terminal"

chordfs rm -r /a /copy
[ -z "$(chordfs ls /)" ] || fail "something is left: $(chordfs ls /)"
leave_node c a --force
wait_until "the ring has 2 nodes" 60 ring_has a 2
step "gone"
finish
