#pragma once
// Arc: what this node knows of one arc it has a part in. Plain data that Arcs and its workers share.
// Owner: Arcs, by shared_ptr, because coroutines keep it across waits. Thread: the Runtime's.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "daemon/arc/raft/raft.h"
#include "proto/base/result.h"
#include "proto/base/task.h"
#include "proto/id/id.h"

namespace chordfs {

struct Arc {
  explicit Arc(ArcNumber n) : number(n) {}

  /// A proposal that waits for its answer.
  struct Waiter {
    std::uint64_t term = 0;
    OneShot<Result<std::string>> done;
  };

  const ArcNumber number;
  /// This node's replica. None: it has been removed from the arc, or never was in it.
  std::shared_ptr<Raft> raft;
  Generation highest;         ///< Of all replicas of the arc that ever stood on this node.
  std::uint64_t applied = 0;  ///< Index of the last entry whose effect can be read.

  // Leading.
  std::uint64_t led_term = 0;  ///< The term in which led() was last said.
  Time led_since{};
  std::map<std::uint64_t, Waiter> waiting;         ///< By index.
  std::set<std::pair<Uuid, Generation>> complete;  ///< Learners that have all blocks.
  bool looking = false;                            ///< Its view is being looked at.
  std::uint64_t looked = 0;                        ///< The news of the ring when it was as it should be.
  Time calm_until{};
  bool completing = false;              ///< A learner is being asked to get them.
  std::uint64_t confirmed = 0;          ///< The round that was last made known.
  std::optional<Time> view_since;       ///< When the view was seen uncommitted first.
  std::pair<std::uint64_t, Uuid> seen;  ///< View and leader, as last looked at.

  // One thing at a time for the records.
  bool applying = false;   ///< An update of the disk is under way.
  bool replacing = false;  ///< The replica is being made or removed; messages are dropped meanwhile.
  bool fetching = false;   ///< Its records are being fetched.
  bool retiring = false;   ///< What blocks are left here are being handed back.
  bool queued = false;     ///< Waits for the next flush.
  /// The log must not be cut after this index until then: somebody fetches the records.
  std::uint64_t keep_log_from = 0;
  Time keep_log_until{};
  Time asked_if_member{};

  /// Some record failed its checksum, or the log contradicts itself: serves no more, says which.
  std::optional<Error> broken;
  Signal changed;

  bool leads() const { return raft && raft->leads(); }
  /// Leads, and has applied all that its predecessors committed.
  bool serves() const { return leads() && led_term == raft->term(); }
};

using ArcPtr = std::shared_ptr<Arc>;

}  // namespace chordfs
