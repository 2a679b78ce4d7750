#pragma once
// What must hold of a whole ring, checked on a snapshot: the checklist C1 to C11, C18 and C20 of chord.md, counted by
// node: positions of one node die together, so "r + 1 principals" means principals on r + 1 distinct nodes.
// Pure. For the simulator, tests and `chordfs ring`.

#include <string>
#include <vector>

#include "daemon/ring/ring_state.h"

namespace chordfs {

struct RingSnapshot {
  int successor_nodes = kSuccessorNodes;
  std::vector<View> live;       ///< Every position that has joined and whose node runs.
  std::vector<View> in_flight;  ///< Views carried by replies that will still be read (C6).
};

struct Violation {
  std::string rule;  ///< "C4"
  std::string what;  ///< Where, and what is wrong there.
};

/// Ordinary: the ring once had principals on more than successor_nodes nodes, and since then failures left every member
/// a live entry and that many principals. Small: while it grows up to there; C5 cannot hold yet.
enum class RingMode { small, ordinary };

/// C1 to C3 of one member's state alone.
std::vector<Violation> check_structure(const View& view, int successor_nodes);
/// Zave's invariant and what it implies: must hold after every step.
std::vector<Violation> check_invariant(const RingSnapshot& snapshot, RingMode mode);
/// C18 and C20: what repair must reach once nothing joins, leaves or fails any more.
std::vector<Violation> check_ideal(const RingSnapshot& snapshot);

/// Live positions that no extended successor list (a member followed by its list) skips.
std::vector<Position> principals(const RingSnapshot& snapshot);
/// On how many distinct nodes these positions lie.
int nodes_of(const std::vector<Position>& positions);

/// One line each.
std::string text_of(const std::vector<Violation>& violations);

}  // namespace chordfs
