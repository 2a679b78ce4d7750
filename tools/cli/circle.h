#pragma once
// Circle: a drawing of the identifier circle in characters, each node's positions as its letter. Pure; any thread.

#include <string>
#include <vector>

#include "proto/id/id.h"

namespace chordfs::cli {

struct Mark {
  Id at;
  char letter;
};

/// The letter of the n-th node: a to z, A to Z, 0 to 9, then '*' for all others.
char letter_of(std::size_t number);

/// Identifier 0 is at the top, growing clockwise. 2·radius + 1 lines, each ending in a newline, without blanks at their
/// ends. A place where nobody is has a '.'; where two fall together, the later one goes to the next free place
/// clockwise, and is left out if there is none. `inside`: lines in the middle, cut to what fits.
std::string draw_circle(std::vector<Mark> marks, int radius, const std::vector<std::string>& inside);

}  // namespace chordfs::cli
