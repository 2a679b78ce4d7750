#pragma once
// Names: what stood at a place when it was last seen. Only a hint with which a change is planned without asking first;
// it never answers a lookup. Thread: the Runtime's. Limits: so many places.

#include <optional>

#include "fuse/fs/lru.h"
#include "fuse/fs/plan.h"

namespace chordfs::fs {

class Names {
 public:
  explicit Names(std::size_t places_max) : known_(places_max) {}

  /// Nothing if we do not know; a Found that is not present if we know that nothing stood there.
  std::optional<Found> find(const Place& place) {
    auto* found = known_.find(place);
    return found ? std::optional(*found) : std::nullopt;
  }
  void put(const Place& place, Found found) { known_.put(place, found); }
  void forget(const Place& place) { known_.erase(place); }

 private:
  Lru<Place, Found> known_;
};

}  // namespace chordfs::fs
