#!/usr/bin/env bash
# Starting a node or a mount with something that cannot be: one line on stderr that says what to do, the exit code that
# --help promises, and nothing touched. Then damage and a full disk under a running ring: an error, never wrong bytes.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refuses CODE "what" PATTERN COMMAND...: ends with this code, saying one line that matches. The timeout is a safety net.
refuses() {
  local wanted=$1 what=$2 pattern=$3 code=0
  shift 3
  CHORDFS_TEST=$work timeout 120 "$@" >"$work/log/refusal.out" 2>"$work/log/refusal" </dev/null || code=$?
  [ "$code" -eq "$wanted" ] || fail "$what: exit code $code, not $wanted: $(tail -3 "$work/log/refusal")"
  [ "$(wc -l <"$work/log/refusal")" -eq 1 ] || fail "$what: not one line: $(cat "$work/log/refusal")"
  grep -qE -- "$pattern" "$work/log/refusal" || fail "$what: does not say $pattern: $(cat "$work/log/refusal")"
  step "$what: $(cat "$work/log/refusal")"
}
left_out() { step "left out: $*"; }
node_program=$bin/chordfs-node
mount_program=$bin/chordfs-mount
node_refuses() {  # node_refuses CODE "what" PATTERN DATA ARGUMENT...
  local code=$1 what=$2 pattern=$3 data=$4
  shift 4
  refuses "$code" "$what" "$pattern" "$node_program" "$@" --data "$data" --listen 127.0.0.1
}
mount_refuses() {  # mount_refuses CODE "what" PATTERN POINT
  refuses "$1" "$2" "$3" "$mount_program" "$4" --via "${5:-$(peer a)}"
}
state_of() { (cd "$1" && find . -type f -printf '%P %s %T@\n' | sort); }
flip_bit() { python3 - "$1" "$2" <<'PY'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 1]))
PY
}

# ---- Ports and peers ----

no_data=$work/data/none
for port in 0 65536 -5 99999999999999999999; do node_refuses 2 "port $port" '1 to 65535|not a number' "$no_data" "$port"; done
node_refuses 2 "port abc" "'abc' is not a number" "$no_data" abc
node_refuses 2 "no port" 'port|see chordfs-node --help' "$no_data"
port=$(free_port)
for other in 0 65536 abc localhost:0 :6000; do node_refuses 2 "peer $other" 'PORT or HOST:PORT' "$no_data" "$port" "$other"; done
node_refuses 2 "itself as peer" 'cannot join through itself' "$no_data" "$port" "$port"
node_refuses 2 "an option that does not exist" 'chordfs-node --help' "$no_data" "$port" --fast
for n in 0 8 -1; do node_refuses 2 "--replicas $n" '--replicas: from 1 to 7, and odd' "$no_data" "$port" --replicas "$n"; done
for n in 2 4 6; do node_refuses 2 "--replicas $n" "--replicas $n: an odd number" "$no_data" "$port" --replicas "$n"; done
node_refuses 2 "--replicas many" 'replicas' "$no_data" "$port" --replicas many
node_refuses 2 "a zone of 65 bytes" '--zone: up to 64' "$no_data" "$port" --zone "$(printf 'z%.0s' {1..65})"
node_refuses 2 "a zone with a line break" '--zone: up to 64 printable' "$no_data" "$port" --zone $'rack\n1'
for n in 0 -5 999999999999; do
  node_refuses 2 "--evict-after $n" '--evict-after: seconds, from 1' "$no_data" "$port" --evict-after "$n"
done
node_refuses 2 "--sweep-every 0" '--sweep-every: seconds, from 1' "$no_data" "$port" --sweep-every 0
node_refuses 2 "--evict-after soon" 'evict-after' "$no_data" "$port" --evict-after soon
for other in 0 65536 abc; do mount_refuses 2 "mount by $other" 'PORT or HOST:PORT' "$work/mnt" "$other"; done
[ ! -e "$no_data" ] || fail "a wrong command line made a data directory"
# Help says the codes.
for program in "$node_program" "$mount_program"; do "$program" --help | grep -q 'Exit codes' || fail "$program --help: no exit codes"; done

