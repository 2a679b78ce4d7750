#pragma once
// Locations: which position owns which stretch of the circle, as answers to lookups have told. Pure.
//
// Soft: an entry may be old, and whoever is asked because of it says so; that costs one hop, never a wrong answer.
// Owner: whoever looks things up (a Ring, a RingClient). Thread: its owner's.
// Limits: `limit` entries; when full, one that has not helped since the hand passed last makes room (second chance).

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "proto/client/position.h"

namespace chordfs {

/// Positions known at once: a thousand nodes of eight. About 2 MiB when full.
inline constexpr std::size_t kLocationsMax = 8192;

class Locations {
 public:
  explicit Locations(std::size_t limit = kLocationsMax) : limit_(limit) {}

  /// An answer: `id` belongs to the first of the run, and the others follow it clockwise, each next to the one before.
  /// What was thought to lie between them is dropped.
  void learn(const Id& id, std::span<const Position> run);
  /// Who owns it, if that is known.
  std::optional<Position> owner(const Id& id);
  /// Those known to precede it most closely, closest first: at most `count`, one of each node.
  std::vector<Position> preceding(const Id& id, std::size_t count) const;

  /// They say how many entries that was. A position that turned out not to own `id`: unless that is known by now.
  std::size_t drop_wrong(const Id& id, const Position& position);
  /// A position, or a node, that is not there.
  std::size_t drop(const Id& position);
  std::size_t forget(const Uuid& node);
  std::size_t forget(const Endpoint& node);

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Position position;
    Id after;           ///< It owns what lies after this, up to itself.
    bool used = false;  ///< Since the hand passed.
  };
  using Entries = std::map<Id, Entry>;
  void put(const Position& position, const Id& after);
  void clear_between(const Id& after, const Id& before);
  void make_room();

  std::size_t limit_;
  Entries entries_;
  Id hand_;
};

}  // namespace chordfs
