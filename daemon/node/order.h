#pragma once
// Order: which nodes should hold an arc: the distinct nodes clockwise from its point (Chord's and DHash's rule), with
// what matters for the choice among them: their zones, and whether they leave.
//
// Owner: the node; outlived by its Ring, whose on_change calls changed(). Thread: the Runtime's. Destroy it only after
// stop(), and when no of() runs any more.
// Errors of of(): those of Ring::find_successor. Like everything of the ring the answer is soft: wrong, it costs time.
// Waits for the network only where this node's own successor lists do not reach far enough (larger rings), and for at
// most one kPingTimeout for nodes it has never heard of; what it knows of them is refreshed in the background.
// Limits: kOrderNodes nodes for an arc, kOrderLookupsMax lookups, kOrdersMax cached answers, kPingsMax pings at once.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/ring/ring.h"
#include "proto/base/task.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// Enough for any number of replicas, with some more to find other zones among, or in place of those that leave.
inline constexpr std::size_t kOrderNodes = 12;
/// Without zones: as many as there are replicas, and these.
inline constexpr std::size_t kOrderSpare = 3;
inline constexpr int kOrderLookupsMax = 16;
inline constexpr std::size_t kOrdersMax = 4096;
inline constexpr std::size_t kPingsMax = 32;
/// Of a label; a longer one that a ping brings counts as none.
inline constexpr std::size_t kZoneBytesMax = 64;
inline constexpr Duration kOrderKeptFor = 3s;
inline constexpr Duration kZoneKeptFor = 10s;
inline constexpr Duration kPingTimeout = 500ms;

struct Candidate {
  wire::Peer peer;
  std::string zone;  ///< Empty: none was given, or it is not known yet.
  bool leaving = false;
};

/// Who should hold an arc: the first `replicas` that do not leave, in Chord order. Where there are enough labels no two
/// of them stand in one zone; else every zone has one before any has two. No label is a zone of one's own. Pure.
std::vector<wire::Peer> choose(const std::vector<Candidate>& candidates, int replicas);

/// What a node's own positions know of who follows whom: an identifier, and the position after it. Where their views
/// differ, the nearest one counts. Pure.
using Links = std::map<Id, Position>;
Links links_of(const std::vector<View>& views);

/// Positions clockwise from the owner of `key`, until `nodes` distinct nodes are among them, as far as the links lead.
struct Run {
  std::vector<Position> positions;
  bool enough = false;  ///< So many nodes, or all the way round.
};
Run follow(const Links& links, const Id& key, std::size_t nodes);

class Order {
 public:
  Order(Runtime& runtime, Transport& transport, Ring& ring);

  /// Distinct nodes clockwise from the arc's point, in Chord order: those that may matter (up to kOrderNodes), or all
  /// there are. This node may be among them. Whether they live is not asked: the ring drops who does not.
  awaitable<Result<std::vector<Candidate>>> of(ArcNumber arc);
  /// The ring has changed: what was found in it is found again.
  void changed();
  /// A node has said so itself, in another message: no need to wait for the next ping.
  void heard(const wire::Peer& peer, bool leaving);
  awaitable<void> stop();

 private:
  struct Kept {
    std::vector<Position> nodes;
    Time until;
  };
  /// What is known of another node.
  struct About {
    std::string zone;
    bool leaving = false;
    bool asking = false;
    bool asked_ever = false;
    Time asked{};  ///< When the last ping ended, answered or not.
  };

  awaitable<Result<std::vector<Position>>> nodes_of(ArcNumber arc);
  std::size_t wanted() const;
  awaitable<Result<Run>> look_further(Id key, Run run);
  awaitable<void> learn(std::vector<Position> nodes);
  bool ask(const Position& node);
  awaitable<void> ping(Position node);
  About& about(const Uuid& node);

  Runtime& runtime_;
  Transport& transport_;
  Ring& ring_;
  std::optional<Links> links_;
  std::map<ArcNumber, Kept> kept_;
  std::uint64_t changes_ = 0;
  std::map<Uuid, About> about_;
  Signal answered_;
  TaskGroup tasks_;
};

}  // namespace chordfs
