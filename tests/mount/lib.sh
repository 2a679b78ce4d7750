# Sourced by every test here: real nodes on free ports of 127.0.0.1, real mounts, everything below one private directory.
# shellcheck shell=bash disable=SC2034
#
#   start_node NAME [PEER]      PEER: the name of a node, PORT or HOST:PORT. Returns when it serves. $(peer NAME) is HOST:PORT
#   node_options=(...)          of all nodes started from then on; mount_options=(...) of all mounts
#   kill_node NAME [SIGNAL]     ends it (KILL) and waits until it is gone; stop_node NAME: by SIGTERM, and it must succeed
#   leave_node NAME VIA [--force]   by `chordfs leave`
#   restart_node NAME [PEER]    again, on its old port and data
#   mount_ring NAME VIA...      at $(at NAME), by way of these nodes. Returns when it serves
#   unmount_ring NAME           and waits until its process has ended well
#   wait_whole NAME             until `chordfs status` asked of NAME says that all copies of all arcs are there
#   start_probe RUN MOUNT BOUND · stop_probe RUN     probe.py in the background; that no call failed or took longer
#   step TEXT · fail TEXT · must_fail "what" COMMAND... · wait_until "what" SECONDS COMMAND... · same_tree A B
#   adorned_tree DIR            one of everything that tar and rsync can carry; same_adornments A B: its lists, attributes, devices
#
# When the script ends, however it ends, its mounts, processes and files go; after a failure the ends of all logs are shown.
# A test ends with `finish`; one that cannot run here ends with code 77 and says why.

set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CHORDFS_BIN:-$root/build/bin}
test_name=$(basename "$0" .sh)
# Not /tmp: that may be memory, and a disk is what the nodes will have.
work=$(mktemp -d "${CHORDFS_TEST_DIR:-/var/tmp}/chordfs-$test_name.XXXXXX")
mkdir "$work/data" "$work/log" "$work/mnt"
cd "$work"
export PYTHONDONTWRITEBYTECODE=1 LC_ALL=C

declare -A node_pid=() node_port=() node_log=() mount_pid=() runs=()
node_options=()  # Of every node that is started from now on.
mount_options=()
background=()  # Processes of the test's own that may outlive a failure.

step() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 77; }

# The timeout is a safety net against a hang, not a measurement.
wait_until() {
  local what=$1 end=$((SECONDS + $2))
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "gave up waiting: $what"
    sleep 0.05
  done
}

must_fail() {
  local what=$1
  shift
  if "$@" >"$work/log/must_fail.out" 2>&1; then fail "went well, but should not: $what"; fi
}

# ---- Processes ----

free_port() { python3 "$here/free_port.py" "${node_port[@]}"; }
peer() { case $1 in *[!0-9]*) if [ -n "${node_port[$1]-}" ]; then echo "127.0.0.1:${node_port[$1]}"; else echo "$1"; fi ;; *) echo "$1" ;; esac; }
# A zombie is no longer running, though its number still exists.
running() { [ -r "/proc/$1/stat" ] && [[ "$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null)" != [ZX] ]]; }
gone() { ! running "$1"; }
marked() {  # Every process that a program started by this test is, was forked from, or left in the background.
  local environ
  for environ in /proc/[0-9]*/environ; do
    if grep -qzxF "CHORDFS_TEST=$1" "$environ" 2>/dev/null; then basename "$(dirname "$environ")"; fi
  done
}
new_log() { runs[$1]=$((${runs[$1]:-0} + 1)); log=$work/log/$1.${runs[$1]}.log; : >"$log"; }

