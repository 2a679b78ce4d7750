#pragma once
// Fingers: which position each power of two leads to, from what a position knows. Pure; any thread.

#include <optional>
#include <vector>

#include "proto/client/lookup.h"

namespace chordfs::cli {

/// successor(self + 2^i) for all i from `first` to `last`.
struct Finger {
  int first = 0;
  int last = 0;
  Position position;
};

struct Table {
  Position self;
  std::optional<Position> predecessor;
  std::vector<Position> successors;
  std::vector<Finger> fingers;
};

/// All 160 powers, equal neighbours together. `fingers`: the distinct ones, without what `successors` has anyway.
std::vector<Finger> spans(const Position& self, std::vector<Position> successors, const std::vector<Position>& fingers);

}  // namespace chordfs::cli
