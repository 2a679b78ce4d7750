#!/usr/bin/env bash
# The whole ring is gone while mounted, killed or frozen: every call returns with an error, nothing hangs, unmounting
# works, and when the ring is back, so is the work.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The file is open, and has bytes in it that were never sent, before the ring goes. Each call must fail; a close or an
# fsync tells of what was written behind the program's back. 60 s is a guard against hanging, not the promise (3 s).
cat >"$work/calls.py" <<'PY'
import errno, os, signal, sys, time

top, ready, go, label = sys.argv[1:]
readable = os.open(top + "/read", os.O_RDONLY)
written = os.open(top + "/written", os.O_RDWR | os.O_CREAT, 0o644)
os.fsync(written)
open(ready, "w").close()
while not os.path.exists(go):
    time.sleep(0.02)

def write_and_sync():
    os.pwrite(written, b"lost" * 1000, 0)
    os.fsync(written)

CALLS = {
    "stat": lambda: os.stat(top + "/read"),
    "stat of an absent name": lambda: os.stat(top + "/absent"),
    "ls": lambda: os.listdir(top + "/directory"),
    "read": lambda: os.pread(readable, 100000, 4 << 20),
    "write and fsync": write_and_sync,
    "create": lambda: os.open(top + "/created", os.O_WRONLY | os.O_CREAT),
    "mkdir": lambda: os.mkdir(top + "/made"),
    "rename": lambda: os.rename(top + "/read", top + "/renamed"),
    "unlink": lambda: os.unlink(top + "/unlinked"),
    "truncate": lambda: os.truncate(top + "/read", 5),
    "setxattr": lambda: os.setxattr(top + "/read", "user.a", b"b"),
    "df": lambda: os.statvfs(top),
}

def hangs(*_):
    print(f"FAILED: {label}: {name} does not return within 60 s", flush=True)
    os._exit(1)

signal.signal(signal.SIGALRM, hangs)
longest, slowest, wrong = 0, "", []
for name, call in CALLS.items():
    begin = time.monotonic()
    signal.alarm(60)
    try:
        call()
        wrong.append(f"{name} went well")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST):
            wrong.append(f"{name}: {error}")
    signal.alarm(0)
    took = time.monotonic() - begin
    if took > longest:
        longest, slowest = took, name
name = "close"
for file in (readable, written):
    signal.alarm(60)
    begin = time.monotonic()
    try:
        os.close(file)
    except OSError:
        pass
    signal.alarm(0)
    longest, slowest = max((longest, slowest), (time.monotonic() - begin, name))
for line in wrong:
    print(f"FAILED: {label}: {line}")
if longest > 3:
    print(f"note: {label}: over the 3 s that an idle machine keeps")
print(f"{label}: {len(CALLS)} calls and 2 closes, the longest {longest:.2f} s ({slowest})", flush=True)
sys.exit(1 if wrong else 0)
PY

# gone_calls LABEL COMMAND...: COMMAND takes the ring away between the opens and the calls.
gone_calls() {
  local label=$1 calls code=0
  shift
  rm -f "$work/ready" "$work/go"
  CHORDFS_TEST=$work python3 "$work/calls.py" "$(at m)" "$work/ready" "$work/go" "$label" >"$work/log/calls" 2>&1 &
  calls=$!
  background+=("$calls")
  opened() { [ -e "$work/ready" ] || gone "$calls"; }
  wait_until "the files are open" 60 opened
  "$@"
  : >"$work/go"
  wait_until "all calls return" 900 gone "$calls"
  wait "$calls" || code=$?
  sed "s/^/      /" "$work/log/calls"
  [ $code -eq 0 ] || fail "$label: see above"
}
works_again() {
  timeout 60 cmp -s "$(at m)/read" "$work/contents" && timeout 60 bash -c "echo $1 >'$(at m)/again'" 2>/dev/null
}
check_again() {
  wait_until "work goes on" 120 works_again "$1"
  [ "$(cat "$(at m)/again")" = "$1" ] || fail "what was written afterwards: $(cat "$(at m)/again")"
  [ -e "$(at m)/directory/entry" ] && [ -e "$(at m)/unlinked" ] && [ ! -e "$(at m)/renamed" ] || fail "a call that failed happened"
  chordfs fsck --via "$(peer a)" >"$work/log/fsck" 2>&1 || ! chordfs --help | grep -q fsck || fail "fsck: $(cat "$work/log/fsck")"
  step "$1: work goes on, all is there"
}
freeze() { kill -s STOP "${node_pid[@]}"; }
thaw() { kill -s CONT "${node_pid[@]}"; }
come_back() {
  local name
  for name in a b c; do launch_node "$name"; done
  for name in a b c; do node_serves "$name"; done
  wait_until "the ring has three nodes" 120 ring_has a 3
}

start_ring a b c
mount_ring m a b c
head -c 9000000 /dev/urandom >"$work/contents"
cp "$work/contents" "$(at m)/read"
mkdir "$(at m)/directory"
: >"$(at m)/directory/entry"
: >"$(at m)/unlinked"
# Without what the mount and the kernel remember: else the calls would be answered from there.
remount_ring m a b c

step "all nodes killed"
gone_calls killed kill_all_nodes
come_back
check_again killed

step "all nodes frozen"
remount_ring m a b c
gone_calls frozen freeze
thaw
check_again frozen

for way in kill_all_nodes freeze; do
  mount_ring extra a b
  "$way"
  pid=${mount_pid[extra]}
  timeout 120 fusermount3 -u "$(at extra)" || fail "$way: the mount cannot be unmounted"
  wait_until "$way: the unmounted process ends" 120 gone "$pid"
  wait "$pid" 2>/dev/null || true
  unset "mount_pid[extra]"
  step "$way: unmounted, and the process has ended"
  if [ "$way" = freeze ]; then thaw; else come_back; fi
done
check_again unmounted
finish
