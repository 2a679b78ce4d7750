#pragma once
// Exhaustive exploration of a protocol in a small world: every order of every step, breadth first, so that what it
// finds is a shortest history.
//
// Of rings over a small identifier space. In one harness the protocol as published (ToN 2003, with the list maintenance
// of PODC 2002), which must fail, and ours, which must not: so the checker is seen to work (C21). Steps are atomic and
// states shared, as in Zave's model: no messages. What is under way between two steps of one operation of ours is part
// of the state, and the lists held meanwhile count for the invariant (C6). Limits: identifiers 0…7, kListLength.
//
// Of one arc whose members change (explore_members.cc): with messages, disks, crashes.
//
// Pure, one thread. Errors: in the report. Limits: memory grows with the states reached, about 150 bytes each.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/arc/raft/defects.h"

namespace chordfs {

/// r of the rings explored.
inline constexpr int kExploredListLength = 2;

class Explored {
 public:
  /// One byte string for each state; equal states have equal strings.
  using State = std::string;
  struct Step {
    std::string name;     ///< "stabilize 2"
    bool repair = false;  ///< Not a join, not a failure.
    State next;
  };

  virtual ~Explored() = default;
  /// Where to begin.
  virtual std::vector<State> starts() const = 0;
  virtual std::vector<Step> steps(const State& state) const = 0;
  /// What must hold and does not; empty if all is well.
  virtual std::string broken(const State& state) const = 0;
  /// What repair should lead to.
  virtual bool right(const State& state) const = 0;
  virtual std::string text(const State& state) const = 0;
};

class ExploredProtocol : public Explored {
 public:
  /// A ring of one, identifier 0, as create() makes it.
  virtual State alone() const = 0;
  /// The ideal ring of these.
  virtual State ideal(const std::vector<int>& members) const = 0;
  /// alone(), and the ideal ring of 0, 1, 2.
  std::vector<State> starts() const override;
  /// A step of a history told by hand, in the published protocol's words: "join 1", "stabilize 0", "fail 1", "update
  /// 0", "reconcile 2"; whatever of its own operations does that, to the end. Failures are not asked whether the
  /// theorem allows them. Nothing if there is no such step now.
  virtual std::optional<State> act(const State& state, std::string_view words) const = 0;
};

/// `alive_check`: no pointer is adopted without asking whether its target lives, the repair that is always made first.
std::unique_ptr<ExploredProtocol> published_protocol(int ids, bool alive_check);
/// Every decision is taken by daemon/ring/ring_state.h itself.
std::unique_ptr<ExploredProtocol> our_protocol(int ids);

/// One arc on three or four nodes that changes its members, every decision taken by Raft and next_step(). What happens
/// and what must hold: explore_members.cc.
std::unique_ptr<Explored> arc_members(int nodes);
/// Planted mistakes that it finds, and with how many nodes.
struct FoundInMembers {
  Defect defect;
  int nodes;
};
std::span<const FoundInMembers> found_in_members();

/// A history that breaks the published protocol for good (chord.md, 4.1), found by exploring it; four identifiers.
struct BreakingHistory {
  std::string_view name;
  bool alive_check;  ///< Against the protocol with the check that adopted pointers live.
  bool from_ideal;   ///< Begins with the ideal ring of 0, 1, 2; else with 0 alone.
  std::vector<std::string_view> words;
};
const std::vector<BreakingHistory>& breaking_histories();

/// Everything that repair alone can make of a state.
struct Repairs {
  std::size_t states = 0;
  std::size_t hopeless = 0;  ///< Of these, those from which no repair leads to the right ring.
  /// What is broken stays broken, whatever repair does.
  bool permanent() const { return hopeless == states; }
};
Repairs exhaust_repairs(const Explored& protocol, const Explored::State& from);

struct ExploreOptions {
  std::vector<Explored::State> starts;
  std::size_t states_max = 1'000'000;
  /// Go on where something is broken that repair can still mend: the published protocol claims no more.
  bool forgive_repairable = false;
  /// If all states are expanded: count those from which no repair leads to the right ring.
  bool count_hopeless = false;
  std::function<void(std::size_t reached, std::size_t expanded)> progress = {};
};

struct ExploreReport {
  std::size_t reached = 0, expanded = 0;
  std::uint64_t steps = 0;
  bool complete = false;
  std::size_t forgiven = 0;
  std::size_t hopeless = 0;
  /// Of the first state that is broken (for good).
  std::string broken;
  std::vector<std::string> history;
  std::string state;
};
ExploreReport explore(const Explored& protocol, const ExploreOptions& options);

}  // namespace chordfs
