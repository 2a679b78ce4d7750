#!/usr/bin/env bash
# A ring made with --durability relaxed: what was acknowledged outlives kill -9 of every node at once, fsync of a file and
# of a directory answers, whoever joins does as the ring does, and `chordfs status` says so. What power takes, and how a node
# notices that it was lost, is the simulator's affair (raft_sim_test).
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

real_tree "$work/tree"
node_options=(--durability relaxed)
start_node a
node_options=()
start_node b a
start_node c a
durability() { chordfs status --json --via "$(peer "$1")" | python3 -c 'import json, sys; print(json.load(sys.stdin)["durability"])'; }
[ "$(durability c)" = relaxed ] || fail "c does not know how durable the ring is"
grep -q "durability relaxed" <<<"$(chordfs status --via "$(peer b)")" || fail "chordfs status says nothing of it"
wait_whole a
mount_ring m a
step "three nodes; the one that made the ring said relaxed"

python3 - "$(at m)" <<'END'
import os, sys
os.chdir(sys.argv[1])
os.mkdir("dir")
file = os.open("dir/file", os.O_CREAT | os.O_WRONLY, 0o644)
os.write(file, b"x" * 5000)
os.fsync(file)
os.fdatasync(file)
os.close(file)
directory = os.open("dir", os.O_RDONLY)
os.rename("dir/file", "dir/renamed")
os.fsync(directory)
END
step "fsync, fdatasync and fsync of a directory answer"

cp -a "$work/tree" "$(at m)/tree"
kill_all_nodes
for name in c b a; do launch_node "$name"; done
for name in c b a; do node_serves "$name"; done
wait_until "the ring has three nodes again" 60 ring_has a 3
[ "$(durability a)" = relaxed ] || fail "a forgot how durable the ring is"
grep -h "went down" "${node_log[@]}" && fail "kill -9 was taken for a loss of power"
remount_ring m b
same_tree "$work/tree" "$(at m)/tree"
[ "$(stat -c %s "$(at m)/dir/renamed")" = 5000 ] || fail "what was synced before is not there"
step "all killed at once, and started again: every acknowledged change is there"

finish