closed=$(free_port)
node_refuses 3 "a peer that is not there" "no node answers at 127.0.0.1:$closed" "$work/data/n1" "$port" "$closed"
mkdir "$(at m)"
mount_refuses 5 "mount by a peer that is not there" "no node answered at 127.0.0.1:$closed" "$(at m)" "$closed"

# Something that speaks first, and not ChordFS.
python3 -c '
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
    kept[-1].sendall(b"220 mail.example.org ESMTP\r\n" * 40)
' >"$work/stranger" 2>/dev/null &
stranger_pid=$!
background+=("$stranger_pid")
wait_until "the stranger listens" 60 test -s "$work/stranger"
stranger=$(cat "$work/stranger")
node_refuses 3 "a peer that is no ChordFS node" "$stranger is not a ChordFS node" "$work/data/n2" "$port" "$stranger"
mount_refuses 6 "mount by a peer that is no ChordFS node" "$stranger is not a ChordFS node" "$(at m)" "$stranger"
node_refuses 1 "a port that another program has" "port $stranger is in use.*[Cc]hoose another" "$work/data/n3" "$stranger"
kill "$stranger_pid"
wait "$stranger_pid" 2>/dev/null || true

# ---- Data directories ----

start_node a
start_node other
node_refuses 1 "a port that a node has" "port ${node_port[a]} is in use.*[Cc]hoose another" "$work/data/n4" "${node_port[a]}"
node_refuses 1 "a data directory in use" "data/a is in use by a running chordfs-node \(pid ${node_pid[a]}\)" \
  "$work/data/a" "$port"

start_node b a
wait_until "the ring has two nodes" 60 ring_has a 2
stop_node b
node_refuses 1 "a data directory of another ring" 'data directory belongs to ring .*PEER of its own ring.*--data' "$work/data/b" \
  "${node_port[b]}" "$(peer other)"
start_node b a
wait_until "the ring has its two nodes again" 60 ring_has a 2
stop_node other

mkdir "$work/data/photos"
echo x >"$work/data/photos/cat.jpg"
node_refuses 1 "a directory with something else in it" "photos is not a ChordFS data directory.*'cat.jpg'.*--data" \
  "$work/data/photos" "$port"
[ "$(ls -A "$work/data/photos")" = cat.jpg ] || fail "a strange directory was touched: $(ls -A "$work/data/photos")"
: >"$work/data/file"
node_refuses 1 "a data directory that is a file" 'data/file is not a directory.*--data' "$work/data/file" "$port"

refused_untouched() {  # refused_untouched "what" PATTERN: the directory of `other`
  state_of "$work/data/other" >"$work/before"
  node_refuses 1 "$1" "$2" "$work/data/other" "$port"
  state_of "$work/data/other" | grep -v '^lock ' >"$work/after"
  grep -v '^lock ' "$work/before" | cmp -s - "$work/after" || fail "$1: touched: $(diff "$work/before" "$work/after")"
}
marker=$work/data/other/format
grep -q '^ChordFS data directory, format 3$' "$marker" || fail "the marker says: $(cat "$marker")"
cp -p "$marker" "$work/marker"
echo 'ChordFS data directory, format 7' >"$marker"
refused_untouched "a data directory of a newer version" 'has format 7.*newer version'
flip_bit "$marker" 3
refused_untouched "a damaged marker" 'other/format is damaged'
: >"$marker"
refused_untouched "an empty marker" 'other/format is damaged'
cp -p "$work/marker" "$marker"
mv "$work/data/other/records/CURRENT" "$work/CURRENT"
refused_untouched "records that are gone" 'records/CURRENT is missing'
mv "$work/CURRENT" "$work/data/other/records/CURRENT"
log=$(find "$work/data/other/records" -name '*.log' -size +0 | tail -1)
[ -n "$log" ] || fail "the node has no log"
flip_bit "$log" 20
refused_untouched "a flipped bit in the log" 'other/records.* damaged'
flip_bit "$log" 20
rm "$marker"
launch_node other
node_serves other
grep -q "format 3" "$marker" || fail "a directory of an earlier build was not marked"
step "whole again, and without a marker: adopted"
stop_node other

