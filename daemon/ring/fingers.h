#pragma once
// Finger table of one position, and how a node answers a step of a lookup from all of its tables. Pure.

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "daemon/ring/ring_state.h"

namespace chordfs {

/// finger[i] = successor(self + 2^i) for all 160 powers; neighbouring powers mostly have the same one, so only the
/// distinct are stored and looked up, and none that the successor list holds anyway.
/// Soft: a wrong or dead finger costs a lookup time, never correctness.
class Fingers {
 public:
  /// Which finger to look up now: at `target`, for powers from `power` on. Nothing if the list knows the whole ring.
  struct Task {
    int power = 0;
    Id target;
  };
  std::optional<Task> next(const RingState& state);
  /// `owner` is successor(self + 2^power).
  void learnt(const RingState& state, int power, const Position& owner);
  /// The lookup failed: go on with the next power.
  void skip(int power) { cursor_ = power + 1; }
  void forget(const Uuid& node);

  /// Rounds completed since the start.
  int rounds() const { return rounds_; }
  std::vector<Position> entries() const;

 private:
  std::map<int, Position> fingers_;  ///< By the lowest power that has it.
  int cursor_ = 0;
  int rounds_ = 0;
};

/// One position's share of the node's routing tables.
struct Table {
  const RingState* state;
  const Fingers* fingers;
};

struct FindAnswer {
  bool done = false;
  std::vector<Position> positions;  ///< done: the owner and those after it; else whom to ask next, best first.
};
using Usable = std::function<bool(const Position&)>;
/// One step of a lookup, from everything that a node's positions know. `alive`: its node is not believed dead.
/// `worth_asking`: alive, and the asker has not tried in vain: whom to name as next. Silence towards the asker does not
/// change who the owner is.
FindAnswer find(const Id& id, std::span<const Table> tables, const Usable& alive, const Usable& worth_asking);
inline FindAnswer find(const Id& id, std::span<const Table> tables, const Usable& alive) {
  return find(id, tables, alive, alive);
}

}  // namespace chordfs
