#pragma once
// Positions at chosen places for the tests of this folder: place 0…255 is the identifier's first byte. Only where
// nothing goes over the wire: there a position's identifier is always the hash of its node.

#include "proto/client/position.h"

namespace chordfs::test {

inline Id key(int place) {
  return Id::from_top(static_cast<std::uint64_t>(place) << 56);
}
inline Endpoint endpoint(int node) {
  return {"10.0.0.1", static_cast<std::uint16_t>(6000 + node)};
}
inline Position at(int place, int node) {
  return {key(place), Uuid(7, static_cast<std::uint64_t>(node) + 1), 0, endpoint(node)};
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

}  // namespace chordfs::test