mkdir "$work/small"
if mount -t tmpfs -o size=1m,ro none "$work/small" 2>/dev/null; then
  node_refuses 1 "a read-only data directory" 'small.*Read-only file system.*--data' "$work/small" "$port"
  umount "$work/small"
else
  left_out "read-only data directory: mounting a tmpfs is not permitted"
fi

# ---- Mount points ----

mount_refuses 3 "a mount point that is missing" 'absent: there is no such directory' "$(at absent)"
: >"$work/mnt/file"
mount_refuses 3 "a mount point that is a file" 'not a directory' "$work/mnt/file"
mkdir "$(at filled)"
: >"$(at filled)/x"
mount_refuses 3 "a mount point that is not empty" 'not empty.*nonempty' "$(at filled)"
mount_ring m a
mount_refuses 3 "a mount point in use" 'mounted here already.*fusermount3 -u' "$(at m)"
# shellcheck disable=SC2016
hidden='mkdir -p "$0/dev" && mount --bind "$0/dev" /dev 2>/dev/null || exit 99; exec "$@"'
code=0
unshare -m bash -c "$hidden" "$work" true 2>/dev/null || code=$?
if [ $code -eq 0 ]; then
  mkdir -p "$(at nofuse)"
  exec 3</dev/null
  refuses 4 "no /dev/fuse" '/dev/fuse is missing' unshare -m bash -c "$hidden" "$work" "$mount_program" "$(at nofuse)" --via "$(peer a)"
else
  left_out "no /dev/fuse: a mount namespace is not permitted"
fi

# ---- Damage in what is stored ----

head -c 3000000 /dev/urandom >"$work/contents"
cp "$work/contents" "$(at m)/damaged"
cp "$work/contents" "$(at m)/sound"
unmount_ring m
location() { chordfs locate /damaged --via "$(peer a)" >/dev/null; }
location || fail "chordfs locate"
stop_node b
kill_all_nodes
python3 - "$work" <<'PY' || fail "no block was found to damage"
import glob, sys
work = sys.argv[1]
contents = open(work + "/contents", "rb").read()
# The same bytes are stored twice, once for each name: of the first of the two that is found every copy is damaged. (One
# damaged copy is no loss: status.sh.)
block = None
for path in sorted(glob.glob(work + "/data/[ab]/blocks/??/*")):
    data = open(path, "rb").read()
    if contents[2000000:2000100] in data and block in (None, path.rsplit("/", 1)[1]):
        with open(path, "r+b") as file:
            file.seek(data.index(contents[2000000:2000100]) + 50)
            file.write(bytes([contents[2000050] ^ 1]))
        block = path.rsplit("/", 1)[1]
if block is None:
    sys.exit(1)
open(work + "/damaged_file", "w").write(block)
PY
launch_node a
launch_node b
node_serves a
node_serves b
wait_until "the ring has its two nodes again" 60 ring_has a 2
mount_ring m a
bad=0
for name in damaged sound; do
  code=0
  timeout 120 cat "$(at m)/$name" >"$work/read" 2>"$work/log/read" || code=$?
  [ $code -ne 124 ] || fail "reading a damaged block hangs"
  cmp -s -n "$(stat -c %s "$work/read")" "$work/read" "$work/contents" || fail "wrong bytes were served from $name"
  if [ $code -eq 0 ]; then
    cmp -s "$work/read" "$work/contents" || fail "$name is short"
  else
    grep -q 'Input/output error' "$work/log/read" || fail "not EIO: $(cat "$work/log/read")"
    bad=$((bad + 1))
  fi
done
[ $bad -eq 1 ] || fail "$bad files failed, not the one whose block is damaged"
grep -qh "file $(cat "$work/damaged_file").*checksum" "${node_log[a]}" "${node_log[b]}" || fail "no log names the damaged file"
step "a flipped bit in every copy of a block: EIO for its file alone, and the log names the block"
finish
