# shellcheck shell=bash
# ChordFS as a target of ../shared/bench/bench.py: three nodes in a network namespace of their own, everything by default.
# run.sh sets CHORDFS_BIN and PEERBENCH_TARGETS. CHORDFS_NODES: another number of nodes.
# No `drop`: the nodes' memory is only what RocksDB caches of its records; the files of blocks are the kernel's to forget.
nodes=${CHORDFS_NODES:-3}

node_serves() { grep -q serving "$PB_DIR/node$1.log"; }
start() {
    ns_up
    local i peer=()
    for i in $(seq "$nodes"); do
        ns "$CHORDFS_BIN/chordfs-node" $((6000 + i)) "${peer[@]}" --data "$PB_DIR/node$i" --listen "$IP" \
            >"$PB_DIR/node$i.log" 2>&1 </dev/null &
        wait_for 30 node_serves "$i"
        peer=("$IP:6001")
    done
    sleep 3  # Arcs move to those who joined: not what is to be measured.
}
mount_at() { ns "$CHORDFS_BIN/chordfs-mount" "$1" --via "$IP:6001,$IP:6002"; }
stop() { tail -n 5 "$PB_DIR"/node*.log; }
check() { need "$CHORDFS_BIN/chordfs-node" "$CHORDFS_BIN/chordfs-mount"; }
info() { echo "$nodes nodes, $("$CHORDFS_BIN/chordfs" --version)"; }
# shellcheck source=/dev/null
. "$PEERBENCH_TARGETS/lib.sh"
