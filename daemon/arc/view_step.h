#pragma once
// The next step from the view of an arc to the one that the ring wants (replication.md 4.5): a learner, joint
// consensus, the new view, the hand-over. Pure, so that the simulator can drive it without nodes. Thread: any.
//
// Rules kept here: one voter is replaced at a time, dead ones first; voters are always odd; only a node that leaves on
// purpose makes a group smaller, silence never does; nobody votes before it is complete; a joint view that does not
// commit is taken back.

#include <functional>
#include <optional>

#include "daemon/arc/raft/view.h"

namespace chordfs {

/// What the leader knows of its arc at this moment.
struct Standing {
  ArcView view;
  bool committed = false;
  bool overdue = false;  ///< The (joint) view has not committed for long.
  Replica self;
  /// Who should hold the arc, the preferred leader first; at most r; generations are not looked at. Nodes that have
  /// been silent for too long or are leaving are not in it.
  Replicas desired;
  std::function<bool(const Replica&)> live;      ///< Heard just now.
  std::function<bool(const Replica&)> dead;      ///< Silent for so long that it is to be replaced.
  std::function<bool(const Replica&)> complete;  ///< Has every record and every block.
  std::function<bool(const Uuid&)> leaving;
};

struct ViewStep {
  std::optional<ArcView> propose;     ///< Members with generation {0, 0} are new.
  std::optional<Replica> make_whole;  ///< This learner must be complete before anything else can happen.
  std::optional<Uuid> hand_over_to;
  bool settled() const { return !propose && !make_whole && !hand_over_to; }
};

ViewStep next_step(const Standing& standing);

/// 1, 1, 3, 3, 5 … for 1, 2, 3, 4, 5 …
constexpr std::size_t odd_floor(std::size_t n) {
  return n == 0 ? 0 : (n - 1) / 2 * 2 + 1;
}

}  // namespace chordfs
