#!/usr/bin/env bash
# What goes wrong says so and does not hang: no ring, no mount point, a port or a directory in use; and every way to end.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

complains() {  # complains "what" PATTERN COMMAND...: fails within a minute, with a message that matches.
  local what=$1 pattern=$2 code=0
  shift 2
  CHORDFS_TEST=$work timeout 60 "$@" >"$work/log/complaint" 2>&1 </dev/null || code=$?
  [ $code -ne 0 ] || fail "$what: went well"
  [ $code -ne 124 ] || fail "$what: hangs: $(tail -3 "$work/log/complaint")"
  [ $code -lt 128 ] || fail "$what: died of a signal, code $code: $(tail -3 "$work/log/complaint")"
  grep -qiE "$pattern" "$work/log/complaint" || fail "$what: does not say why: $(tail -3 "$work/log/complaint")"
  step "$what: $(grep -iE "$pattern" "$work/log/complaint" | tail -1)"
}

closed=$(free_port)
mkdir "$(at m)"
complains "a mount without a ring" "$closed" "$bin/chordfs-mount" "$(at m)" --via "$closed"
not_mounted "$(at m)" || fail "mounted without a ring"
complains "the command without a ring" "$closed" "$bin/chordfs" ring --via "$closed"
complains "a node that joins nobody" "$closed" "$bin/chordfs-node" "$(free_port)" "$closed" --data "$work/data/alone" \
  --listen 127.0.0.1
complains "a port that is no number" 'port' "$bin/chordfs-node" telephone --data "$work/data/alone"
complains "a mount without --via" 'via' "$bin/chordfs-mount" "$(at m)"
complains "a port out of range" 'port' "$bin/chordfs-node" 70000 --data "$work/data/alone"

start_node a
start_node b a
complains "a mount point that does not exist" 'absent' "$bin/chordfs-mount" "$(at absent)" --via "$(peer a)"
: >"$work/mnt/file"
complains "a mount point that is a file" 'director' "$bin/chordfs-mount" "$work/mnt/file" --via "$(peer a)"
complains "a second node on the same port" "${node_port[a]}|in use" "$bin/chordfs-node" "${node_port[a]}" \
  --data "$work/data/second" --listen 127.0.0.1
complains "a second node in the same directory" "data/a|in use|lock" "$bin/chordfs-node" "$(free_port)" \
  --data "$work/data/a" --listen 127.0.0.1
: >"$work/plain"
complains "a data directory that is a file" "plain" "$bin/chordfs-node" "$(free_port)" --data "$work/plain" --listen 127.0.0.1
complains "a node that is not of the ring leaves" "$closed" "$bin/chordfs" leave "127.0.0.1:$closed" --via "$(peer a)"
complains "locate of an absent name" 'no such|not found|not exist|absent' "$bin/chordfs" locate /absent --via "$(peer a)"

# Two ways in, the first of them closed.
mkdir "$(at two)"
CHORDFS_TEST=$work timeout 60 "$bin/chordfs-mount" "$(at two)" --via "127.0.0.1:$closed,$(peer b)" >"$work/log/mount-two.1.log" 2>&1 ||
  fail "a mount with one good peer of two: $(cat "$work/log/mount-two.1.log")"
is_mounted "$(at two)" || fail "returned, but not mounted"
echo x >"$(at two)/x"
step "of two peers one does not answer: mounted by the other"
umount "$(at two)" 2>/dev/null || fusermount3 -u "$(at two)"
no_mount_process() { [ "$(marked "$work" | wc -l)" -eq ${#node_pid[@]} ]; }
wait_until "the process ends after umount" 60 no_mount_process
step "umount ended its process"

for signal in TERM INT; do
  mount_ring m a
  echo "$signal" >"$(at m)/ended"
  kill -s "$signal" "${mount_pid[m]}"
  wait_until "the mount ends after SIG$signal" 60 gone "${mount_pid[m]}"
  code=0
  wait "${mount_pid[m]}" || code=$?
  [ "$code" -eq 0 ] || fail "SIG$signal: the mount ended with code $code"
  unset "mount_pid[m]"
  not_mounted "$(at m)" || fail "SIG$signal left the mount point behind"
  step "SIG$signal unmounts and ends with code 0"
done
mount_ring m b
[ "$(cat "$(at m)/ended")" = INT ] || fail "what was written before the signal: $(cat "$(at m)/ended")"

# What the kernel lets through is refused by the file system, and the other way round: the error is the same.
python3 - "$(at m)" <<'PY' || fail "names, paths and sizes over their limits"
import errno, os, resource, signal, sys

top, wrong = sys.argv[1], 0

def must_refuse(what, number, call):
    global wrong
    try:
        call()
        print(f"{what}: went well")
        wrong += 1
    except OSError as error:
        if error.errno != number:
            print(f"{what}: {error}, not {errno.errorcode[number]}")
            wrong += 1

for name, kind in (("n" * 256, "a name of 256 bytes"), ("\u00e4" * 128, "a name of 128 letters in 256 bytes")):
    path = f"{top}/{name}"
    open(f"{top}/short", "w").close()
    for what, call in {
        "open": lambda: open(path), "create": lambda: open(path, "w"), "mkdir": lambda: os.mkdir(path),
        "stat": lambda: os.stat(path), "unlink": lambda: os.unlink(path), "symlink": lambda: os.symlink("x", path),
        "link": lambda: os.link(f"{top}/short", path), "rename": lambda: os.rename(f"{top}/short", path),
        "mknod": lambda: os.mkfifo(path),
    }.items():
        must_refuse(f"{what} of {kind}", errno.ENAMETOOLONG, call)
open(f"{top}/{'n' * 255}", "w").close()
os.unlink(f"{top}/{'n' * 255}")

deep = top + "/." * ((4096 - len(top)) // 2) + "/short"
must_refuse("a path over 4096 bytes", errno.ENAMETOOLONG, lambda: os.stat(deep))
must_refuse("a symbolic link's target over 4095 bytes", errno.ENAMETOOLONG, lambda: os.symlink("t" * 4096, f"{top}/link"))

limit = 2**63 - 1
file = os.open(f"{top}/short", os.O_RDWR)
os.ftruncate(file, limit)
appending = os.open(f"{top}/short", os.O_WRONLY | os.O_APPEND)
must_refuse("a write behind the largest size", errno.EFBIG, lambda: os.write(appending, b"x"))
os.close(appending)
# Linux itself says EINVAL where the end of a write is no number any more.
must_refuse("a write whose end is over the largest offset", errno.EINVAL, lambda: os.pwrite(file, b"xy", limit - 1))
assert os.fstat(file).st_size == limit
os.ftruncate(file, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
must_refuse("a write over the process's own limit", errno.EFBIG, lambda: os.pwrite(file, b"x", 1000))
must_refuse("a truncation over the process's own limit", errno.EFBIG, lambda: os.ftruncate(file, 1001))
os.close(file)
sys.exit(wrong != 0)
PY
step "names of 256 bytes, paths over 4096, files over the limit: refused with the error that POSIX names"

# The node that the mount came in by leaves for good.
mkdir "$(at m)/kept"
start_node c b
wait_until "the ring has three nodes" 60 ring_has b 3
leave_node b c --force
timeout 60 ls "$(at m)/kept" || fail "the node that the mount came in by has left, and the mount does not work"
echo y >"$(at m)/kept/y"
step "the node that the mount came in by has left: the mount works on"
finish
