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
for name in a b c; do
  json 'first["endpoint"] and first["arcs"]' files "$(peer $name)"
  cat "$work/json"
done >"$work/files"
for path in /a/large /a/b/small /copy/b/moved; do
  [ "$(grep -c "\"path\":\"$path\".*\"record\":true" "$work/files")" -eq 1 ] || fail "the record of $path is not on one node"
done
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

# Interrupted: as slow as it is told to be, so it is certainly under way.
temporary() { chordfs ls -a / 2>/dev/null | grep -q '^\.chordfs-put\.' || chordfs ls / | grep -q '^\.chordfs-put\.'; }
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
interrupted temporary put --limit 20K "$work/large" /interrupted
temporary && fail "an interrupted put leaves its part"
must_fail "an interrupted put is there" chordfs cat /interrupted
interrupted "test -e $work/slow.part" get --limit 20K /a/large "$work/slow"
[ ! -e "$work/slow.part" ] && [ ! -e "$work/slow" ] || fail "an interrupted get leaves something"
interrupted "test -s $work/slow.part" get --resume --limit 200K /a/large "$work/slow"
[ -e "$work/slow.part" ] || fail "get --resume does not keep its part"
chordfs get --resume /a/large "$work/slow"
cmp "$work/large" "$work/slow"
step "interrupted, undone, resumed"

chordfs rm -r /a /copy
[ -z "$(chordfs ls /)" ] || fail "something is left: $(chordfs ls /)"
leave_node c a
wait_until "the ring has 2 nodes" 60 ring_has a 2
step "gone"
finish
