#pragma once
// StaticRing: a large ring at rest. Every node's tables are what stabilization makes of them in the end, built by the
// production classes (RingState, Fingers) from the list of all positions; who is asked answers by production's find().
// So a ring of 2^16 nodes costs a second, and lookups in it are those of a ring that really joined: static_ring_test
// compares the two, entry by entry.
//
// StaticTransport carries the questions of production's Lookup to it, at once or with a latency. Dead nodes are silent,
// their entries stay in all tables, and nobody learns of them: the paper's "stabilization stopped".
// Owner: the experiment. Thread: one. The ring must outlive its transports.

#include <functional>
#include <unordered_map>
#include <vector>

#include "daemon/ring/fingers.h"
#include "proto/base/task.h"
#include "proto/rpc/transport.h"

namespace chordfs {

struct StaticRingOptions {
  std::uint64_t seed = 1;
  std::size_t nodes = 0;
  int positions = 1;
  int successor_nodes = kSuccessorNodes;
};

class StaticRing {
 public:
  using Index = std::size_t;

  explicit StaticRing(const StaticRingOptions& options);
  StaticRing(const StaticRing&) = delete;

  /// Of node `index` in every experiment of this seed.
  static Uuid identity(std::uint64_t seed, Index index);
  static Endpoint endpoint(Index index);

  std::size_t size() const { return nodes_.size(); }
  std::span<const Table> tables(Index index) const { return nodes_[index].tables; }
  const Endpoint& at(Index index) const { return nodes_[index].at; }
  /// The node that listens there; it must exist.
  Index index_of(const Endpoint& at) const { return indices_.at(at.host); }
  /// All positions, clockwise.
  const std::vector<Position>& positions() const { return positions_; }
  /// The rank in positions() of the key's owner.
  std::size_t owner(const Id& key) const;

  bool alive(Index index) const { return alive_[index]; }
  void kill(Index index) { alive_[index] = false; }
  void revive_all() { alive_.assign(alive_.size(), true); }

  /// What node `index` answers to one who got no answer from `silent`.
  FindAnswer answer(Index index, const Id& key, std::span<const Endpoint> silent) const;

 private:
  struct Slot {
    RingState state;
    Fingers fingers;
  };
  struct Node {
    Endpoint at;
    std::vector<Slot> slots;
    std::vector<Table> tables;
  };
  void settle(std::size_t rank);

  int successor_nodes_;
  std::vector<Position> positions_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string, Index> indices_;  ///< By host.
  std::vector<bool> alive_;
};

class StaticTransport final : public Transport {
 public:
  /// There and back; none: all answers come at once, and silence ends at once.
  using RoundTrip = std::function<Duration(StaticRing::Index to)>;
  StaticTransport(Runtime& runtime, const StaticRing& ring, RoundTrip round_trip = {})
      : runtime_(runtime), ring_(ring), round_trip_(std::move(round_trip)) {}

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override;
  void post(Endpoint, Request) override {}
  void serve(Handler) override {}

 private:
  Runtime& runtime_;
  const StaticRing& ring_;
  RoundTrip round_trip_;
};

/// What one lookup needs; everything outlives it.
struct StaticLookup {
  const StaticRing& ring;
  Runtime& runtime;
  Transport& transport;
  TaskGroup& asks;
  Locations* locations = nullptr;
  /// The paper asks one after the other.
  Duration patience = 1h;
};
struct StaticRoute {
  std::vector<Position> found;  ///< Empty: it failed.
  std::vector<Hop> asked;       ///< Empty: the node knew by itself.
  Duration took{};
  /// Remote nodes visited, up to and including the one that knew the owner.
  std::size_t answered() const;
};
/// As Ring::find_successor does.
awaitable<StaticRoute> look_up(StaticLookup lookup, StaticRing::Index from, Id key);

}  // namespace chordfs