serving_or_dead() { grep -q serving "$2" || gone "$1"; }
launch_node() {  # Without waiting until it serves.
  local name=$1 log arguments=()
  [ -n "${node_port[$name]-}" ] || node_port[$name]=$(free_port)
  [ $# -lt 2 ] || arguments=("$(peer "$2")")
  new_log "node-$name"
  node_log[$name]=$log
  CHORDFS_TEST=$work "$bin/chordfs-node" "${node_port[$name]}" "${arguments[@]}" --data "$work/data/$name" \
    --listen 127.0.0.1 "${node_options[@]}" >"$log" 2>&1 </dev/null &
  node_pid[$name]=$!
}
node_serves() {
  wait_until "node $1 serves" 60 serving_or_dead "${node_pid[$1]}" "${node_log[$1]}"
  running "${node_pid[$1]}" || fail "node $1 ended instead of serving"
}
start_node() { launch_node "$@"; node_serves "$1"; }

# kill_node leaves the process's exit code in $exit_code.
kill_node() {
  local pid=${node_pid[$1]}
  kill -s "${2:-KILL}" "$pid"
  wait_until "node $1 ends after SIG${2:-KILL}" 60 gone "$pid"
  exit_code=0
  wait "$pid" 2>/dev/null || exit_code=$?
  unset "node_pid[$1]"
}
stop_node() {
  kill_node "$1" TERM
  [ "$exit_code" -eq 0 ] || fail "node $1 ended with code $exit_code after SIGTERM"
}
# leave_node NAME VIA [--force]: hands over what it holds; the command returns when that is done, and the process ends by itself.
leave_node() {
  local pid=${node_pid[$1]} code=0
  chordfs leave "$(peer "$1")" --via "$(peer "$2")" "${@:3}" || fail "chordfs leave $1"
  wait_until "node $1 ends after it has left" 60 gone "$pid"
  wait "$pid" || code=$?
  unset "node_pid[$1]"
  [ $code -eq 0 ] || fail "node $1 left and ended with code $code"
}
restart_node() { start_node "$@"; }
kill_all_nodes() {  # At once: one call.
  kill -s KILL "${node_pid[@]}"
  wait "${node_pid[@]}" 2>/dev/null || true
  node_pid=()
}

# Asks the kernel's table only: a stat of a mount whose server is stuck would not return.
is_mounted() { awk -v point="$1" '$5 == point { found = 1 } END { exit !found }' /proc/self/mountinfo; }
not_mounted() { ! is_mounted "$1"; }
at() { echo "$work/mnt/$1"; }
via() {
  local list='' name
  for name in "$@"; do list+=${list:+,}$(peer "$name"); done
  echo "$list"
}

mounted_or_dead() { is_mounted "$2" || gone "$1"; }
mount_ring() {
  local name=$1 log
  shift
  mkdir -p "$(at "$name")"
  new_log "mount-$name"
  # In the foreground, for its number and its log; basic.sh and errors.sh let it go to the background.
  CHORDFS_TEST=$work "$bin/chordfs-mount" "$(at "$name")" --via "$(via "$@")" -f "${mount_options[@]}" >"$log" 2>&1 </dev/null &
  mount_pid[$name]=$!
  wait_until "mount $name serves" 60 mounted_or_dead "${mount_pid[$name]}" "$(at "$name")"
  timeout 60 stat -f "$(at "$name")" >/dev/null || fail "mount $name does not answer"
}

# Busy for as long as a program that was just killed has not let go of its files.
unmounted() { fusermount3 -u "$(at "$1")" 2>>"$work/log/unmount"; }
unmount_ring() {
  local pid=${mount_pid[$1]} code=0
  wait_until "fusermount3 -u $1" 60 unmounted "$1"
  wait_until "mount $1 ends" 60 gone "$pid"
  wait "$pid" 2>/dev/null || code=$?
  unset "mount_pid[$1]"
  [ $code -eq 0 ] || fail "mount $1 ended with code $code"
}
remount_ring() { unmount_ring "$1"; mount_ring "$@"; }

chordfs() { CHORDFS_TEST=$work timeout 300 "$bin/chordfs" "$@"; }
# The ring as seen from NAME has exactly so many nodes.
ring_has() { [ "$(chordfs ring --via "$(peer "$1")" --json 2>/dev/null | python3 "$here/ring_facts.py" nodes)" = "$2" ]; }
# Its exit code: every arc has all the copies that so many nodes can hold, and nothing is being filled.
whole() { chordfs status --via "$(peer "$1")" --json >"$work/log/status" 2>&1; }
wait_whole() {  # wait_whole NAME [SECONDS]
  local end=$((SECONDS + ${2:-300}))
  until whole "$1"; do
    [ "$SECONDS" -lt "$end" ] || { head -c 4000 "$work/log/status" >&2; fail "gave up waiting: all copies are there"; }
    sleep 0.2
  done
}
start_ring() {  # start_ring NAME...: the first alone, the others join through it; returns when all know all.
  local first=$1 name
  start_node "$first"
  for name in "${@:2}"; do start_node "$name" "$first"; done
  wait_until "the ring has $# nodes" 60 ring_has "$first" $#
}

# ---- The probe ----

declare -A probe_pid=()
start_probe() {  # start_probe RUN MOUNT BOUND: in MOUNT/probe-RUN; returns when it is under way.
  local top
  top=$(at "$2")/probe-$1
  rm -f "$work/stop-probe-$1"
  CHORDFS_TEST=$work python3 "$here/probe.py" "$top" "$work/stop-probe-$1" --bound "$3" \
    >"$work/log/probe-$1" 2>"$work/log/probe-$1.err" &
  probe_pid[$1]=$!
  background+=("${probe_pid[$1]}")
  probing() { [ -e "$top/20/synced" ] || gone "${probe_pid[$1]}"; }
  wait_until "the probe is under way" 60 probing "$1"
  running "${probe_pid[$1]}" || { cat "$work/log/probe-$1.err" >&2; fail "the probe ended at once"; }
}
stop_probe() {
  local code=0
  : >"$work/stop-probe-$1"
  wait_until "the probe ends" 120 gone "${probe_pid[$1]}"
  wait "${probe_pid[$1]}" || code=$?
  unset "probe_pid[$1]"
  python3 "$here/probe_line.py" <"$work/log/probe-$1" || { cat "$work/log/probe-$1"* >&2; fail "the probe says nothing"; }
  [ $code -eq 0 ] || { cat "$work/log/probe-$1"* >&2; fail "$1: a call failed or took over ${2:-its bound}"; }
}

# ---- Trees ----

# Name, type, mode, owner, time of change, links, size, target of each object (a directory's size is its file system's
# affair). `checksums` adds what is in the files.
manifest() {
  (cd "$1" && find . ! -type d -printf '%P %y %m %U:%G %T@ %n %s %l\n' -o -printf '%P %y %m %U:%G %T@\n' | sort)
}
checksums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum); }
same() { cmp -s "$1" "$2" || { diff "$1" "$2" | head -20 >&2; fail "$3"; }; }
same_tree() {
  # To diff, two fifos or devices always differ; what each is, the manifest tells.
  diff -r --no-dereference "$1" "$2" 2>&1 | grep -vE ' is a (fifo|block special file|character special file) while ' >"$work/log/diff" || true
  [ ! -s "$work/log/diff" ] || { head -20 "$work/log/diff" >&2; fail "contents differ: $1 $2"; }
  manifest "$1" >"$work/log/manifest.1"
  manifest "$2" >"$work/log/manifest.2"
  same "$work/log/manifest.1" "$work/log/manifest.2" "attributes differ: $1 $2"
}
# Some thousand real files of /usr/include, in a directory of the test's own, with large ones among them.
real_tree() {
  local part
  mkdir -p "$1"
  for part in linux c++ openssl google "$(uname -m)-linux-gnu" rocksdb; do
    [ ! -d "/usr/include/$part" ] || cp -a "/usr/include/$part" "$1/"
  done
  # The programs themselves: several blocks each.
  cp "$bin/chordfs" "$bin/chordfs-node" "$1/"
  ln -s nowhere/at/all "$1/dangling"
  ln "$1/chordfs" "$1/chordfs.link"
}
# One of everything that tar and rsync can carry: lists, attributes, holes, links, devices where we may make them.
adorned_tree() {
  mkdir -p "$1/dir/below" "$1/default" "$1/plain"
  seq 1000 >"$1/dir/file"
  ln "$1/dir/file" "$1/dir/below/linked"
  ln -s ../dir/file "$1/plain/pointing"
  mkfifo "$1/plain/fifo"
  printf 'start' >"$1/holes"
  truncate -s 20M "$1/holes"
  printf 'middle' | dd of="$1/holes" bs=1 seek=9000000 conv=notrunc status=none
  printf 'x' >"$1/dir/"$'a name\nof two lines'
  setfacl -m u:12:rw,g:34:r,m::rw "$1/dir/file"
  setfacl -m d:u:12:rwx,d:g::rx,u:77:x "$1/default"
  echo inherits >"$1/default/inherits"  # Lists of its own, from the directory's default.
  setfattr -n user.short -v value "$1/dir/file"
  setfattr -n user.empty "$1/dir"
  setfattr -n user.bytes -v "0s$(head -c 2000 /dev/zero | tr '\0' '\377' | base64 -w 0)" "$1/holes"
  chmod 4755 "$1/dir/below"
  chmod 1777 "$1/plain"
  touch -hd '1969-12-31 23:59:58.123456789 UTC' "$1/plain/pointing"
  touch -d '2106-02-07 06:28:17.000000001 UTC' "$1/holes"
  if [ "$(id -u)" -eq 0 ]; then
    mknod "$1/plain/character" c 200 7
    mknod "$1/plain/block" b 200 300
    chown 1234:5678 "$1/default/inherits"
    chown -h 4321:8765 "$1/plain/pointing"
    cp "$bin/chordfs" "$1/capable"
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 "$1/capable"  # cap_net_raw+ep
    setfattr -n trusted.secret -v hidden "$1/dir"
    setfattr -h -n trusted.pointing -v link "$1/plain/pointing"
  fi
}
# What `same_tree` does not compare: lists, attributes, devices.
same_adornments() {
  adornments "$1" >"$work/log/adornments.1"
  adornments "$2" >"$work/log/adornments.2"
  same "$work/log/adornments.1" "$work/log/adornments.2" "lists or attributes differ: $1 $2"
}
adornments() {
  (cd "$1" && find . -print0 | sort -z | xargs -0 getfattr -hd -m - -e hex && find . ! -type l -print0 | sort -z | xargs -0 getfacl -pn &&
    find . '(' -type b -o -type c ')' -print0 | sort -z | xargs -0 -r stat -c '%n %t %T')
}

