#!/usr/bin/env bash
# Five nodes; a few thousand files of /usr/include in by cp -a and compared; tar out and in; everything after a fresh
# mount. CHORDFS_TEST_TREE: another tree, whole, for example /usr/include.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tree=${CHORDFS_TEST_TREE:-$work/include}
if [ -z "${CHORDFS_TEST_TREE-}" ]; then
  real_tree "$work/source"
  mkdir "$tree"
  tar -C "$work/source" -cf - . | tar -C "$tree" -xpf -  # As tar has it: whole seconds.
fi
[ -d "$tree" ] || fail "there is no $tree"
start_ring a b c d e
mount_ring m b
ring=$(at m)
step "five nodes, mounted"

cp -a "$tree" "$ring/tree"
step "cp -a: $(find "$tree" | wc -l) objects, $(du -sm "$tree" | cut -f 1) MiB"
remount_ring m d
same_tree "$tree" "$ring/tree"
step "diff -r, mode, owner, mtime, links, sizes: the same, through another node"

part=$tree/c++
[ -d "$part" ] || part=$(find "$tree" -mindepth 1 -maxdepth 1 -type d | sort | head -1)
tar -C "$part" -cf "$work/native.tar" --sort=name .
tar -C "$ring/tree/$(basename "$part")" -cf "$work/ring.tar" --sort=name .
cmp "$work/native.tar" "$work/ring.tar" || fail "tar of the same tree differs"
mkdir "$ring/untarred"
tar -C "$ring/untarred" -xpf "$work/native.tar"
remount_ring m a
same_tree "$part" "$ring/untarred"
step "tar out: byte for byte as from the disk; in: the same tree"

adorned_tree "$work/adorned"
all=(--acls --xattrs --xattrs-include='*' --sparse --sort=name --format=posix)
mkdir "$ring/adorned" "$work/adorned.back"
tar -C "$work/adorned" "${all[@]}" -cf - . | tar -C "$ring/adorned" "${all[@]}" -xpf -
remount_ring m c
same_tree "$work/adorned" "$ring/adorned"
same_adornments "$work/adorned" "$ring/adorned"
tar -C "$ring/adorned" "${all[@]}" -cf "$ring/adorned.tar" .
tar -C "$work/adorned.back" "${all[@]}" -xpf "$ring/adorned.tar"
same_tree "$work/adorned" "$work/adorned.back"
same_adornments "$work/adorned" "$work/adorned.back"
[ "$(du -sk "$ring/adorned/holes" | cut -f 1)" -lt 1000 ] || fail "holes became $(du -sk "$ring/adorned/holes") KiB of zeros"
step "tar --acls --xattrs --sparse in and out: lists, attributes, devices, holes are the same"

rm -rf "$ring"/{untarred,adorned,adorned.tar}
[ "$(ls "$ring")" = tree ] || fail "rm -rf left something: $(ls "$ring")"
step "rm -rf"
finish
