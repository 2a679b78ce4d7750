#pragma once
// ArcView: who replicates an arc (Raft's configuration), and the majorities in it. Pure values; any thread.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proto/id/id.h"
#include "proto/rpc/transport.h"
#include "proto/wire/arc.pb.h"

namespace chordfs {

/// (term, index) of the log entry that made a replica a member. Never reused: a node that is removed and added again is
/// another replica, which knows nothing.
struct Generation {
  std::uint64_t term = 0, index = 0;
  friend auto operator<=>(const Generation&, const Generation&) = default;
};

struct Replica {
  Uuid node;
  Endpoint at;  ///< When it was added; a node may have moved since.
  Generation generation;
  /// The address is no part of what it is.
  friend bool operator==(const Replica& a, const Replica& b) {
    return a.node == b.node && a.generation == b.generation;
  }
};
using Replicas = std::vector<Replica>;

const Replica* find_replica(const Replicas& replicas, const Uuid& node);

/// A node stands in a view at most once as voter, once as old voter (then the same replica), or once as learner.
struct ArcView {
  Replicas voters, old_voters, learners;

  bool joint() const { return !old_voters.empty(); }
  const Replica* find(const Uuid& node) const;
  bool has(const Replica& replica) const;
  /// In either set of voters.
  bool votes(const Replica& replica) const;
  /// Everybody once: voters, old voters, learners.
  Replicas everybody() const;
  /// Everybody once who votes.
  Replicas all_voters() const;
  std::string text() const;
  friend bool operator==(const ArcView&, const ArcView&) = default;
};

/// Whether those for whom `yes` holds are a majority of the voters and, in a joint view, of the old voters too.
bool majority(const ArcView& view, const std::function<bool(const Replica&)>& yes);
/// Whether these votes make a leader that has all that was ever acknowledged (README, "Relaxed durability").
/// `doubtful`: voters that say of themselves that they may have lost what they acknowledged, whether they voted or not.
bool elects(const ArcView& view, const std::function<bool(const Replica&)>& voted,
            const std::function<bool(const Replica&)>& doubtful);
/// The highest value that a majority (of both sets) has reached.
std::uint64_t reached_by_majority(const ArcView& view, const std::function<std::uint64_t(const Replica&)>& value);

/// The replica's node, where it listens now.
wire::Peer peer_of(const Replica& replica, const Endpoint& at);
wire::Replica to_wire(const Replica& replica);
/// stale: the message is for another replica than this one, which may have stood at the same address.
Result<void> meant_for(const Replica& self, const wire::Replica& to);
wire::View to_wire(const ArcView& view);
/// Nothing if it is malformed: an identity of the wrong size, a node twice, an even number of voters, or none, more
/// than kMembersMax.
std::optional<ArcView> view_from(const wire::View& view);
std::optional<ArcView> view_from(const std::string& bytes);

inline constexpr int kMembersMax = 32;

}  // namespace chordfs
