#!/usr/bin/env bash
# Five nodes killed at once while one program writes, syncs and logs what was acknowledged, and another unpacks a tar:
# started again, the first read succeeds within the bound after the last node is up, and everything acknowledged is there.
# CHORDFS_TEST_BOUND: seconds; the issue says 5. CHORDFS_TEST_ROUNDS: how often.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bound=${CHORDFS_TEST_BOUND:-5}
rounds=${CHORDFS_TEST_ROUNDS:-1}
real_tree "$work/tree"
tar -C "$work/tree" --format=posix -cf "$work/tree.tar" .  # Times to the nanosecond.
start_ring a b c d e
mount_ring m a b c
mkdir "$(at m)/known"
# In directories of their own: many arcs. The first read is of any of them; when all could be read is printed too.
for i in $(seq 60); do
  mkdir "$(at m)/known/$i"
  head -c 20000 /dev/urandom >"$work/known-$i"
  cp "$work/known-$i" "$(at m)/known/$i/file"
done
wait_whole a
step "five nodes, all copies there"

# first_reads.py TOP ORIGINALS LOG...: from the moment that every log says serving, how long until one could be read, and
# until all could. A read that succeeds before the last node is up took no time.
cat >"$work/first_reads.py" <<'PY'
import sys
import time

top, originals, bound, logs = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]


def serves(log):
    with open(log, encoding="utf-8", errors="replace") as f:
        return " serving " in f.read()


# As the last one comes up is what counts; reading starts only then, so that nothing is answered from before.
waiting, give_up = list(logs), time.monotonic() + 120
while waiting:
    waiting = [log for log in waiting if not serves(log)]
    if time.monotonic() > give_up:
        sys.exit("FAILED: no end of waiting for nodes to serve: " + " ".join(waiting))
    time.sleep(0.005)
up, left, first, errors = time.monotonic(), list(range(1, 61)), None, 0
while left:
    for number in list(left):
        try:
            with open(f"{top}/{number}/file", "rb") as f:
                found = f.read()
        except OSError:
            errors += 1
            continue
        with open(f"{originals}-{number}", "rb") as f:
            if f.read() != found:
                sys.exit(f"FAILED: {top}/{number}/file is not what was written")
        first = first or time.monotonic() - up
        left.remove(number)
    if left and time.monotonic() - up > 120:
        sys.exit(f"FAILED: {len(left)} of 60 files cannot be read after 120 s")
    time.sleep(0.02)
print(f"      after the last node is up: the first read after {first:.2f} s, all 60 after {time.monotonic() - up:.2f} s, "
      f"{errors} failed on the way")
sys.exit(0 if first <= bound else 1)
PY

acknowledge() { python3 "$here/acknowledged.py" "$@"; }
enough() { [ -e "$work/manifest-$round" ] && [ "$(wc -l <"$work/manifest-$round")" -ge $((30 + round)) ] || gone "$writer"; }
for round in $(seq "$rounds"); do
  mkdir "$(at m)/synced-$round"
  CHORDFS_TEST=$work acknowledge write "$(at m)/synced-$round" "$work/manifest-$round" "$work/stop" "$round" \
    >"$work/log/writer-$round" 2>&1 &
  writer=$!
  mkdir "$(at m)/unpacked-$round"
  CHORDFS_TEST=$work tar -C "$(at m)/unpacked-$round" -xpf "$work/tree.tar" >"$work/log/tar-$round" 2>&1 &
  unpacker=$!
  background+=("$writer" "$unpacker")
  wait_until "files are written and synced" 120 enough
  running "$writer" || { cat "$work/log/writer-$round" >&2; fail "the writer ended before anything happened"; }
  running "$unpacker" || { tail -3 "$work/log/tar-$round" >&2; fail "tar was over before the nodes were killed"; }
  kill_all_nodes
  # It must stop by itself: what is acknowledged while nobody is there would be a lie.
  wait_until "the writer gets an error" 60 gone "$writer"
  code=0
  wait "$writer" || code=$?
  [ $code -eq 3 ] || { cat "$work/log/writer-$round" >&2; fail "the writer ended with code $code, not by an error of the mount"; }
  acknowledged=$(wc -l <"$work/manifest-$round")
  # Each file that is left gets an error of its own: that would take it an hour.
  kill "$unpacker"
  wait_until "tar ends" 120 gone "$unpacker"
  wait "$unpacker" 2>/dev/null || true
  background=()
  step "round $round: all five killed after $acknowledged files were acknowledged"

  for name in a b c d e; do launch_node "$name"; done
  CHORDFS_TEST=$work python3 "$work/first_reads.py" "$(at m)/known" "$work/known" "$bound" "${node_log[@]}" ||
    fail "the first read took over $bound s, or see above"
  for name in a b c d e; do node_serves "$name"; done

  checked=$(acknowledge check "$(at m)/synced-$round" "$work/manifest-$round") || fail "acknowledged and not there: see above"
  [ "$checked" -eq "$acknowledged" ] || fail "checked $checked of $acknowledged"
  wait_whole a
  remount_ring m d c b
  for earlier in $(seq "$round"); do
    acknowledge check "$(at m)/synced-$earlier" "$work/manifest-$earlier" >/dev/null || fail "round $earlier: acknowledged and not there"
  done
  step "round $round: every one is there, to the mount that stayed and to a fresh one"
done

mkdir "$(at m)/after"
tar -C "$(at m)/after" -xpf "$work/tree.tar"
remount_ring m e
same_tree "$work/tree" "$(at m)/after"
step "work goes on: the tar unpacked, the same tree"
finish
