#pragma once
// StepRules: what may be seen from outside of how a node changes its part of the ring: C12 to C15 of chord.md, checked
// from the answers that reached it and the states that it went through, not from what it says of itself.
//
// The node's window: from the moment at which it asks something while nothing was outstanding, until nothing is
// outstanding again at the end of a step. Every operation of one of its positions lies in one window, since it asks
// again in the very step in which it was answered. With several positions operations may overlap and the window be
// longer than each, so the rules are lenient then, never too strict.
//
// Pure. Owner: ChordWorld, one for each life of a node. Limits: what is heard in one window.

#include <optional>
#include <vector>

#include "daemon/ring/invariant.h"

namespace chordfs {

class StepRules {
 public:
  StepRules() = default;
  StepRules(Uuid node, int successor_nodes) : node_(node), successor_nodes_(successor_nodes) {}

  /// A call to this node failed, or what answers there is not in the ring.
  void misses(const Endpoint& at) { missed_.push_back(at); }
  /// It reads an answer; `busy`: the answer says only that the position is alive.
  void hears(const View& view, bool busy);
  /// Someone who leaves hands over what it knew.
  void hears_of_leave(const Position& leaver, const std::vector<Position>& successors);
  /// Nothing is outstanding: what was heard can change nothing any more.
  void idle();

  /// What its positions know now. To be called after every single change, within the step.
  void changed(std::vector<View> members, std::vector<Violation>& violations);
  /// It sends its view, `outstanding`: while it waits for an answer that may change it.
  void answers(const View& view, bool outstanding, std::vector<Violation>& violations);

  const std::vector<View>& members() const { return members_; }

 private:
  const View* before(const Id& id) const;
  /// Has answered in this window, or is a position of this very node.
  bool answered(const Position& p) const;
  bool known(const Position& p, const View* before) const;
  void joined(const View& now, std::vector<Violation>& violations) const;
  void new_predecessor(const View& before, const View& now, const std::vector<View>& members,
                       std::vector<Violation>& violations) const;
  void new_list(const View& before, const View& now, std::vector<Violation>& violations) const;

  Uuid node_;
  int successor_nodes_ = kSuccessorNodes;
  std::vector<View> members_;
  std::vector<Endpoint> missed_;
  std::vector<View> heard_;      ///< In this window, those of its own other positions too.
  std::vector<Position> alive_;  ///< Have said that they are busy.
  std::vector<std::vector<Position>> left_;
};

}  // namespace chordfs
