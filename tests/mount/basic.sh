#!/usr/bin/env bash
# What a newcomer types: two nodes, a mount in the background, cp, cat, ls, mkdir, rm; then where a file is.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_node first
start_node second first
step "two nodes serve: $(peer first) and $(peer second)"

# To the background: when the command returns, the mount serves.
mkdir "$(at ring)"
CHORDFS_TEST=$work timeout 60 "$bin/chordfs-mount" "$(at ring)" --via "${node_port[second]}" >"$work/log/mount-ring.1.log" 2>&1 ||
  fail "chordfs-mount: $(cat "$work/log/mount-ring.1.log")"
is_mounted "$(at ring)" || fail "chordfs-mount returned, but nothing is mounted"
cd "$(at ring)"
[ -z "$(ls -A)" ] || fail "a new ring is not empty"
step "mounted through the second, by its port alone"

cp "$bin/chordfs" program
cmp "$bin/chordfs" program
echo "hello, ring" >hello
[ "$(cat hello)" = "hello, ring" ] || fail "cat"
mkdir -p deep/er
mv hello deep/er/hello
ln -s er/hello deep/link
[ "$(cat deep/link)" = "hello, ring" ] || fail "cat through a symbolic link"
[ "$(ls deep)" = $'er\nlink' ] || fail "ls: $(ls deep)"
must_fail "rmdir of a directory that is not empty" rmdir deep
step "cp, cmp, cat, mkdir, mv, ln, ls"

ring=$(chordfs ring --via "$(peer first)")
for node in first second; do
  grep -q "${node_port[$node]}" <<<"$ring" || fail "chordfs ring does not show ${node_port[$node]}: $ring"
done
ring_has second 2 || fail "chordfs ring --json does not show two nodes: $(chordfs ring --via "$(peer second)" --json)"
located=$(chordfs locate /deep/er/hello --trace --via "$(peer first)")
grep -qE "${node_port[first]}|${node_port[second]}" <<<"$located" || fail "chordfs locate names no node: $located"
must_fail "locate of a name that does not exist" chordfs locate /no/such --via "$(peer first)"
location=$(getfattr --only-values -n user.chordfs.location deep/er/hello)
grep -qE "${node_port[first]}|${node_port[second]}" <<<"$location" || fail "user.chordfs.location names no node: $location"
[ -z "$(getfattr -d deep/er/hello)" ] || fail "listed, the location would be copied by cp -a: $(getfattr -d deep/er/hello)"
step "ring, locate, getfattr: $location"

rm -r deep program
[ -z "$(ls -A)" ] || fail "rm left something: $(ls -A)"
cd "$work"
fusermount3 -u "$(at ring)"
mounts_ended() { [ "$(marked "$work" | wc -l)" -eq ${#node_pid[@]} ]; }
wait_until "the mount's process ends" 60 mounts_ended
step "rm -r, unmounted, its process ended"

# The default directory, and two nodes in it: as a user who is not root.
port=$(free_port)
home=$work/home
mkdir "$home"
as_user=()
programs=$bin
if [ "$(id -u)" -eq 0 ]; then
  # Copied, because the checkout may lie where others may not look.
  programs=$work/bin
  cp -r "$bin" "$programs"
  chmod 755 "$work" "$programs"
  chown -R nobody "$home"
  as_user=(setpriv --reuid=nobody --clear-groups)
fi
log=$work/log/node-default.1.log
CHORDFS_TEST=$work XDG_STATE_HOME=$home "${as_user[@]}" "$programs/chordfs-node" "$port" --listen 127.0.0.1 >"$log" 2>&1 </dev/null &
node_pid["default"]=$!
wait_until "a node in the default directory serves" 60 serving_or_dead "$!" "$log"
[ -d "$home/chordfs" ] || fail "the default directory is not \$XDG_STATE_HOME/chordfs: $(find "$home")"
other=$(free_port)
log=$work/log/node-default2.1.log
CHORDFS_TEST=$work XDG_STATE_HOME=$home "${as_user[@]}" "$programs/chordfs-node" "$other" "$port" --listen 127.0.0.1 >"$log" 2>&1 </dev/null &
node_pid["default2"]=$!
wait_until "a second node beside it serves" 60 serving_or_dead "$!" "$log"
for node in default default2; do
  running "${node_pid["$node"]}" || fail "two nodes do not get along in the default directory"
done
step "two nodes in \$XDG_STATE_HOME/chordfs: $(find "$home/chordfs" -mindepth 1 -maxdepth 1 -printf '%f ')"
finish
