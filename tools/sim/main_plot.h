#pragma once
// chordfs-sim plot FILE.json -o out.svg: the picture of an experiment, drawn by gnuplot.

namespace chordfs {
int plot_command(int argc, char** argv);
}  // namespace chordfs
