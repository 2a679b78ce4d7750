#!/usr/bin/env bash
# Completion in bash: what Tab offers, and that it knows every subcommand and option that --help names.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PATH=$bin:$PATH CHORDFS_COMPLETION_SECONDS=60
: >"$work/log/mount-none.log"  # No mount here.
# shellcheck source=packaging/completion/chordfs.bash
. "$root/packaging/completion/chordfs.bash"

# offers WORD...: what Tab offers after this command line, a line each, sorted. The last word is the one that is typed.
offers() {
  COMP_WORDS=(chordfs "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _chordfs
  [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort
}
expect() {  # expect LINES WORD...
  local wanted=$1 got
  shift
  got=$(offers "$@")
  [ "$got" = "$wanted" ] || fail "chordfs $*<Tab> offers: $got; not: $wanted"
}

complete -p chordfs | grep -q -- '-F _chordfs chordfs' || fail "nothing completes chordfs"

# ---- It knows what --help names, and nothing else. ----

help_subcommands() { chordfs --help | sed -n '/^Subcommands:/,$p' | sed -nE 's/^  ([a-z-]+) .*/\1/p' | sort; }
# Only the list of options, not what examples and texts mention.
help_options() {
  chordfs "$@" --help | sed -n '/^Options:/,/^$/p' | grep -oE '^  --?[A-Za-z][^ ]*' | tr -d ' ' | tr ',' '\n' |
    grep -vx -- -h | sort -u
}

subcommands=$(help_subcommands)
[ "$(wc -l <<<"$subcommands")" -ge 16 ] || fail "--help names too few subcommands: $subcommands"
expect "$subcommands" ''
same_options() {  # same_options [SUBCOMMAND]
  local named known
  named=$(help_options "$@")
  known=$(_chordfs_options "${1-}" | tr ' ' '\n' | sort -u)
  [ "$named" = "$known" ] || fail "chordfs $*: --help has $(tr '\n' ' ' <<<"$named"), completion $(tr '\n' ' ' <<<"$known")"
}
same_options
for subcommand in $subcommands; do same_options "$subcommand"; done
step "$(wc -l <<<"$subcommands") subcommands and all their options"

expect 'leave' le
expect 'can-stop' can
expect $'leave\nlocate\nls' l
expect '--trace' locate --t
expect $'--recursive\n--resume' get --re
expect '' ring --via ''

# ---- Files here, paths in the ring, nodes. ----

start_ring a b
CHORDFS_VIA=$(peer a)
export CHORDFS_VIA
chordfs mkdir -p /letters/old /lists
echo hello >"$work/hello"
chordfs put "$work/hello" /letters/
chordfs put "$work/hello" '/letters/two words'

expect $'/letters/\n/lists/' ls /l
expect $'letters/\nlists/' ls l
expect $'/letters/hello\n/letters/old/\n/letters/two words' cat /letters/
expect '/letters/two words' rm /letters/t
expect '/letters/hello' get /letters/h
expect '/lists/' mv /letters/hello /li
expect '/lists/' files 6000 --below /li
expect '' ls /absent/x
mkdir "$work/here"
: >"$work/here/file"
expect "$work/here/file" put "$work/here/f"
expect '/lists/' put "$work/here/file" /li
expect "$work/here/file" get /letters/hello "$work/here/f"
expect '/lists/' ls --via "$(peer b)" /li
expect "$(printf '%s\n' "$(peer a)" "$(peer b)" | sort)" leave ''
expect "$(peer b)" fingers "$(peer b)"
expect "$(peer b)" can-stop "$(peer b)"
step "files, paths of the ring, nodes"

# No ring: nothing is offered, and nothing hangs or complains.
complaint=$(CHORDFS_VIA=$(free_port) offers ls /l 2>&1)
[ -z "$complaint" ] || fail "without a ring Tab says: $complaint"
step "without a ring, nothing"
finish
