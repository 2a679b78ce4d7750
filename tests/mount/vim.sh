#!/usr/bin/env bash
# vim's save sequence, with swap files, for each way to make the backup: as on the disk, and seen at once by a second mount;
# its swap files warn the other mount's vim, and recover what a killed one had not saved.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

vim=$(command -v vim.tiny || command -v vim.basic) || fail "there is no vim: packaging/install-build-deps.sh"
start_ring a b c
mount_ring one a
mount_ring two c
mkdir "$work/native"

edit() {  # edit SETTINGS COMMAND... FILE: as its user would type it; directory=. puts the swap file beside the file.
  local commands=() file=${*: -1} command
  for command in "${@:2:$#-2}"; do commands+=(-c "$command"); done
  (cd "$(dirname "$file")" && HOME=$work "$vim" -es -u NONE -i NONE --cmd "set directory=. $1" "${commands[@]}" -- "$(basename "$file")" \
    >"$work/log/vim" 2>&1 </dev/null) || { cat "$work/log/vim" >&2; fail "vim $*"; }
}
facts() { (cd "$1" && ls -A && stat -c '%n %A %h %U:%G %s' ./* && getfacl -cp file && getfattr -d file && sha256sum ./*); }
session() {  # session DIRECTORY OTHER BACKUPCOPY: the same directory, as another mount sees it. Prints what is to be the same.
  local top=$1 other=$2 settings="backup backupskip= backupcopy=$3 backupext=.old updatecount=1" before after round
  mkdir "$top"
  for line in $(seq 2000); do echo "line $line of the text"; done >"$top/file"
  chmod 640 "$top/file"
  setfacl -m u:12:rw "$top/file"
  [ "$(id -u)" -ne 0 ] || chown 1234:5678 "$top/file"
  ln "$top/file" "$top/hard"
  ln -s file "$top/soft"
  for round in $(seq 10); do
    grep -q "of the text" "$other/file"  # So that it is known there as it was.
    stat "$other/file" >/dev/null
    before=$(stat -c %i "$top/file")
    # Both, file and swap file, are listed while it is edited.
    edit "$settings" "normal Goround $round" 'silent !ls -A >listed' write "1s/^/$round /" wq "$top/file"
    after=$(stat -c %i "$top/file")
    # The disk gives an inode's number to the next file; the ring never does.
    case $3:$top in
      yes:*) [ "$before" = "$after" ] || fail "backupcopy=yes, and another inode" ;;
      no:"$work"/mnt/*) [ "$before" != "$after" ] || fail "backupcopy=no, and the same inode" ;;
    esac
    cmp "$top/file" "$other/file" || fail "$3, round $round: the other mount has another file"
    [ "$(stat -c '%i %s %a %h %Z' "$other/file")" = "$(stat -c '%i %s %a %h %Z' "$top/file")" ] || fail "$3: the other mount sees other attributes"
    [ "$(ls -A "$other")" = "$(ls -A "$top")" ] || fail "$3: the other mount sees other names"
  done
  edit "$settings" '1d' wq "$top/soft"
  cat "$top/listed"
  facts "$top"
}
for kind in yes no auto; do
  session "$work/native/$kind" "$work/native/$kind" $kind >"$work/native.$kind"
  session "$(at one)/$kind" "$(at two)/$kind" $kind >"$work/mounted.$kind"
  same "$work/native.$kind" "$work/mounted.$kind" "backupcopy=$kind is not as on the disk"
  grep -q '^\.file\.swp' "$(at two)/$kind/listed" || fail "there was no swap file: $(cat "$(at two)/$kind/listed")"
  step "backupcopy=$kind: 11 edits as on the disk, seen by the other mount"
done

# Turn by turn: each edits what the other saved last.
for round in $(seq 10); do
  edit "backupcopy=no" "normal Goone $round" wq "$(at one)/no/file"
  edit "backupcopy=no" "normal Gotwo $round" wq "$(at two)/no/file"
done
[ "$(tail -n 20 "$(at one)/no/file")" = "$(for round in $(seq 10); do printf 'one %d\ntwo %d\n' "$round" "$round"; done)" ] || fail "a turn is lost"
step "10 turns each from two mounts"

mkfifo "$work/typed"
(cd "$(at one)/yes" && CHORDFS_TEST=$work HOME=$work exec "$vim" -es -u NONE -i NONE --cmd "set directory=. updatecount=1" file) \
  <"$work/typed" >"$work/log/vim" 2>&1 &
editor=$!
background+=("$editor")
disown "$editor"
exec 5>"$work/typed"
printf '%s\n' 'normal Gonever saved' preserve 'silent !touch preserved' >&5
preserved() { [ -e "$(at two)/yes/preserved" ] || gone "$editor"; }
wait_until "vim has it in its swap file" 60 preserved
(cd "$(at two)/yes" && TERM=dumb HOME=$work "$vim" -u NONE -i NONE --cmd "set directory=." -c q! file) >"$work/log/warned" 2>&1 </dev/null || true
grep -q 'E325' "$work/log/warned" || { cat "$work/log/warned" >&2; fail "the other mount's vim is not warned"; }
kill -s KILL "$editor"
wait_until "vim is dead" 60 gone "$editor"
exec 5>&-
must_fail "it was not saved" grep 'never saved' "$(at two)/yes/file"
(cd "$(at two)/yes" && HOME=$work "$vim" -es -u NONE -i NONE --cmd "set directory=." -r -c 'write! recovered' -c q! file) >"$work/log/vim" 2>&1 </dev/null || true
[ "$(tail -n 1 "$(at one)/yes/recovered")" = 'never saved' ] || { cat "$work/log/vim" >&2; fail "not recovered: $(tail -n 1 "$(at one)/yes/recovered")"; }
step "a swap file warns the other mount's vim, and recovers there what a killed one had not saved"
finish
