#!/usr/bin/env bash
# The newcomer's session in the README: its commands are run as they stand there, and what they print is compared with
# what stands there, but for what differs from ring to ring: identifiers, ports, times, sizes, counts.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Between the markers; the fence lines go.
sed -n '/<!-- session -->/,/<!-- end of session -->/p' "$root/README.md" | grep -v '^```\|^<!--' >"$work/session"
grep -q '^\$ ' "$work/session" || fail "no session in the README"

for name in first second third; do node_port[$name]=$(free_port); done
export PATH=$bin:$PATH CHORDFS_TEST=$work HOME=$work XDG_STATE_HOME=$work/state
mkdir "$work/desk" "$(at dht)"
nodes=0
: >"$work/log/mount-dht.log"  # The session's mount is in the background: it logs nowhere.

# Every position of every node knows positions of all: until then, a lookup may end with a shorter list.
all_know_all() {  # all_know_all NODES
  local name names=(first second third)
  for name in "${names[@]:0:$1}"; do
    chordfs fingers "$(peer $name)" --json 2>/dev/null | python3 -c '
import json, sys
positions = json.load(sys.stdin)["positions"]
known = [{p["node"] for p in [at["self"], *at["successors"]]} for at in positions]
sys.exit(not known or min(map(len, known)) < int(sys.argv[1]))' "$1" 2>/dev/null || return 1
  done
}

# A node's line: in the background, with a directory of its own, until the others know it.
node() {
  local log=$work/log/node-$2.log
  : >"$log"
  chordfs-node "${@:2}" --data "$work/data/$2" --listen 127.0.0.1 >"$log" 2>&1 </dev/null &
  local pid=$!
  background+=("$pid")
  wait_until "node $2 serves" 60 serving_or_dead "$pid" "$log"
  running "$pid" || fail "a node of the session ended: $(cat "$log")"
  nodes=$((nodes + 1))
  wait_until "the ring has $nodes nodes" 60 ring_has first $nodes
  wait_until "$nodes nodes know all" 120 all_know_all $nodes
}

local_terms() {  # The session's ports and its mount point, as those of this run.
  sed -e "s#/mnt/dht#$(at dht)#g" -e "s/\<6000\>/${node_port[first]}/g" -e "s/\<6001\>/${node_port[second]}/g" -e "s/\<6002\>/${node_port[third]}/g"
}

# What differs is named by its kind; of lines that then are the same, one is kept (a ring has as many hops as it has).
kinds() {
  sed -E -e "s#$(at dht)#/mnt/dht#g" -e 's/127\.0\.0\.1:[0-9]+/NODE/g' -e 's/\b[0-9a-f]{40}\b/KEY/g' -e 's/\b[0-9a-f]{16}\b/INODE/g' \
    -e 's/\b[0-9a-f]{8}\b/ID/g' -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{5}/DATE/g' \
    -e 's/[0-9]+(\.[0-9]+)? (B|[KMGTP]iB)\b/SIZE/g' -e 's/[0-9]+\.[0-9]+( ms|%)/NUMBER\1/g' -e 's/\b[0-9]+\b/N/g' \
    -e 's/\bhop N .*/HOP/' -e 's/ +/ /g' -e 's/ +$//' | uniq
}

cd "$work/desk"
umask 022  # ls -l shows it.
: >"$work/expected"
: >"$work/printed"
run() {
  local line=$1
  step "\$ $line"
  echo "\$ $line" | tee -a "$work/expected" >>"$work/printed"
  line=$(local_terms <<<"$line")
  case $line in
    chordfs-node*'&') eval "node ${line%&}" ;;
    *) eval "$line" >>"$work/printed" 2>&1 || fail "the session's command ended with $?: $line: $(tail -n 5 "$work/printed")" ;;
  esac
}
while IFS= read -r line <&3; do
  case $line in
    '$ '*) run "${line#\$ }" ;;
    *) echo "$line" >>"$work/expected" ;;
  esac
done 3<"$work/session"

kinds <"$work/expected" >"$work/expected.kinds"
kinds <"$work/printed" >"$work/printed.kinds"
diff -u "$work/expected.kinds" "$work/printed.kinds" ||
  fail "the README shows something else than the commands print (- README, + printed); they printed: $(cat "$work/printed")"
kill "${background[@]}" 2>/dev/null || true
for pid in "${background[@]}"; do wait_until "a node of the session ends" 60 gone "$pid"; done
finish
