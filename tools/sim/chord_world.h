#pragma once
// ChordWorld: a virtual world of nodes that are nothing but their Ring: no arcs, no files, no disk but the address book
// that outlives a crash. Cheap, so that rings of a thousand nodes and thousands of seeds can be judged.
//
//   ChordWorld ring({.seed = 7, .successor_nodes = 2});
//   ring.found();
//   ring.add_node();
//   std::string wrong = ring.settle(60s);  // Empty: one ordered ring.
//
// Checked after every change that a node reports, within the step: structure (C1 to C3) and the step rules C12 to C15
// (step_rules.h). With `theorem`, after every step in which anything changed: Zave's invariant and what it implies (C4,
// C5, C7 to C11, C17), where the lists in messages under way and those that a half-finished operation holds count too
// (C6). Rules of the end (C18 to C20): settle(), quiet(), lookups().
//
// Owner: the scenario. Thread: the world's. Errors: violations() collects, the first matters most; nothing throws.
// Limits: kViolationsMax violations are kept.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/ring/invariant_tracker.h"
#include "daemon/ring/ring.h"
#include "tools/sim/step_rules.h"
#include "tools/sim/world.h"

namespace chordfs {

struct ChordWorldOptions {
  std::uint64_t seed = 1;
  int positions = 1;
  int successor_nodes = kSuccessorNodes;
  Duration fingers_every = 1s;
  bool theorem = true;
  /// A planted defect, to see that it is found: answers a call of node `index` in place of the one that was called.
  std::function<std::optional<Result<Reply>>(std::size_t index, const Endpoint& to, const Request&)> defect = {};
};

class ChordWorld final : private NetworkWatch {
 public:
  static constexpr std::size_t kViolationsMax = 20;
  using Index = std::size_t;

  explicit ChordWorld(ChordWorldOptions options);
  ~ChordWorld() override;
  ChordWorld(const ChordWorld&) = delete;

  /// Of the node with this number in the world of this seed.
  static Uuid identity(std::uint64_t seed, Index index);

  World& world() { return world_; }
  const ChordWorldOptions& options() const { return options_; }

  // ---- What happens to nodes. ----

  /// The first node of the ring.
  Index found();
  /// A further one, which joins through somebody that is in the ring, as often as it takes.
  Index add_node();
  /// The node hands over and ends for good; also across its crashes.
  void leave(Index index);
  void crash(Index index, SimHost::Death death);
  /// Unless it runs or is gone. It remembers whom it knew; `alone`: nobody tells it of one who is in the ring.
  void restart(Index index, bool alone);

  // ---- What is so. ----

  std::size_t node_count() const { return slots_.size(); }
  SimHost& host(Index index) { return *slots_.at(index)->host; }
  bool gone(Index index) const { return slots_.at(index)->gone; }
  bool leaving(Index index) const { return slots_.at(index)->leaving; }
  bool joined(Index index) const;
  /// In the ring and to stay.
  std::vector<Index> joined_nodes() const;
  /// Not gone for good: whom faults may strike.
  std::vector<Index> nodes() const;
  Ring* ring(Index index);

  RingMode mode() const { return mode_; }
  /// Whether the theorem covers the sudden death of this node now (C16). It must hold whether
  /// or not those that are leaving have gone by then.
  bool may_fail(Index index) const;
  /// The same for a leave, after which the ring may be a small one.
  bool may_leave(Index index) const;

  // ---- The end. ----

  /// C18: every node that is not gone is in, and they are one ordered ring. Empty, or what is wrong.
  std::string unsettled() const;
  /// Runs until settled; what is still wrong after `limit` otherwise.
  std::string settle(Duration limit);
  /// C19: nothing changes for so long. Empty, or how much changed.
  std::string quiet(Duration duration);
  /// C20: lookups by every member for every position's identifier, the one before and the one after; of those at most
  /// `most` in all, drawn at random.
  std::string lookups(std::size_t most);

  const std::vector<std::string>& violations() const { return violations_; }
  void violation(std::string text);
  /// Every member's state and the last lines of the trace when the first violation was found.
  const std::string& trace_of_violation() const { return trace_of_violation_; }
  std::uint64_t changes() const { return changes_; }
  std::uint64_t checks() const { return checks_; }
  std::uint64_t full_checks() const { return tracker_.full_checks(); }

 private:
  class RingProgram;
  struct Slot {
    SimHost* host = nullptr;
    Uuid identity;
    std::vector<wire::Peer> remembered;
    bool been_in = false;  ///< Knows which ring it belongs to.
    bool alone = false;
    bool founder = false;
    bool leaving = false;
    bool gone = false;
    RingProgram* program = nullptr;  ///< While the process lives.
    StepRules rules;
    int outstanding = 0;  ///< Calls in the middle of what may be an operation.
    int asking = 0;       ///< Those whose answers change the state of a member.
    std::vector<InvariantTracker::Carried> held;
  };
  /// A list on its way.
  struct Flight {
    InvariantTracker::Carried carried = 0;
    Index to = 0;
    View view;
    bool busy = false;
  };

  Index make_slot(bool founder);
  Index index_of(const SimHost& host) const { return host.index(); }
  std::optional<Endpoint> door(Index of);
  void died(Index index);
  void changed(Index index);
  void left(Index index);
  void check_step();
  void judge(const std::vector<Violation>& violations);
  enum class Leavers { gone, there };
  RingSnapshot without(Index index, Leavers leavers, bool sudden) const;
  bool calm() const;
  std::string ring_text() const;
  std::string time_text() const;

  void called(const SimHost& caller, const Endpoint& to, const Request& request) override;
  void call_answered(const SimHost& caller, const Endpoint& to, const Result<Reply>& result) override;
  void call_ended(const SimHost& caller, std::uint32_t kind) override;
  void request_arrived(const SimHost& at, const Request& request) override;
  void reply_sent(ReplyNumber number, const SimHost& from, const SimHost& to, const Reply& reply) override;
  void reply_arrived(ReplyNumber number, const SimHost& at, bool read) override;
  void reply_lost(ReplyNumber number) override;

  const ChordWorldOptions options_;
  const Uuid ring_id_;
  Rng doors_, sample_;
  std::vector<std::unique_ptr<Slot>> slots_;
  InvariantTracker tracker_;
  std::map<ReplyNumber, Flight> flights_;
  InvariantTracker::Carried next_carried_ = 1;
  std::vector<Index> ended_calls_;  ///< Nodes whose calls ended in this step: are they idle now?
  std::vector<Violation> step_violations_;
  bool dirty_ = false;
  RingMode mode_ = RingMode::small;
  bool shrinking_ = false;   ///< A leave makes it small again, in order.
  bool alone_soon_ = false;  ///< A leave leaves one node.
  std::uint64_t changes_ = 0, checks_ = 0;
  std::size_t lookups_open_ = 0;
  std::string lookups_wrong_;
  std::vector<std::string> violations_;
  std::string trace_of_violation_;
  World world_;  ///< Last: its end buries the programs, which use the rest.
};

}  // namespace chordfs
