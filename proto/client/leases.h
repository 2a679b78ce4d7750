#pragma once
// LeaseKeeper: which answers of the arcs' leaders may be given again without asking (daemon/node/leases.h says why).
// One request at a time to each node that leads an arc that was asked lately, renewed without end while it is.
//
// Owner: RingClient. Thread: the Runtime's. Errors: none; a lease that cannot be renewed runs out.

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "proto/base/task.h"
#include "proto/id/id.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// From when its renewal is sent.
inline constexpr Duration kLeaseFor = 500ms;
/// How long a node keeps a renewal while nothing is recalled.
inline constexpr Duration kLeaseRound = 200ms;
/// Arcs that were not asked for so long are not renewed.
inline constexpr Duration kLeaseIdle = 20s;

class LeaseHolder;

class LeaseKeeper {
 public:
  struct Hooks {
    std::function<awaitable<Result<Reply>>(Endpoint, Request, Duration)> call;
    std::function<bool(std::uint64_t ino)> is_open;
    LeaseHolder* holder = nullptr;  ///< Outlives this.
  };
  LeaseKeeper(Runtime& runtime, TaskGroup& tasks, Hooks hooks)
      : runtime_(runtime), tasks_(tasks), hooks_(std::move(hooks)) {}

  /// An answer for the arc came from there, with this lease (0: none). Returns a stamp to keep with the answer; 0: it
  /// must not be given again.
  struct Grant {
    std::uint64_t lease = 0, term = 0, number = 0;
  };
  std::uint64_t answered(ArcNumber arc, const Endpoint& node, std::uint64_t session, Grant grant);
  /// To ask its leader with; 0: it grants us nothing yet.
  std::uint64_t incarnation(ArcNumber arc) const;
  /// The last grant of the arc's leader that came here: its incarnation and number.
  std::pair<std::uint64_t, std::uint64_t> granted(ArcNumber arc) const;
  /// What was granted with this stamp holds now.
  bool holds(ArcNumber arc, std::uint64_t stamp);
  /// Of what is granted now; 0: nothing holds.
  std::uint64_t stamp(ArcNumber arc);

 private:
  struct Held {
    Endpoint node;
    std::uint64_t term = 0;
    std::uint64_t stamp = 0;
    Time until{};
    Time used{};
    std::uint64_t lease = 0, number = 0;
  };
  struct NodeState {
    std::uint64_t session = 0;
    std::uint64_t incarnation = 0;
    std::set<ArcNumber> arcs;
    std::uint64_t told = 0;
    std::map<std::uint64_t, std::uint64_t> done;  ///< Recalls that it may not have heard yet: number → inode.
  };
  awaitable<void> renew(Endpoint node);
  awaitable<void> give_back(Endpoint node, std::uint64_t incarnation, std::uint64_t number, std::uint64_t ino,
                            bool writing);
  Request request_to(const NodeState& state) const;
  void hear_of_recalls(const Endpoint& node, const wire::Leases& leases);
  void take(NodeState& state, const wire::Leases& leases, Time sent);

  Runtime& runtime_;
  TaskGroup& tasks_;
  const Hooks hooks_;
  std::map<ArcNumber, Held> held_;
  std::map<Endpoint, NodeState> nodes_;  ///< Those to which renew() runs.
  std::uint64_t stamps_ = 0;
};

}  // namespace chordfs
