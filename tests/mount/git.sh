#!/usr/bin/env bash
# git on the ring: clone, status, fsck, commit, gc; of a repository made here and of this project's own.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export GIT_CONFIG_NOSYSTEM=1 HOME=$work
git config --global user.name "A test"
git config --global user.email test@example.org
git config --global init.defaultBranch main
git config --global safe.directory '*'
git config --global advice.detachedHead false

mkdir "$work/origin"
cd "$work/origin"
git init -q
for commit in $(seq 40); do
  for file in $(seq 10); do
    mkdir -p "part$((file % 4))/$((commit % 7))"
    seq "$commit" $((commit * file * 30)) >"part$((file % 4))/$((commit % 7))/file$commit.$file"
  done
  [ "$commit" -eq 1 ] || git rm -q --ignore-unmatch "part1/$(((commit - 1) % 7))/file$((commit - 1)).5"
  git add -A
  git commit -qm "Commit $commit"
done
step "a repository of $(git ls-files | wc -l) files, $(git rev-list --count HEAD) commits"

start_ring a b c
mount_ring m b

clean() {  # clean DIR: as a clone must be.
  [ -z "$(git -C "$1" status --porcelain)" ] || fail "git status: $(git -C "$1" status --short | head)"
  git -C "$1" fsck --full --strict --no-progress || fail "git fsck"
}
clone() {
  git clone -q "$1" "$(at m)/$2"
  clean "$(at m)/$2"
  [ "$(git -C "$(at m)/$2" rev-parse HEAD)" = "$(git -C "$1" rev-parse HEAD)" ] || fail "another HEAD"
  step "cloned $2: status and fsck are clean"
}
clone "$work/origin" copy
if git -C "$root" rev-parse -q --verify HEAD >/dev/null 2>&1; then clone "$root" project; fi

cd "$(at m)/copy"
git checkout -q -b work
seq 100 >new
git mv part2 moved
git rm -qr part3
git commit -qam "Move and remove" && git add new && git commit -qm "Add"
git checkout -q main
git merge -q --no-ff -m "Merge" work
git repack -qad
git gc -q --aggressive --prune=now
cd "$work"
remount_ring m c
clean "$(at m)/copy"
git clone -q "$(at m)/copy" "$work/back"
clean "$work/back"
[ "$(git -C "$work/back" rev-list --count HEAD)" -eq 43 ] || fail "commits are missing"
step "committed, merged, repacked, gc; a fresh mount is clean, and so is a clone from it"
finish
