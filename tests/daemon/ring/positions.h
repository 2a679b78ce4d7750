#pragma once
// Positions at chosen places, for tests of the pure parts: place 0…255 is the identifier's first byte.

#include "daemon/ring/ring_state.h"

namespace chordfs::test {

inline Position at(int place, int node) {
  return {Id::from_top(static_cast<std::uint64_t>(place) << 56),
          Uuid(7, static_cast<std::uint64_t>(node) + 1),
          0,
          {"10.0.0.1", static_cast<std::uint16_t>(6000 + node)}};
}
/// A node of its own at each place.
inline Position at(int place) {
  return at(place, place);
}

inline std::vector<Position> places(std::vector<int> list) {
  std::vector<Position> positions;
  for (int place : list) positions.push_back(at(place));
  return positions;
}
inline View view(int place, int predecessor, std::vector<int> successors) {
  return {at(place), at(predecessor), places(std::move(successors))};
}

inline Id key(int place) {
  return at(place).id;
}

}  // namespace chordfs::test
