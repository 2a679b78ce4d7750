#!/usr/bin/env bash
# Peers without manners come at a node of a ring that is at work: each is refused or cut with a clear line in the log,
# and whoever copies files meanwhile does not notice.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rss_mb() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/${node_pid[$1]}/status"; }
descriptors() { find "/proc/${node_pid[$1]}/fd" -maxdepth 1 -type l | wc -l; }
hostile() { timeout 600 python3 "$here/hostile_peer.py" "${node_port[b]}" "$@" || fail "hostile peer: $*"; }
logged() { grep -qE "$1" "${node_log[b]}"; }
# The node says it, and is still there.
says() {
  wait_until "the log says: $2" 120 logged "$2"
  running "${node_pid[b]}" || fail "$1: the node has ended"
  step "$1: $(grep -E "$2" "${node_log[b]}" | tail -1 | cut -d ' ' -f 2- | cut -c 1-160)"
}

start_ring a b c
mount_ring m b
tree=$work/tree
mkdir "$tree"
cp -r /usr/include/linux "$tree/"
cp "$bin/chordfs" "$tree/program"

# Somebody works all the while: copies, compares, clears away, until told to stop.
work_on() {
  local round=0
  while [ ! -e "$work/enough" ]; do
    round=$((round + 1))
    cp -r "$tree" "$(at m)/copy" && diff -r --no-dereference "$tree" "$(at m)/copy" && rm -r "$(at m)/copy" || return 1
    echo "$round" >"$work/rounds"
  done
}
work_on >"$work/log/work" 2>&1 &
worker=$!
background+=("$worker")
at_work() { [ -s "$work/rounds" ] || gone "$worker"; }
wait_until "somebody works" 300 at_work
still_right() { running "$worker" || fail "$1: who works on the mount noticed: $(tail -5 "$work/log/work")"; }

! grep -E 'is of another ring' "${node_log[@]}" || fail "nodes of one ring take one another for strangers"
before_mb=$(rss_mb b)
before_fds=$(descriptors b)
hostile http
says "another protocol" 'is not a ChordFS node: frame header'
hostile garbage 500
says "garbage, 500 times" 'is not a ChordFS node'
[ "$(grep -c 'is not a ChordFS node' "${node_log[b]}")" -lt 100 ] || fail "500 bad peers fill the log"
hostile version
says "another version" 'from the.x1b.31m future.x0a. speaks protocol versions 99 to 99, this side speaks'
# Its kind is that of garbage, of which the log has had enough for the moment.
hostile not_utf8
hostile over_the_cap
hostile other_ring
says "another ring" 'is of another ring'
! grep -q libprotobuf "${node_log[b]}" || fail "libprotobuf writes into the log"
still_right "single bad peers"

hostile slow_hello
says "a Hello of one byte a second" 'sent no Hello in time'
hostile slow_frame
says "a frame of one byte a second" 'of a frame in [0-9]+ s and not the rest'
hostile half_frames 40
says "40 frames of 4 MiB without their last byte" 'sent 41943[0-9]+ bytes of a frame in'
still_right "slow peers"

# As many connections as the node takes, and some more.
limit=$(awk '/^Max open files/ { print $5 == "unlimited" ? 20000 : $5 }' "/proc/${node_pid[b]}/limits")
cap=$((limit / 2 < 10000 ? limit / 2 : 10000))
[ "$cap" -eq 10000 ] || echo "no more than $cap connections, because a process may have only $limit files open here"
for kind in silent crowd; do
  : >"$work/log/$kind"
  python3 "$here/hostile_peer.py" "${node_port[b]}" $kind $((cap + 200)) >"$work/log/$kind" 2>&1 &
  crowd=$!
  background+=("$crowd")
  crowded() { grep -q '^open' "$work/log/$kind" || gone "$crowd"; }
  wait_until "the crowd is there" 600 crowded
  running "$crowd" || fail "the crowd: $(tail -3 "$work/log/$kind")"
  step "$kind: $(cat "$work/log/$kind") connections; the node has $(descriptors b) descriptors and $(rss_mb b) MiB"
  ring_has b 3 || fail "the node serves no newcomer beside the crowd"
  still_right "$kind"
  kill -s KILL "$crowd"
  wait "$crowd" 2>/dev/null || true
done
says "a crowd that asks nothing" 'has not asked anything yet: [0-9]+ are open'

few_descriptors() { [ "$(descriptors b)" -lt $((before_fds + 200)) ]; }
wait_until "the node has closed what the crowd left" 120 few_descriptors
memory_is_back() { [ "$(rss_mb b)" -lt $((before_mb + 400)) ]; }
wait_until "the node's memory comes back" 120 memory_is_back
step "memory: $before_mb MiB before, $(rss_mb b) MiB after"

# One round more in peace.
rounds=$(cat "$work/rounds")
another_round() { [ "$(cat "$work/rounds")" -gt "$((rounds + 1))" ] || gone "$worker"; }
wait_until "one more round of work" 300 another_round
still_right "at the end"
touch "$work/enough"
wait "$worker" || fail "who works on the mount noticed: $(tail -5 "$work/log/work")"
for node in a b c; do running "${node_pid[$node]}" || fail "node $node has ended"; done
ring_has a 3 || fail "the ring has fallen apart"
step "$(cat "$work/rounds") rounds of copying, comparing and removing were right"
finish
