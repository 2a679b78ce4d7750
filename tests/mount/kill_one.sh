#!/usr/bin/env bash
# One of five nodes is killed, or frozen for six seconds, in the middle of `cp -a` of a real tree and of a large write:
# no error reaches them, no call takes longer than the bound, and what was written is what was meant.
# CHORDFS_TEST_IDLEST=1: also one that leads little. CHORDFS_TEST_MIB=1024: the write of 1 GiB. CHORDFS_TEST_BOUND: seconds; the issue says 3.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bound=${CHORDFS_TEST_BOUND:-3}
mib=${CHORDFS_TEST_MIB:-128}
real_tree "$work/tree"
objects=$(find "$work/tree" | wc -l)
openssl enc -aes-256-ctr -nosalt -K "$(printf '%064d' 20)" -iv "$(printf '%032d' 0)" -in /dev/zero 2>/dev/null |
  head -c $((mib * 1024 * 1024)) >"$work/big" || [ "$(stat -c %s "$work/big")" -eq $((mib * 1024 * 1024)) ]
expected=$(sha256sum <"$work/big")

# The mount knows all nodes as soon as it serves; a is only where it enters.
start_ring a b c d e
mount_ring m a
wait_whole a
step "five nodes, all copies there; $objects objects and $mib MiB to write"

node_of_port() {
  local name
  for name in "${!node_port[@]}"; do [ "${node_port[$name]}" != "$1" ] || echo "$name"; done
}
# victim busiest|idlest: of the nodes other than a, the one that leads most or fewest arcs.
victim() {
  node_of_port "$(chordfs ring --via "$(peer a)" --json |
    python3 "$here/ring_facts.py" "$1" "${node_port[b]}" "${node_port[c]}" "${node_port[d]}" "${node_port[e]}")"
}

# What writes, started in the background as $worker, and whether a third of it is done.
start_copy() {
  : >"$work/log/cp-$1"
  CHORDFS_TEST=$work cp -av "$work/tree" "$(at m)/copy-$1" >"$work/log/cp-$1" 2>"$work/log/err-$1" &
  worker=$!
}
third_copy() { [ "$(wc -l <"$work/log/cp-$1")" -ge $((objects / 3)) ] || gone "$worker"; }
start_big() {
  CHORDFS_TEST=$work dd if="$work/big" of="$(at m)/big-$1" bs=1M conv=fsync status=none 2>"$work/log/err-$1" &
  worker=$!
}
third_big() {
  local wrote
  wrote=$(awk '/^wchar/ { print $2 }' "/proc/$worker/io" 2>/dev/null) || return 0
  [ "${wrote:-0}" -ge $((mib * 1024 * 1024 / 3)) ] || gone "$worker"
}

# disturb RUN copy|big kill|freeze busiest|idlest
disturb() {
  local run=$1 what=$2 way=$3 node code=0 start took
  node=$(victim "$4")
  start_probe "$run" m "$bound"
  "start_$what" "$run"
  background+=("$worker")
  start=$EPOCHREALTIME
  ended_or_failed() { gone "$worker" || [ -s "$work/log/err-$run" ]; }
  # No pause between two looks: a large write may be over in a second.
  until "third_$what" "$run"; do :; done
  running "$worker" || { cat "$work/log/err-$run" >&2; fail "$run: the write was over before a third was seen"; }
  if [ "$way" = kill ]; then
    kill -s KILL "${node_pid[$node]}"
  else
    kill -s STOP "${node_pid[$node]}"
  fi
  running "$worker" || fail "$run: the write was over before the node was gone"
  if [ "$way" = kill ]; then
    wait "${node_pid[$node]}" 2>/dev/null || true
    unset "node_pid[$node]"
  else
    sleep 6  # How long it stays frozen.
    kill -s CONT "${node_pid[$node]}"
  fi
  # At its first error it has failed: a cp whose files all fail would go on for long.
  wait_until "$run ends" 900 ended_or_failed
  [ ! -s "$work/log/err-$run" ] || { head -3 "$work/log/err-$run" >&2; fail "$run: an error reached the program"; }
  wait "$worker" || code=$?
  took=$(echo "$start $EPOCHREALTIME" | awk '{ printf "%.1f", $2 - $1 }')
  [ $code -eq 0 ] || fail "$run: ended with code $code"
  stop_probe "$run" "$bound s"
  step "$run: $node, where $4 is, $way; written in $took s without an error"
  [ "$way" = freeze ] || restart_node "$node"
  wait_whole a
}
# check RUN copy|big, as the mount shows it.
check() {
  if [ "$2" = copy ]; then
    same_tree "$work/tree" "$(at m)/copy-$1"
  else
    [ "$(sha256sum <"$(at m)/big-$1")" = "$expected" ] || fail "$1: SHA-256 differs"
  fi
}

done_runs=()
for case in ${CHORDFS_TEST_IDLEST:+"kill idlest"} "kill busiest" "freeze busiest"; do
  for what in copy big; do
    read -r way which <<<"$case"
    run=$way-$which-$what
    disturb "$run" "$what" "$way" "$which"
    check "$run" "$what"
    done_runs+=("$run $what")
  done
done

# Through another node, by a mount that remembers nothing.
remount_ring m d
for run in "${done_runs[@]}"; do
  # shellcheck disable=SC2086
  check $run
done
step "a fresh mount through another node reads the same ${#done_runs[@]} times"
finish
