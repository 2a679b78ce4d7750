#include "daemon/arc/copies/tombstones.h"

namespace chordfs {

void Tombstones::add(ArcNumber arc, const std::string& block, Time now) {
  forget_old(now);
  dropped_.emplace(arc, block);
  order_.emplace_back(now + kTombstoneTime, Block(arc, block));
}

bool Tombstones::has(ArcNumber arc, const std::string& block, Time now) {
  forget_old(now);
  return dropped_.contains({arc, block});
}

void Tombstones::forget_old(Time now) {
  while (!order_.empty() && (order_.front().first <= now || order_.size() > kTombstonesMax)) {
    dropped_.erase(dropped_.find(order_.front().second));
    order_.pop_front();
  }
}

}  // namespace chordfs
