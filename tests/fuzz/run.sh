#!/usr/bin/env bash
# run.sh PROGRAM CORPUS DIRECTORY: the whole corpus, then $CHORDFS_FUZZ_SECONDS (60; 0: none) of looking for more.
# What is found goes to DIRECTORY: finds/ is what widened the coverage, crash-* and timeout-* are what to mend. A crash
# is repeated by `PROGRAM FILE`; once mended, the file joins the corpus.
set -euo pipefail
program=$1 corpus=$2 directory=$3
seconds=${CHORDFS_FUZZ_SECONDS:-10}

mkdir -p "$directory/finds"
# -timeout is a net against endless loops, on a machine that may be slow and busy; it is no measurement.
options=(-rss_limit_mb=4096 -timeout=300 -artifact_prefix="$directory/" -print_final_stats=1)
"$program" "${options[@]}" -runs=0 "$corpus"
[ "$seconds" -eq 0 ] || "$program" "${options[@]}" -max_total_time="$seconds" "$directory/finds" "$corpus"
