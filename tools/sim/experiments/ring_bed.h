#pragma once
// RingBed: many real Rings over the virtual network, and nothing else: no judge looks on, so that ten thousand nodes
// and days of churn are affordable (chord_world.h has the judge). Node `i` has the identity and the address of node `i`
// of a StaticRing of the same seed.
//
//   RingBed bed({.seed = 7});
//   bed.grow(1000);
//   bed.look_up(3, key, [](const RingBed::Route& route) { … });
//   bed.world().run_for(1h);
//
// Owner: the experiment. Thread: the world's. Errors: of lookups in their Route; a ring that does not form is CHECKed.

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "daemon/ring/ring.h"
#include "tools/sim/world.h"

namespace chordfs {

struct RingBedOptions {
  std::uint64_t seed = 1;
  int positions = 1;
  int successor_nodes = kSuccessorNodes;
  /// What the nodes started from now on are to have different.
  std::function<void(RingConfig&)> configure = {};
};

class RingBed {
 public:
  using Index = std::size_t;

  explicit RingBed(RingBedOptions options);
  RingBed(const RingBed&) = delete;

  World& world() { return world_; }
  const RingBedOptions& options() const { return options_; }
  std::function<void(RingConfig&)>& configure() { return options_.configure; }

  /// The first node of the ring, or a further one, which joins through `via`, then through others, as often as it
  /// takes.
  Index add(std::optional<Index> via);
  /// The first `nodes` nodes: every gap between two members is halved at once, until all are in.
  void grow(std::size_t nodes);
  /// Runs until they are one ordered ring; CHECKs that it takes no longer.
  void settle(Duration limit);
  /// Hands over to its neighbours, and ends.
  void leave(Index index);
  void crash(Index index, SimHost::Death death);

  std::size_t size() const { return slots_.size(); }
  bool alive(Index index) const { return slots_[index]->program != nullptr; }
  bool joined(Index index) const;
  Ring& ring(Index index);
  const Endpoint& at(Index index) const { return slots_[index]->host->endpoint(); }
  Index index_of(const Endpoint& at) const { return by_address_.at(at); }
  /// In the ring, and not asked to leave. In the order in which they came.
  std::vector<Index> joined_nodes() const;
  std::vector<View> views() const;

  /// Every position that considers itself a member, as of now.
  const std::map<Id, Index>& members() const { return members_; }
  /// Its key's successor among these.
  Id owner(const Id& key) const;
  /// The ring's own: its predecessor has it for its successor by now.
  bool known(const Id& member) const;
  /// Since when; nothing: never yet.
  std::optional<Time> known_since(const Id& member) const;
  /// When it joined; there must be such a member.
  Time since(const Id& member) const { return since_.at(member); }

  struct Route {
    Index from = 0;
    Id key;
    Result<Found> found;
    Time began{}, ended{};
  };
  using Done = std::function<void(const Route&)>;
  /// Node `from`, which must be alive, looks it up. `done` is not called if it dies meanwhile.
  void look_up(Index from, const Id& key, Done done);
  std::size_t lookups_open() const { return lookups_open_; }

 private:
  class RingProgram;
  struct Slot {
    SimHost* host = nullptr;
    std::optional<Index> via;
    bool leaving = false;
    RingProgram* program = nullptr;  ///< While the process lives.
    std::vector<Id> members;         ///< Its positions that are in the ring.
  };
  Index another_door(Index last);
  void changed(Index index);
  void set_members(Index index, std::vector<Id> members);

  RingBedOptions options_;
  const Uuid ring_id_;
  Rng doors_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::map<Endpoint, Index> by_address_;
  std::map<Id, Index> members_;
  std::map<Id, Time> since_;        ///< When each of them joined.
  std::map<Id, Time> known_since_;  ///< When the node before it first had it for its successor.
  std::size_t lookups_open_ = 0;
  World world_;  ///< Last: its end buries the programs, which use the rest.
};

}  // namespace chordfs
