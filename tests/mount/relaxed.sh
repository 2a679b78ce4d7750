#!/usr/bin/env bash
# A ring made with --durability relaxed: what was acknowledged outlives kill -9 of every node at once, fsync of a file and
# of a directory answers, whoever joins does as the ring does, and `chordfs status` says so. What power takes is the
# simulator's affair (raft_sim_test).
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

real_tree "$work/tree"
# Nodes that are told which boot of the machine this is.
mkdir "$work/bin"
ln -s "$bin"/* "$work/bin/"
rm "$work/bin/chordfs-node"
cat >"$work/bin/chordfs-node" <<END
#!/usr/bin/env bash
# A namespace holds what was mounted when it was made: a ring's mount would never end.
exec unshare -m --propagation private bash -c '
  for mounted in "$work"/mnt/*; do umount -l "\$mounted" 2>/dev/null; done
  mount --bind "\$0" /proc/sys/kernel/random/boot_id && exec "\$@"' \\
  "$work/boot" "$bin/chordfs-node" "\$@"
END
chmod +x "$work/bin/chordfs-node"
echo first >"$work/boot"
unshare -m --propagation private mount --bind "$work/boot" /proc/sys/kernel/random/boot_id 2>/dev/null ||
  skip "a mount namespace of one's own is not permitted here"
bin=$work/bin

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
grep -h "its machine went down" "${node_log[@]}" && fail "kill -9 was taken for a loss of power"
remount_ring m b
same_tree "$work/tree" "$(at m)/tree"
[ "$(stat -c %s "$(at m)/dir/renamed")" = 5000 ] || fail "what was synced before is not there"
step "all killed at once, and started again: every acknowledged change is there"

# Another boot of the machine wrote last, for all that the nodes can see.
unmount_ring m
doubtful() { grep -q "its machine went down" "${node_log[$1]}"; }
kill_all_nodes
echo second >"$work/boot"
for name in c b a; do launch_node "$name"; done
for name in c b a; do node_serves "$name"; done
for name in a b c; do doubtful "$name" || fail "$name does not ask whether it has lost something"; done
mount_ring m c
same_tree "$work/tree" "$(at m)/tree"
echo "after the power came back" >"$(at m)/after"
sync "$(at m)/after"
wait_whole b
step "a majority whose machines went down: they go on with what they have"

kill_node b
echo third >"$work/boot"
start_node b
doubtful b || fail "b does not ask whether it has lost something"
wait_whole a
kill_node a
[ "$(cat "$(at m)/after")" = "after the power came back" ] || fail "b is not as good as any other again"
start_node a
step "one whose machine went down counts again once it has caught up"

unmount_ring m
for name in a b c; do stop_node "$name"; done
echo fourth >"$work/boot"
for name in a b c; do launch_node "$name"; done
for name in a b c; do node_serves "$name"; done
for name in a b c; do ! doubtful "$name" || fail "$name was stopped well, and doubts it"; done
step "whoever was stopped well has lost nothing"
finish
