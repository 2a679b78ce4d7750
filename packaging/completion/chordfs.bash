# Completion of the `chordfs` command in bash: subcommands, options, files here and paths in the ring.
# Source it, or install it as /usr/share/bash-completion/completions/chordfs. tests/mount/completion.sh checks that it
# knows every subcommand and option that --help names.
# shellcheck shell=bash

_chordfs_options() {  # The options of a subcommand.
  case $1 in
    ring) echo --help --via --json --drawing --no-drawing ;;
    status) echo --help --via --json --watch ;;
    watch) echo --help --via --json --count ;;
    fingers) echo --help --via --json ;;
    files) echo --help --via --json --below ;;
    locate) echo --help --via --json --trace ;;
    verify) echo --help --via --json --quick ;;
    can-stop) echo --help --via --json ;;
    leave) echo --help --via --force ;;
    ls) echo --help --via --json --long -l ;;
    cat) echo --help --via ;;
    put) echo --help --via --limit --recursive -r ;;
    get) echo --help --via --limit --recursive -r --resume ;;
    mkdir) echo --help --via --parents -p ;;
    mv) echo --help --via ;;
    rm) echo --help --via --recursive -r ;;
    '') echo --help --version ;;
  esac
}
_chordfs_subcommands='ring status watch fingers files locate verify can-stop leave ls cat put get mkdir mv rm'

# Paths in the ring that begin with $1. Whoever presses Tab does not wait for a ring that does not answer.
_chordfs_paths() {
  local typed=$1 directory=/ name
  [[ $typed == */* ]] && directory=${typed%/*}/
  while IFS= read -r name; do
    [[ $directory == / && $typed != /* ]] || name=$directory$name
    [[ $name == "$typed"* ]] && COMPREPLY+=("$name")
  done < <(timeout "${CHORDFS_COMPLETION_SECONDS:-2}" chordfs ls "$directory" ${via:+--via "$via"} 2>/dev/null </dev/null)
  # A directory is gone into, not left.
  [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != */ ]] || compopt -o nospace 2>/dev/null || true
}

_chordfs_local() {  # Files of this machine.
  local name
  while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -f -- "$1")
  compopt -o filenames 2>/dev/null || true
}

# The nodes of the ring: their addresses.
_chordfs_nodes() {
  local nodes
  nodes=$(timeout "${CHORDFS_COMPLETION_SECONDS:-2}" chordfs ring --no-drawing ${via:+--via "$via"} 2>/dev/null </dev/null | awk 'NR > 2 { print $3 }')
  mapfile -t COMPREPLY < <(compgen -W "$nodes" -- "$1")
  # Without the word before the colon, which bash has taken already.
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$1" || true
}

_chordfs() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} subcommand='' via='' place=0 i
  COMPREPLY=()
  # The subcommand, the nodes named by --via, and how many arguments stand before the present one.
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --via) via=${COMP_WORDS[++i]} ;;
      --limit | --count | --below) ((++i)) ;;
      -?*) ;;
      *) if [[ -z $subcommand ]]; then subcommand=${COMP_WORDS[i]}; else ((++place)); fi ;;
    esac
  done
  case $previous in
    --via | --limit | --count) return ;;
    --below) _chordfs_paths "$current"; return ;;
  esac
  if [[ $current == -?* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_chordfs_options "$subcommand")" -- "$current")
    return
  fi
  case $subcommand:$place in
    :*) mapfile -t COMPREPLY < <(compgen -W "$_chordfs_subcommands" -- "$current") ;;
    put:0 | get:1) _chordfs_local "$current" ;;
    put:1 | get:0 | ls:0 | locate:0 | mv:[01] | cat:* | rm:* | mkdir:*) _chordfs_paths "$current" ;;
    fingers:0 | files:0 | can-stop:0 | leave:0) _chordfs_nodes "$current" ;;
  esac
}
complete -F _chordfs chordfs