# ---- The end ----

# The last line of every test: what went well must also end well.
finish() {
  local name
  for name in "${!mount_pid[@]}"; do unmount_ring "$name"; done
  for name in "${!node_pid[@]}"; do stop_node "$name"; done
  [ -z "$(marked "$work")" ] || fail "processes are left: $(marked "$work")"
  if grep -slE 'Sanitizer|bug at ' "$work"/log/{node,mount}-*.log; then fail "see these logs"; fi
  finished=yes
}

mount_points() { awk -v below="$work/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo; }
show_logs() {
  local log
  for log in "$work"/log/{node,mount}-*.log; do
    [ ! -e "$log" ] || { echo "---- $(basename "$log"), its last ${CHORDFS_TEST_TAIL:-25} lines"; tail -n "${CHORDFS_TEST_TAIL:-25}" "$log"; }
  done
}
clean_up() {
  local code=$? pids point
  trap - EXIT INT TERM HUP
  set +e
  if [ $code -eq 0 ] && [ -z "${finished-}" ]; then
    echo "FAILED: $test_name does not end with finish" >&2
    code=1
  fi
  [ $code -eq 0 ] || [ $code -eq 77 ] || show_logs >&2
  disown -a 2>/dev/null  # Else the shell reports each as killed.
  [ ${#background[@]} -eq 0 ] || kill -s KILL "${background[@]}" 2>/dev/null
  mount_points | while read -r point; do timeout 10 fusermount3 -u "$point" 2>/dev/null; done
  pids=$(marked "$work")
  # shellcheck disable=SC2086
  [ -z "$pids" ] || kill -s KILL $pids 2>/dev/null
  mount_points | while read -r point; do fusermount3 -uz "$point" 2>/dev/null || umount -l "$point"; done
  if [ -n "${CHORDFS_TEST_KEEP-}" ]; then echo "kept: $work"; else rm -rf --one-file-system "$work"; fi
  case $code in 0) echo "passed: $test_name" ;; 77) ;; *) echo "failed: $test_name (code $code)" ;; esac
  exit $code
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

[ -e /dev/fuse ] || skip "there is no /dev/fuse here"
for program in chordfs-node chordfs-mount chordfs; do
  [ -x "$bin/$program" ] || fail "$bin/$program is missing: build first, or set CHORDFS_BIN"
done
