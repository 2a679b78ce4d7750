#!/usr/bin/env bash
# Every node killed at once by SIGKILL and started again: the same tree; to a fresh mount, and to one that stayed.
# kill_all.sh does it in the middle of writing.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

real_tree "$work/tree"
start_ring a b c d e
mount_ring m a
cp -a "$work/tree" "$(at m)/tree"
step "five nodes; $(find "$work/tree" | wc -l) objects copied in"

start_all_again() {
  # Whichever is first finds its ring in its data directory.
  local name
  for name in e d c b a; do launch_node "$name"; done
  for name in e d c b a; do node_serves "$name"; done
  wait_until "the ring has five nodes again" 60 ring_has a 5
}

kill_all_nodes
step "all five killed"
start_all_again
# The mount that stayed: its next calls may fail while the ring comes back, then it works again.
answers() { timeout 60 ls "$(at m)/tree" >/dev/null 2>&1; }
wait_until "the mount that stayed works again" 60 answers
same_tree "$work/tree" "$(at m)/tree"
echo "written after" >"$(at m)/after"
step "restarted; the mount that stayed shows the same tree, and writes"

remount_ring m d
same_tree "$work/tree" "$(at m)/tree"
[ "$(cat "$(at m)/after")" = "written after" ] || fail "what was written after the restart"
step "a fresh mount shows the same tree"

finish
