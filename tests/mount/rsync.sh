#!/usr/bin/env bash
# rsync -aHAX --sparse onto the ring, from it, and within it: nothing differs. Then what has changed since, in place too.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tree=$work/tree
mkdir "$tree"
cp -a /usr/include/linux/{netfilter,usb,fs.h} "$tree/"
adorned_tree "$tree/adorned"
start_ring a b c
mount_ring m a
ring=$(at m)

exact=--modify-window=-1  # Times to the nanosecond; else within a second is equal.
copy() { rsync -aHAX $exact --sparse --delete "$@" >"$work/log/rsync" 2>&1 || { cat "$work/log/rsync" >&2; fail "rsync $*"; }; }
no_difference() {
  rsync -naHAXic $exact --delete "$1" "$2" >"$work/log/rsync" 2>&1 || { cat "$work/log/rsync" >&2; fail "rsync -n $1 $2"; }
  [ ! -s "$work/log/rsync" ] || { head -20 "$work/log/rsync" >&2; fail "rsync finds differences: $1 $2"; }
}
equal() { no_difference "$1/" "$2/"; no_difference "$2/" "$1/"; same_tree "$1" "$2"; same_adornments "$1" "$2"; }

copy "$tree/" "$ring/copy/"
remount_ring m c
equal "$tree" "$ring/copy"
[ "$(du -sk "$ring/copy/adorned/holes" | cut -f 1)" -lt 1000 ] || fail "holes became $(du -sk "$ring/copy/adorned/holes") KiB of zeros"
step "onto the ring: $(find "$tree" | wc -l) objects, no difference"
copy "$ring/copy/" "$work/back/"
equal "$tree" "$work/back"
step "and back"
copy "$ring/copy/" "$ring/second/"
equal "$tree" "$ring/second"
step "within the ring"

rm "$tree"/netfilter/xt_[a-m]*
mv "$tree/usb" "$tree/moved"
head -c 3000000 /dev/urandom >"$tree/adorned/holes"
printf 'changed' | dd of="$tree/adorned/dir/file" bs=1 seek=1000 conv=notrunc status=none
setfacl -x u:12 "$tree/adorned/dir/file"
setfattr -x user.short "$tree/adorned/dir/file"
setfattr -n user.more -v than "$tree/adorned/plain"
chmod 600 "$tree/fs.h"
copy "$tree/" "$ring/copy/"
equal "$tree" "$ring/copy"
copy --inplace --no-whole-file --no-sparse "$tree/" "$ring/second/"
equal "$tree" "$ring/second"
step "what has changed, by new files and in place: no difference"
finish
