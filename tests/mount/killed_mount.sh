#!/usr/bin/env bash
# A mount that is told to end while the ring does not answer waits for what is still to be written; killed while it waits, it is gone,
# and so is its mount: no process stays behind that nobody can kill.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring m a
wait_whole a
pid=${mount_pid[m]}

# Pages of a shared mapping are written back by whoever unmounts.
CHORDFS_TEST=$work python3 -c '
import mmap, signal, sys
with open(sys.argv[1], "w+b") as f:
    f.truncate(8 << 20)
    memory = mmap.mmap(f.fileno(), 8 << 20)
    for page in range(0, 8 << 20, 4096):
        memory[page] = 1
    print("dirty", flush=True)
    signal.pause()' "$(at m)/mapped" >"$work/log/mapped" 2>&1 &
mapper=$!
background+=("$mapper")
wait_until "pages are dirty" 60 grep -q dirty "$work/log/mapped"
for node in a b c; do kill -s STOP "${node_pid[$node]}"; done
kill -s TERM "$pid"
# It is in use, so the first attempt to unmount fails, and what is dirty is written back.
waits() {  # Itself, or a process that it started for that.
  local one
  for one in "/proc/$pid/task"/*/stat $(pgrep -P "$pid" | sed 's#.*#/proc/&/stat#'); do
    [[ "$(cut -d ' ' -f 3 "$one" 2>/dev/null)" != D ]] || return 0
  done
  return 1
}
wait_until "somebody waits for the pages" 60 waits
step "told to end, and waiting for the ring"
kill -s KILL "$pid"
wait_until "the killed mount is gone" 60 gone "$pid"
unset "mount_pid[m]"
for node in a b c; do kill -s CONT "${node_pid[$node]}"; done
kill -s KILL "$mapper"
wait_until "who had mapped the file is gone" 60 gone "$mapper"
step "killed, and gone"
finish
