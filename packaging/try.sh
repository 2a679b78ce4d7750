#!/usr/bin/env bash
# ChordFS in one go: installs what it needs (as root), builds, starts a ring of five nodes on this machine, mounts it,
# copies a real file in and out again, shows where it went, and clears everything away.
#
#   packaging/try.sh [--keep]     --keep: leave the ring and the mount running, and say how to stop them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=
[ "${1-}" != --keep ] || keep=yes
nodes=5
port=${CHORDFS_TRY_PORT:-6000}
bin=$PWD/build/bin

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '$ %s\n' "${*//"$bin/"/}"; "$@"; }

say "Packages and build"
packaging/install-build-deps.sh
cmake -S . -B build -G Ninja >/dev/null
cmake --build build --target chordfs-node chordfs-mount chordfs | tail -n 1

dir=$(mktemp -d /var/tmp/chordfs-try.XXXXXX)
mnt=$dir/mnt
pids=()
stop() {
  fusermount3 -u "$mnt" 2>/dev/null || true
  [ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
  fusermount3 -uz "$mnt" 2>/dev/null || true
  rm -rf --one-file-system "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

serves() {  # Until the node says so; its log, if it ends instead.
  until grep -q serving "$dir/node$1.log"; do
    kill -0 "${pids[$1]}" 2>/dev/null || { cat "$dir/node$1.log" >&2; return 1; }
    sleep 0.1
  done
}

say "A ring of $nodes nodes on this machine"
mkdir "$mnt"
for node in $(seq 0 $((nodes - 1))); do
  arguments=($((port + node)))
  [ "$node" -eq 0 ] || arguments+=("$port")
  echo "\$ chordfs-node ${arguments[*]} &"
  "$bin/chordfs-node" "${arguments[@]}" --data "$dir/data$node" --listen 127.0.0.1 >"$dir/node$node.log" 2>&1 </dev/null &
  pids[node]=$!
  serves "$node"
done

say "Mounted through one of them"
show "$bin/chordfs-mount" "$mnt" --via $((port + 3))

say "A real file in and out"
file=$(readlink -f "$(command -v clang++-19 || command -v bash)")
show mkdir "$mnt/programs"
show cp "$file" "$mnt/programs/"
show ls -l "$mnt/programs"
(cd "$(dirname "$file")" && sha256sum "$(basename "$file")") >"$dir/sums"
show cp "$mnt/programs/$(basename "$file")" "$dir/out"
echo "  on the disk: $(cut -d ' ' -f 1 "$dir/sums")"
echo "  in the ring: $(cd "$mnt/programs" && sha256sum "$(basename "$file")" | cut -d ' ' -f 1)"
(cd "$mnt/programs" && sha256sum --quiet -c "$dir/sums")
show cmp "$file" "$dir/out"

say "The ring, and where the file is"
show "$bin/chordfs" ring --via "$port"
show "$bin/chordfs" locate "/programs/$(basename "$file")" --trace --via "$port"

if [ -n "$keep" ]; then
  trap - EXIT
  say "It goes on running"
  echo "mounted at: $mnt"
  echo "to stop it: fusermount3 -u $mnt; kill ${pids[*]}; rm -rf $dir"
  exit 0
fi
say "The same bytes came back. Cleared away."
