#!/usr/bin/env bash
# What -o may say; read-only mounts; mount -t fuse.chordfs, lines of fstab(5), remount and umount, as root would type them.
# As root: in mounts of its own, where mount(8) finds its helper.
if [ "$(id -u)" -eq 0 ] && [ -z "${CHORDFS_TEST_APART-}" ]; then
  CHORDFS_TEST_APART=yes exec unshare --mount --propagation private "$0" "$@"
fi
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_ring a b
mount_ring rw a
echo 'Nothing is lost.' >"$(at rw)/file"
mkdir "$(at rw)/full" "$(at rw)/empty"
echo inside >"$(at rw)/full/inside"
setfattr -n user.kept -v yes "$(at rw)/file"

facts_of() { awk -v point="$1" '$5 == point { print $6, $(NF - 1), $NF }' /proc/self/mountinfo; }  # flags source superflags
shows() {  # shows POINT WORD...: each is in the kernel's list of mounts.
  local point=$1 facts word
  facts=$(facts_of "$point")
  for word in "${@:2}"; do
    [[ ,${facts// /,}, == *,"$word",* ]] || fail "the mount does not show '$word': $facts"
  done
}
all_ended() {
  local left
  left=$(marked "$work")
  # shellcheck disable=SC2086
  ps -o pid=,stat=,wchan=,args= -p $left >"$work/log/mount-left.log" || true  # Shown after a failure.
  [ "$(wc -w <<<"$left")" -eq $((${#node_pid[@]} + ${#mount_pid[@]})) ]
}
end_mount() {  # By umount(8), which waits for nobody; its process ends.
  if [ "$(id -u)" -eq 0 ]; then umount "$1"; else fusermount3 -u "$1"; fi
  wait_until "the process of $1 ends" 60 all_ended
  not_mounted "$1" || fail "$1 is mounted still"
}
mount_with() {  # mount_with OPTIONS: in the background, at m.
  mkdir -p "$(at m)"
  CHORDFS_TEST=$work timeout 60 "$bin/chordfs-mount" "$(at m)" --via "$(via a b)" -o "$1" >"$work/log/said" 2>&1 ||
    fail "-o $1: $(cat "$work/log/said")"
}
refused() {  # refused CODE PATTERN COMMAND...
  local expected=$1 pattern=$2 code=0
  CHORDFS_TEST=$work timeout 60 "${@:3}" >"$work/log/said" 2>&1 || code=$?
  [ $code -eq "$expected" ] || fail "${*:3}: ended with $code instead of $expected: $(cat "$work/log/said")"
  grep -q -- "$pattern" "$work/log/said" || fail "${*:3}: does not say '$pattern': $(cat "$work/log/said")"
  [ "$(wc -l <"$work/log/said")" -eq 1 ] || fail "${*:3}: says more than a line: $(cat "$work/log/said")"
  not_mounted "$(at m)" || fail "${*:3}: mounted all the same"
}

mount_with 'ro,nosuid,nodev,noexec,noatime,relatime,lazytime,default_permissions,_netdev,nofail,x-systemd.automount,X-mine=1,user=me,noauto,auto,defaults,comment=systemd.mount,fsname=a\,b'
shows "$(at m)" ro nosuid nodev noexec noatime 'a,b' default_permissions
step "ro,nosuid,… as asked: $(facts_of "$(at m)")"

# Read-only: everything that changes anything is refused, and everything else works.
python3 - "$(at m)" "$(at rw)" <<'PY' || fail "a read-only mount"
import errno, os, sys
top, other = sys.argv[1:]
wrong = 0
os.chdir(top)
for what, call in {
    "open to write": lambda: os.open("file", os.O_WRONLY), "open for both": lambda: os.open("file", os.O_RDWR),
    "open to append": lambda: os.open("file", os.O_WRONLY | os.O_APPEND),
    "open to truncate": lambda: os.open("file", os.O_RDONLY | os.O_TRUNC),
    "create": lambda: os.open("new", os.O_CREAT | os.O_WRONLY), "truncate": lambda: os.truncate("file", 0),
    "mkdir": lambda: os.mkdir("new"), "rmdir": lambda: os.rmdir("empty"), "unlink": lambda: os.unlink("file"),
    "rename": lambda: os.rename("file", "new"), "link": lambda: os.link("file", "new"),
    "symlink": lambda: os.symlink("file", "new"), "mkfifo": lambda: os.mkfifo("new"),
    "chmod": lambda: os.chmod("file", 0o600), "chown": lambda: os.chown("file", 1, 1),
    "utime": lambda: os.utime("file"), "setxattr": lambda: os.setxattr("file", "user.kept", b"no"),
    "removexattr": lambda: os.removexattr("file", "user.kept"),
}.items():
    try:
        call()
        print(f"{what}: went well")
        wrong += 1
    except OSError as error:
        if error.errno != errno.EROFS:
            print(f"{what}: {error}")
            wrong += 1
assert not os.access("file", os.W_OK) and os.access("file", os.R_OK)
assert os.listdir("full") == ["inside"] and os.getxattr("file", "user.kept") == b"yes"
# A file that is open here outlives its name, as anywhere.
with open(f"{other}/going", "w") as f:
    f.write("still here")
fd = os.open("going", os.O_RDONLY)
os.unlink(f"{other}/going")
assert os.read(fd, 100) == b"still here"
os.close(fd)
with open(f"{other}/file", "a") as f:
    f.write("more\n")
assert open("file").read() == "Nothing is lost.\nmore\n"
sys.exit(wrong != 0)
PY
end_mount "$(at m)"
step "read-only refuses with EROFS, and reads"

mount_with 'rw,ro,rw,suid,dev,exec,nonempty,log-file='"$work/log/mount-m.1.log"
shows "$(at m)" rw "chordfs:$(peer a)"
echo x >"$(at m)/written"
grep -q serving "$work/log/mount-m.1.log" || fail "log-file= is not written to"
end_mount "$(at m)"
step "of options that stand against each other the last counts"

command=("$bin/chordfs-mount" "$(at m)" --via "$(peer a)" -o)
refused 2 "'frobnicate' is no mount option" "${command[@]}" ro,frobnicate
refused 2 "'frob=1' is no mount option" "${command[@]}" frob=1,ro
refused 2 "'fsname' needs a value" "${command[@]}" fsname
refused 2 "'ro' takes no value" "${command[@]}" ro=yes
refused 2 "'user_xattr' is no mount option" "${command[@]}" user_xattr
step "options that are not known, or not so, are refused in one line"

if [ "$(id -u)" -eq 0 ]; then
  as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
  chmod 755 "$work" "$work/mnt"
  mount_with allow_root
  must_fail "another user looks into a mount of root with allow_root" as_nobody ls "$(at m)"
  ls "$(at m)" >/dev/null
  end_mount "$(at m)"
  mount_with default_permissions
  as_nobody cat "$(at m)/file" >/dev/null || fail "other users cannot read root's mount"
  must_fail "another user writes into root's file" as_nobody tee -a "$(at m)/file"
  end_mount "$(at m)"
  step "allow_root keeps others out; permissions count"

  # Where mount(8) looks: of this test's own, in its own mounts.
  mkdir "$work/sbin"
  cp -a /usr/sbin/mount.fuse* "$work/sbin/"
  ln -s "$bin/chordfs-mount" "$work/sbin/mount.fuse.chordfs"
  mount --bind "$work/sbin" /usr/sbin
  export CHORDFS_TEST=$work
  source=$(via a b)

  mount -t fuse.chordfs "$source" "$(at m)" -o nosuid,noexec,_netdev,x-systemd.device-timeout=3
  shows "$(at m)" rw nosuid noexec "$source"
  [ "$(findmnt -no FSTYPE "$(at m)")" = fuse.chordfs ] || fail "the type: $(findmnt -no FSTYPE "$(at m)")"
  echo y >"$(at m)/by_mount"
  [ "$(cat "$(at rw)/by_mount")" = y ] || fail "what was written through mount -t fuse.chordfs"
  mount -o remount,ro "$(at m)"
  shows "$(at m)" ro nosuid
  must_fail "writing after remount,ro" touch "$(at m)/no"
  [ "$(cat "$(at m)/by_mount")" = y ] || fail "reading after remount,ro"
  mount -o remount,rw "$(at m)"
  touch "$(at m)/again"
  end_mount "$(at m)"
  step "mount -t fuse.chordfs, remount, umount"

  refused 1 "'frobnicate' is no mount option" mount -t fuse.chordfs "$source" "$(at m)" -o frobnicate
  refused 32 'no node answered' mount -t fuse.chordfs "$(free_port)" "$(at m)"
  mount -s -t fuse.chordfs "$source" "$(at m)" -o frobnicate,ro
  shows "$(at m)" ro
  end_mount "$(at m)"
  step "mount(8) hears what is wrong; -s is sloppy"

  mkdir "$(at one)" "$(at two)" "$(at three)"
  cat >"$work/fstab" <<FSTAB
$source $(at one) fuse.chordfs defaults,_netdev,nofail,x-systemd.requires=network-online.target 0 0
$(peer b) $(at two) fuse.chordfs ro,noatime,user,exec 0 2
$(peer b) $(at three) fuse.chordfs noauto 0 0
FSTAB
  mount -T "$work/fstab" -a
  mount -T "$work/fstab" -a || fail "mount -a again"
  shows "$(at one)" rw "$source"
  shows "$(at two)" ro nosuid nodev noatime "$(peer b)"
  not_mounted "$(at three)" || fail "noauto is mounted by mount -a"
  [ "$(grep -c " $(at one) " /proc/self/mountinfo)" -eq 1 ] || fail "mount -a has mounted twice"
  mount -T "$work/fstab" "$(at three)"
  echo z >"$(at three)/z"
  [ "$(cat "$(at one)/z" "$(at two)/z")" = $'z\nz' ] || fail "what was written at one is not at the others"
  for name in one two three; do umount "$(at $name)"; done
  wait_until "the processes of fstab's mounts end" 60 all_ended
  umount /usr/sbin
  step "fstab: mount -a, mount -a again, mount by its directory"
else
  step "not root: mount(8) and other users are left out"
fi
finish
