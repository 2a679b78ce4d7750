#!/usr/bin/env bash
# Two mounts through two nodes: what one closed, the other sees at its next open; names at once.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b c
mount_ring one a
mount_ring two c
one=$(at one)
two=$(at two)

# Written there, read here, also when here has read (and cached) an older version of the same size.
for round in $(seq 50); do
  printf 'round %04d' "$round" >"$one/file"
  [ "$(cat "$two/file")" = "$(printf 'round %04d' "$round")" ] || fail "round $round: two reads $(cat "$two/file")"
  printf 'answer %03d' "$round" >"$two/file"
  [ "$(cat "$one/file")" = "$(printf 'answer %03d' "$round")" ] || fail "round $round: one reads $(cat "$one/file")"
done
step "50 rounds of write and close here, open and read there, same size"

head -c 9000000 /dev/urandom >"$work/large"
cp "$work/large" "$one/large"
cmp "$work/large" "$two/large"
printf 'in the middle' | dd of="$work/large" bs=1 seek=5000000 conv=notrunc status=none
printf 'in the middle' | dd of="$two/large" bs=1 seek=5000000 conv=notrunc status=none
cmp "$work/large" "$one/large" || fail "one has stale pages of a file that two changed"
truncate -s 4500000 "$one/large" "$work/large"
cmp "$work/large" "$two/large" || fail "two sees another end of the file"
seq 1000 >>"$one/large"
seq 1000 >>"$work/large"
cmp "$work/large" "$two/large" || fail "two does not see what was appended"
step "overwritten in the middle, truncated, appended: the other side sees it at its next open"

mkdir "$one/dir"
[ -d "$two/dir" ] || fail "mkdir is not seen"
must_fail "a name that is absent" stat "$two/dir/x"
echo 1 >"$one/dir/x"
[ "$(cat "$two/dir/x")" = 1 ] || fail "an absence was cached"
mv "$two/dir/x" "$two/y"
[ "$(cat "$one/y")" = 1 ] || fail "a rename is not seen"
must_fail "the old name after a rename" stat "$one/dir/x"
rmdir "$two/dir"
must_fail "a directory that the other removed" stat "$one/dir"
chmod 600 "$one/y"
[ "$(stat -c %a "$two/y")" = 600 ] || fail "chmod is not seen: $(stat -c %a "$two/y")"
touch -d '2001-02-03 04:05:06.123456789' "$two/y"
[ "$(stat -c %.9Y "$one/y")" = "$(stat -c %.9Y "$two/y")" ] || fail "times differ"
ln "$one/y" "$one/z"
[ "$(stat -c %h "$two/y")" = 2 ] || fail "a link is not counted"
mkdir "$one/listed"
for name in 1 2 3; do : >"$one/listed/$name"; done
[ "$(ls "$two/listed")" = $'1\n2\n3' ] || fail "ls: $(ls "$two/listed")"
rm "$two/listed/2"
[ "$(ls "$one/listed")" = $'1\n3' ] || fail "ls after rm: $(ls "$one/listed")"
step "mkdir, rename, rmdir, chmod, touch, ln, ls: seen at once"

# Open here, unlinked there: stays readable and writable until it is closed.
cp "$work/large" "$one/open"
exec 5<>"$one/open"
rm "$two/open"
must_fail "open of an unlinked name" cat "$one/open"
cmp "$work/large" - <&5 || fail "unlinked elsewhere, and no longer readable"
echo more >&5
[ "$(stat -L -c '%h %s' /proc/self/fd/5)" = "0 $(($(stat -c %s "$work/large") + 5))" ] ||
  fail "fstat of an unlinked file: $(stat -L -c '%h %s' /proc/self/fd/5)"
exec 5>&-
# Replaced there by a rename: the old file stays what it was for who has it open.
echo old >"$one/target"
exec 5<"$one/target"
echo new >"$two/source"
mv "$two/source" "$two/target"
[ "$(cat <&5)" = old ] || fail "the replaced file changed under its reader"
exec 5<&-
[ "$(cat "$one/target")" = new ] || fail "the replacement is not seen"
step "open here, unlinked or replaced there: still readable"

# Both append to one directory at once; no name is lost, and of two who create one name only one succeeds.
mkdir "$one/race"
won() { local i; for i in $(seq 200); do if (set -o noclobber; : >"$1/race/$i") 2>/dev/null; then echo "$i"; fi; done; }
won "$one" >"$work/won.one" &
racer=$!
background+=("$racer")
won "$two" >"$work/won.two"
wait "$racer"
background=()
[ "$(cat "$work"/won.* | sort -n)" = "$(seq 200)" ] || fail "200 names, won $(cat "$work"/won.* | wc -l) times"
[ "$(find "$two/race" -type f | wc -l)" -eq 200 ] || fail "names are missing"
step "200 names created from both sides at once: each won once ($(wc -l <"$work/won.one") and $(wc -l <"$work/won.two"))"
finish
